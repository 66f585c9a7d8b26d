package containerfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// NewWork makes a folder for Request.Work below dir, and removes those that killed builds
// have left there. remove removes it.
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
			continue // another libre took it for one that was left
		}
		if err != nil {
			return "", nil, err
		}
		return work, func() { b.storage.remove(work); lock.Close() }, nil
	}
}

// lockFile takes a file or folder that is there for this process alone, as long as it lives.
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
