// Package file reads files that somebody else names or wrote. It does not wait for
// pipes, and reads no devices and no file above a limit.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Most is the largest file that is read, in bytes. Settings, keys and certificates
// have a thousandth of it, a large patch nearly as many.
const Most = 64 << 20

// ErrNoFile means that a path is a folder, a pipe or a device, or a link that is not
// followed.
var ErrNoFile = errors.New("expected a file")

// Read reads a file, links followed. The error is an *fs.PathError and quotes no
// content.
func Read(path string) ([]byte, error) { return read(path, 0) }

// ReadOwn reads a file, and refuses a link: errors of the caller may then quote the
// content.
func ReadOwn(path string) ([]byte, error) { return read(path, syscall.O_NOFOLLOW) }

func read(path string, flags int) ([]byte, error) {
	wrong := func(format string, args ...any) error {
		return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf(format, args...)}
	}
	// O_NONBLOCK: opening a pipe without a writer does not block.
	opened, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|flags, 0)
	if errors.Is(err, syscall.ELOOP) && flags != 0 {
		return nil, wrong("it is a link, %w", ErrNoFile)
	}
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, wrong("it is %s, %w", kind(info.Mode()), ErrNoFile)
	}
	// Files of /proc have the size 0, whatever their content.
	content, err := io.ReadAll(io.LimitReader(opened, Most+1))
	if err == nil && len(content) > Most {
		err = wrong("it is larger than %d MiB", Most>>20)
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

func kind(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeDir:
		return "a folder"
	case fs.ModeNamedPipe:
		return "a pipe"
	case fs.ModeSocket:
		return "a socket"
	}
	return "a device"
}

// Size is the size in bytes of a file, or of all regular files below a folder. Those that
// cannot be read, or vanish meanwhile, do not count.
func Size(tree fs.FS, name string) (bytes int64) {
	_ = fs.WalkDir(tree, name, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
