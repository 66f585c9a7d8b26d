package testkit

import (
	"os"
	"path/filepath"
	"syscall"
)

// lock waits until no other process holds a lock on a file. It makes the file and its
// folder. The kernel releases the locks of a process that ends.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}
