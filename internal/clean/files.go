package clean

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/file"
)

// files are files and folders of this user that were not changed for long. No link leads out
// of the folder that they are below.
type files struct {
	dir    string
	before time.Time
	globs  []string
}

func (f *files) measure(ctx context.Context) (bytes int64, err error) {
	err = f.each(func(root *os.Root, name string) error {
		bytes += max(file.Size(root.FS(), name), 1)
		return ctx.Err()
	})
	return bytes, err
}

func (f *files) remove(ctx context.Context) error {
	var failed error
	err := f.each(func(root *os.Root, name string) error {
		failed = errors.Join(failed, removeAll(root, name))
		return ctx.Err()
	})
	return errors.Join(failed, err)
}

// each calls do for each that may go.
func (f *files) each(do func(root *os.Root, name string) error) error {
	root, err := os.OpenRoot(f.dir)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	var old []string // all, before one goes: the age of a GC root is that of another file
	for _, glob := range f.globs {
		names, err := fs.Glob(root.FS(), glob)
		if err != nil {
			return err
		}
		old = append(old, slices.DeleteFunc(names, func(name string) bool { return !f.isOld(root, name) })...)
	}
	for _, name := range old {
		if err := do(root, name); err != nil {
			return err
		}
	}
	return nil
}

// isOld reports whether a file belongs to this user and was not changed for long. A GC root
// is as old as the file beside it, which records its last use.
func (f *files) isOld(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	if err != nil {
		return false
	}
	if of, isRoot := strings.CutSuffix(name, ".root"); isRoot {
		if beside, err := root.Lstat(of + ".json"); err == nil {
			info = beside
		}
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(status.Uid) == os.Geteuid() && info.ModTime().Before(f.before)
}

// listed are paths below a folder, in the order in which they go.
type listed struct {
	dir  string
	list func() []string
}

func (l *listed) measure(context.Context) (bytes int64, err error) {
	err = l.each(func(root *os.Root, name string) error {
		bytes += max(file.Size(root.FS(), name), 1)
		return nil
	})
	return bytes, err
}

func (l *listed) remove(context.Context) error { return l.each(removeAll) }

func (l *listed) each(do func(root *os.Root, name string) error) error {
	paths := l.list()
	if len(paths) == 0 {
		return nil
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, path := range paths {
		name, err := filepath.Rel(l.dir, path)
		if err == nil {
			err = do(root, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a file or a folder, with folders in it that are read-only.
func removeAll(root *os.Root, name string) error {
	err := root.RemoveAll(name)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrPermission) {
		return notRemoved(root, err)
	}
	_ = fs.WalkDir(root.FS(), name, func(path string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = root.Chmod(path, 0o700)
		}
		return nil
	})
	return notRemoved(root, root.RemoveAll(name))
}

// notRemoved names what could not be removed, by its whole path.
func notRemoved(root *os.Root, err error) error {
	if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(root.Name(), wrong.Path), Err: wrong.Err}
	}
	return err
}
