package containerfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// NewWork makes a folder for Request.Work below dir, and removes leftovers of killed
// builds. remove removes it.
func (b *Builder) NewWork(dir string) (work string, remove func(), err error) {
	const pattern = ".build-*"
	others, _ := filepath.Glob(filepath.Join(dir, pattern))
	for _, other := range others {
		if lock, err := lockFile(other, syscall.LOCK_NB); err == nil {
			b.storage.killPauseProcess(other)
			b.storage.remove(other)
			lock.Close()
		}
	}
	for {
		if work, err = os.MkdirTemp(dir, pattern); err != nil {
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
