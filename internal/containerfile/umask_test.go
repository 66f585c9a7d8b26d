package containerfile

import "syscall"

// umask sets the process's umask until the returned function is called.
func umask(mask int) func() {
	old := syscall.Umask(mask)
	return func() { syscall.Umask(old) }
}
