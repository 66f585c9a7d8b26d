package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoLandlock means that this kernel cannot restrict what a program reads.
var ErrNoLandlock = errors.New("this kernel lacks Landlock as of Linux 5.19")

// Readable lists what a program can read of the file system.
type Readable struct {
	Paths []string // files, and folders with everything below; missing ones are ignored
	Names []string // folders that can be listed, with the folders below; their files cannot be read
}

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir  = unix.LANDLOCK_ACCESS_FS_READ_DIR
	refer    = unix.LANDLOCK_ACCESS_FS_REFER
)

// Start starts a program that can read nothing else, not even as root; neither can its
// children. Writing and executing are not restricted. Mounting is.
// https://docs.kernel.org/userspace-api/landlock.html
func (r Readable) Start(command *exec.Cmd) error {
	started := make(chan error)
	go func() {
		// The restriction applies to this thread and to programs started from it. The
		// locked thread ends with the goroutine, and Go clones no other thread from it.
		runtime.LockOSThread()
		err := r.restrict()
		if err == nil {
			err = command.Start()
		}
		started <- err
	}()
	return <-started
}

// restrict restricts the calling thread.
func (r Readable) restrict() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < 2 { // version 1 forbids renames into another folder
		return ErrNoLandlock
	}
	handled := unix.LandlockRulesetAttr{Handled_access_fs: readFile | readDir | refer}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&handled)), unsafe.Sizeof(handled.Handled_access_fs), 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(rules))
	err := allow(int(rules), "/", refer)
	for _, path := range r.Names {
		err = errors.Join(err, allow(int(rules), path, readDir))
	}
	for _, path := range r.Paths {
		err = errors.Join(err, allow(int(rules), path, readFile|readDir))
	}
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if _, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// allow allows access to a path, links followed.
func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // missing, or not accessible to this user
	}
	defer unix.Close(fd)
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if status.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= readFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return &fs.PathError{Op: "landlock_add_rule", Path: path, Err: errno}
	}
	return nil
}
