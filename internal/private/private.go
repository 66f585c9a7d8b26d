// Package private makes folders that no other user of the machine looks into or has
// prepared.
package private

import (
	"errors"
	"io/fs"
	"os"
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
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(owner.Uid) != os.Geteuid() {
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
