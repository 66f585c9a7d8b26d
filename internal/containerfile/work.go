package containerfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	filesystem "github.com/libresh/libre/internal/file"
)

// workPattern matches the names of the folders that NewWork makes.
const workPattern = ".build-*"

// NewWork makes a folder for Request.Work below dir, and removes leftovers of killed
// builds. remove removes it.
func (b *Builder) NewWork(dir string) (work string, remove func(), err error) {
	b.CleanWork(dir)
	for {
		if work, err = os.MkdirTemp(dir, workPattern); err != nil {
			return "", nil, err
		}
		lock, err := lockFile(work, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // another libre removed it as a leftover
		}
		if err != nil {
			return "", nil, err
		}
		return work, func() { b.storage.remove(work); lock.Close() }, nil
	}
}

// CleanWork removes the folders below dir that NewWork made and killed builds left.
func (b *Builder) CleanWork(dir string) {
	eachLeft(dir, func(left string) {
		b.storage.killPauseProcess(left)
		b.storage.remove(left)
	})
}

// LeftWork returns the size of what CleanWork removes, in bytes.
func LeftWork(dir string) (bytes int64) {
	eachLeft(dir, func(left string) { bytes += filesystem.Size(os.DirFS(left), ".") })
	return bytes
}

// eachLeft calls do for each folder that no build has locked.
func eachLeft(dir string, do func(left string)) {
	folders, _ := filepath.Glob(filepath.Join(dir, workPattern))
	for _, folder := range folders {
		if lock, err := lockFile(folder, syscall.LOCK_NB); err == nil {
			do(folder)
			lock.Close()
		}
	}
}

// lockFile locks an existing file or folder exclusively, until it is closed.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|how); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := os.Lstat(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
