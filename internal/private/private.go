// Package private makes folders that no other user of the machine looks into or has
// prepared.
package private

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Folder makes a folder of mode 0700, with those above it where they are missing, or
// gives the one that is there that mode. One that is a link or another user's is an
// error.
func Folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || ownerOf(info) != os.Geteuid() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("a link, or another user's: remove it")}
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(path, 0o700)
	}
	return nil
}

// Create makes an empty file of mode 0600. Whatever had its name is gone: no link and
// no other name of it is written to.
func Create(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// Guarded says why somebody else can change what is in a folder, links followed: an
// error, where it is of another user than this one, root, or whoever owns the folder
// above it, or where everybody may write to it, and remove what others have there.
func Guarded(path string) error {
	wrong := func(why string) error { return &fs.PathError{Op: "trust", Path: path, Err: errors.New(why)} }
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	above, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner := ownerOf(info)
	switch {
	case !info.IsDir():
		return wrong("it is no folder")
	case owner != os.Geteuid() && owner != 0 && owner != ownerOf(above):
		return wrong("it belongs to another user, who can change what is in it")
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return wrong("everybody can change what is in it")
	}
	return nil
}

// Read reads a file that libre keeps for itself. What another user put there, and what
// everybody may write, counts as missing: an fs.ErrNotExist.
func Read(path string) ([]byte, error) {
	opened, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return nil, err
	}
	if owner := ownerOf(info); !info.Mode().IsRegular() || info.Mode().Perm()&0o002 != 0 || owner != os.Geteuid() && owner != 0 {
		return nil, &fs.PathError{Op: "trust", Path: path, Err: fs.ErrNotExist}
	}
	return io.ReadAll(opened)
}

// Replace writes a file of mode 0600 whole or not at all, and puts it in the place of
// what has its name.
func Replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	beside, err := os.CreateTemp(filepath.Dir(path), ".write-")
	if err != nil {
		return err
	}
	defer os.Remove(beside.Name())
	_, err = beside.Write(content)
	if err := errors.Join(err, beside.Close()); err != nil {
		return err
	}
	return os.Rename(beside.Name(), path)
}

func ownerOf(info fs.FileInfo) int {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return os.Geteuid()
	}
	return int(status.Uid)
}
