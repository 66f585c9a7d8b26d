package nix

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/git"
)

// tracked is what Nix sees of a flake in a git repository: the commit, and the tracked
// files of the whole repository, with their current content.
type tracked struct {
	repository
	dir   string
	files []trackedFile
	sums  [][]byte // SHA-256 of each file's kind and content
	when  time.Time
	sum   []byte // SHA-256 of everything that Nix sees
}

// repository is what git says about a folder.
type repository struct {
	top, prefix       string // the repository's folder, and the path of this one in it, with a slash at the end
	gitDir, commonDir string // of git; commonDir may be relative to the folder
	commit            string // "" if there is none yet
	index             string // mode, hash and path of each file in the index
}

// trackedFile is a tracked file; info is nil if it is missing.
type trackedFile struct {
	path string
	info fs.FileInfo
}

// maxTrackedBytes is the limit above which reading the files costs more than it saves.
const maxTrackedBytes = 64 << 20

// track reads the tracked files of a folder's repository.
func track(ctx context.Context, dir string) (*tracked, error) {
	t := &tracked{dir: dir, when: time.Now()}
	var err error
	if t.repository, err = queryGit(ctx, dir); err != nil {
		return nil, err
	}
	if !sameFolder(dir, filepath.Join(t.top, t.prefix)) {
		return nil, fmt.Errorf("git reports another folder for %s: %q and %q", dir, t.top, t.prefix)
	}
	left := int64(maxTrackedBytes)
	for _, entry := range strings.Split(strings.TrimSuffix(t.index, "\x00"), "\x00") {
		stage, name, _ := strings.Cut(entry, "\t")
		if !strings.HasPrefix(stage, "100") && !strings.HasPrefix(stage, "120") {
			return nil, fmt.Errorf("%s is a repository of its own", name)
		}
		file := trackedFile{path: filepath.Join(t.top, filepath.FromSlash(name))}
		if file.info, err = lstat(file.path); err != nil {
			return nil, err
		}
		if file.info != nil {
			if left -= file.info.Size(); left < 0 {
				return nil, errors.New("too many bytes are tracked")
			}
		}
		t.files = append(t.files, file)
	}
	if err := t.hash(); err != nil {
		return nil, err
	}
	return t, nil
}

// sameFolder detects a repository with its files in another folder.
func sameFolder(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func queryGit(ctx context.Context, dir string) (r repository, err error) {
	var group errgroup.Group
	group.Go(func() error {
		where := []string{"rev-parse", "--show-toplevel", "--show-prefix", "--absolute-git-dir", "--git-common-dir"}
		out, err := git.Output(ctx, dir, append(where, "HEAD")...)
		if err != nil {
			out, err = git.Output(ctx, dir, where...) // there is no commit yet
		}
		if err != nil {
			return err
		}
		lines := strings.Split(out+"\n", "\n")
		if len(lines) < 5 {
			return fmt.Errorf("git reports an unexpected folder for %s: %q", dir, out)
		}
		r.top, r.prefix, r.gitDir, r.commonDir, r.commit = lines[0], lines[1], lines[2], lines[3], lines[4]
		return nil
	})
	group.Go(func() (err error) {
		r.index, err = git.Output(ctx, dir, "ls-files", "--stage", "--full-name", "-z", ":/")
		return err
	})
	err = group.Wait()
	return r, err
}

func lstat(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// hash sets sums and sum.
func (t *tracked) hash() error {
	t.sums = make([][]byte, len(t.files))
	var group errgroup.Group
	for worker := range runtime.NumCPU() {
		group.Go(func() (err error) {
			for i := worker; i < len(t.files) && err == nil; i += runtime.NumCPU() {
				t.sums[i], err = t.files[i].hash()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q\n", t.prefix, t.commit, t.index)
	for _, file := range t.sums {
		sum.Write(file)
	}
	t.sum = sum.Sum(nil)
	return nil
}

// hash returns the SHA-256 of a file's kind and content.
func (f trackedFile) hash() ([]byte, error) {
	var content []byte
	kind := "missing"
	switch {
	case f.info == nil:
	case f.info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(f.path)
		if err != nil {
			return nil, err
		}
		kind, content = "link", []byte(to)
	case f.info.Mode().IsRegular():
		var err error
		if content, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		if int64(len(content)) != f.info.Size() {
			return nil, fmt.Errorf("%s is being written", f.path)
		}
		kind = fmt.Sprintf("file %t", f.info.Mode()&0o100 != 0)
	default:
		return nil, fmt.Errorf("%s is neither a file nor a link", f.path)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d\n", kind, len(content))
	sum.Write(content)
	return sum.Sum(nil), nil
}

// unchanged reports whether nothing has changed since track. A write changes a file's
// ctime, which cannot be set; but it may have a coarse resolution, so files that had just
// changed are read again.
func (t *tracked) unchanged(ctx context.Context) bool {
	if now, err := queryGit(ctx, t.dir); err != nil || now != t.repository {
		return false
	}
	for i, file := range t.files {
		info, err := lstat(file.path)
		if err != nil || (info == nil) != (file.info == nil) {
			return false
		}
		if info == nil {
			continue
		}
		now, then := info.Sys().(*syscall.Stat_t), file.info.Sys().(*syscall.Stat_t)
		if now.Ino != then.Ino || now.Dev != then.Dev || now.Mode != then.Mode || now.Size != then.Size || now.Ctim != then.Ctim {
			return false
		}
		if t.when.Sub(time.Unix(now.Ctim.Unix())) >= time.Second {
			continue
		}
		if sum, err := file.hash(); err != nil || !bytes.Equal(sum, t.sums[i]) {
			return false
		}
	}
	return true
}
