package atomicfile

import (
	"os"
	"syscall"
)

// Lock waits until nobody else holds the lock of a folder: hold it from reading a file that a
// person writes until the changed file replaces it, or the change of another process is
// lost. The kernel drops the lock when the process ends.
func Lock(dir string) (unlock func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		folder.Close()
		return nil, &os.PathError{Op: "lock", Path: dir, Err: err}
	}
	return func() { folder.Close() }, nil
}
