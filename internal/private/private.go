// Package private makes folders and files that no other user of the machine can read
// or has prepared.
package private

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/atomicfile"
)

// Folder makes a folder with mode 0700, and its missing parents; an existing folder
// gets that mode. A link, or a folder of another user, is an error.
func Folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || ownerOf(info) != os.Geteuid() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a link, or belongs to another user: remove it")}
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(path, 0o700)
	}
	return nil
}

// Create makes an empty file with mode 0600. It removes an existing file first, so it
// never writes through a link.
func Create(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// CheckTrusted returns an error if another user can change the content of a folder,
// links followed: if its owner is neither this user, nor root, nor the owner of the
// parent folder, or if everybody can write to it and it is not sticky.
func CheckTrusted(path string) error {
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
		return wrong("it is not a folder")
	case owner != os.Geteuid() && owner != 0 && owner != ownerOf(above):
		return wrong("it belongs to another user, who can change its content")
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return wrong("everybody can change its content")
	}
	return nil
}

// Open opens one of libre's own files to read it. A file of another user, or one that
// everybody can write, counts as missing: fs.ErrNotExist.
func Open(path string) (*os.File, error) {
	opened, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil {
		if owner := ownerOf(info); !info.Mode().IsRegular() || info.Mode().Perm()&0o002 != 0 || owner != os.Geteuid() && owner != 0 {
			err = &fs.PathError{Op: "trust", Path: path, Err: fs.ErrNotExist}
		}
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// Read reads one of libre's own files, as Open opens it.
func Read(path string) ([]byte, error) {
	opened, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return io.ReadAll(opened)
}

// ReadCached reads a file of a cache, as Read does, and marks it as used.
func ReadCached(path string) ([]byte, error) {
	content, err := Read(path)
	if err == nil {
		MarkUsed(path)
	}
	return content, err
}

// MarkUsed records that a file of a cache is used now, because what was not used for long is
// removed. An error is ignored: it only costs time.
func MarkUsed(path string) { _ = os.Chtimes(path, time.Time{}, time.Now()) }

// Replace writes a file with mode 0600, whole or not at all, in place of an existing
// one.
func Replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, content, 0o600)
}

func ownerOf(info fs.FileInfo) int {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return os.Geteuid()
	}
	return int(status.Uid)
}
