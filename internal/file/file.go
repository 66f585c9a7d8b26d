// Package file reads files that somebody else names or wrote: no pipe is waited for,
// no device read without end, and nothing larger than is expected.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Most is how many bytes are read at most: settings, keys and certificates have a
// thousandth of it, a large patch nearly as many.
const Most = 64 << 20

// ErrNoFile says that what is there is no file, but a folder, a pipe or a device, or a
// link where none is followed.
var ErrNoFile = errors.New("expected a file")

// Read reads a file, also behind a link. The error is an *fs.PathError, and holds
// nothing of the content.
func Read(path string) ([]byte, error) { return read(path, 0) }

// ReadOwn reads a file that is no link: errors of what is in it may quote it.
func ReadOwn(path string) ([]byte, error) { return read(path, syscall.O_NOFOLLOW) }

func read(path string, flags int) ([]byte, error) {
	wrong := func(format string, args ...any) error {
		return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf(format, args...)}
	}
	// A pipe that nobody writes to is opened at once.
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
	// The size of files of /proc is 0, whatever is in them.
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
