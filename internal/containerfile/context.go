package containerfile

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// copyTree copies the folder from to the new folder to, with the modes of a checkout
// under umask 022, and the same time on every file.
//
// Engines could read a store path directly, but COPY keeps modes: the image would get
// the store's 0444 and 0555, and a RUN step as another user could not write to its own
// files and folders. Engines also hash times into an image's history.
func copyTree(to, from string, at time.Time) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	var dirs []string
	var files errgroup.Group // copying is bound by system calls
	files.SetLimit(2 * runtime.GOMAXPROCS(0))
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			dirs = append(dirs, dst)
			if err := os.MkdirAll(dst, 0o755); err != nil {
				return err
			}
			return os.Chmod(dst, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, dst); err != nil {
				return err
			}
			return setTime(dst, at)
		case d.Type().IsRegular():
			files.Go(func() error { return copyFile(dst, path, d, at) })
			return nil
		}
		return fmt.Errorf("%s is neither file, folder nor symbolic link", path)
	})
	if err := cmp.Or(files.Wait(), err); err != nil {
		return err
	}
	for _, d := range dirs { // last, as writing into a folder changes its time
		if err := setTime(d, at); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(dst, src string, d fs.DirEntry, at time.Time) (err error) {
	info, err := d.Info()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = setTime(dst, at)
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Chmod(mode)
}

// whiteout is the prefix of names that mark deleted files in a layer. Engines fail on a file
// with such a name, or lose it, without an explanation.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const whiteout = ".wh."

// whiteoutIn returns the first file below a folder with such a name; "" if there is none.
func whiteoutIn(dir string) (found string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), whiteout) {
			found, _ = filepath.Rel(dir, path)
			return filepath.SkipAll
		}
		return nil
	})
	return found
}

// setTime sets both times of a file, or of a link itself.
func setTime(path string, at time.Time) error {
	ts := unix.NsecToTimespec(at.UnixNano())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimes", Path: path, Err: err}
	}
	return nil
}

// within joins a relative path to root, and follows links. It refuses a result outside of root.
func within(root, rel string) (string, error) {
	if rel == "" {
		rel = "."
	}
	if !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s is outside of the source", rel)
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(root, rel))
	if err != nil {
		return "", err
	}
	if path != root && !strings.HasPrefix(path, root+string(filepath.Separator)) {
		return "", fmt.Errorf("%s leads outside of the source", rel)
	}
	return path, nil
}
