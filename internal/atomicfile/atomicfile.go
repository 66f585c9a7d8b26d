// Package atomicfile writes files that are whole from the moment when they have their
// name: beside it first, then renamed. renameio does so too, but syncs each file to disk,
// which layers need not be, and gives no name that is known only at the end.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Prefix begins the names of files that are being written. A killed run leaves them.
const Prefix = ".tmp-"

// File is a new file without its name.
type File struct {
	*os.File
	done bool
}

// Create makes a file in the folder that it is going to be in, with a mode from which the
// umask takes away, as it does for os.OpenFile. An error names the folder.
func Create(dir string, mode fs.FileMode) (*File, error) {
	file, err := os.OpenFile(filepath.Join(dir, Prefix+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		return nil, &fs.PathError{Op: "write in", Path: filepath.Clean(dir), Err: wrong.Err}
	}
	if err != nil {
		return nil, err
	}
	return &File{File: file}, nil
}

// Replace closes the file and gives it a name, in place of what has that. An error names the
// path.
func (f *File) Replace(path string) error {
	return f.finish(func(from, to string) error {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrExist) { // as os calls it
			return syscall.EISDIR
		}
		return err
	}, path)
}

// Link closes the file and gives it a name that nothing has yet: else it is fs.ErrExist.
func (f *File) Link(path string) error {
	return f.finish(func(from, to string) error { return errors.Join(os.Link(from, to), os.Remove(from)) }, path)
}

func (f *File) finish(name func(from, to string) error, path string) error {
	err := f.Close()
	if err == nil {
		err = name(f.Name(), path)
	}
	if err != nil {
		return named(err, path)
	}
	f.done = true
	return nil
}

// named is an error about the name that people know, and not about that of the file beside.
func named(err error, path string) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &fs.PathError{Op: "write", Path: path, Err: errno}
	}
	return err
}

// Discard removes the file, unless it has its name. It is for defer.
func (f *File) Discard() {
	if !f.done {
		f.Close()
		os.Remove(f.Name())
	}
}

// Write writes a file whole, in place of what has its name. The umask takes away from the
// mode.
func Write(path string, content []byte, mode fs.FileMode) error {
	f, err := Create(filepath.Dir(path), mode)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return named(err, path)
	}
	return f.Replace(path)
}
