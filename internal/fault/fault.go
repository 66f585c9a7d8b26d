// Package fault has errors with a kind and a fix. Exit codes, rows of doctor and notes
// of reports come from them, so that a failure reads the same everywhere.
package fault

import (
	"errors"
	"strings"
	"syscall"
)

// Kind classifies a fault for the caller.
type Kind int

const (
	Other       Kind = iota
	Credentials      // unauthorized (401) or forbidden (403), or the password of a key is missing
	NotFound         // no such repository, manifest, module or file
	Refused          // the server refuses it for another reason: it is read-only, or full
	Unreachable      // no answer: network, DNS or TLS
	Usage            // wrong arguments or settings
)

// Fault is an error with its kind and its fix.
type Fault struct {
	Kind  Kind
	Doing string // what failed, such as "reading registry.example/app:1"; "" if Err says it
	Err   error  // why it failed; never nil
	Fix   string // what to type or change, such as "libre login registry.example"; "" if unknown
}

// Error returns one line: "DOING: ERR; FIX".
func (f *Fault) Error() string {
	if f.Fix == "" {
		return f.reason()
	}
	return f.reason() + "; " + f.Fix
}

func (f *Fault) reason() string {
	if f.Doing == "" {
		return f.Err.Error()
	}
	return f.Doing + ": " + f.Err.Error()
}

func (f *Fault) Unwrap() error { return f.Err }

// Is reports whether an error, or one that it wraps, is a fault of the kind.
func Is(err error, kind Kind) bool {
	for err != nil {
		var f *Fault
		if !errors.As(err, &f) {
			return false
		}
		if f.Kind == kind {
			return true
		}
		err = f.Err
	}
	return false
}

// Fix returns the fix of the outermost fault that has one; "" if none has.
func Fix(err error) string {
	for err != nil {
		var f *Fault
		if !errors.As(err, &f) {
			return ""
		}
		if f.Fix != "" {
			return f.Fix
		}
		err = f.Err
	}
	return ""
}

// Reason returns the text of an error without its fix.
func Reason(err error) string {
	if fix := Fix(err); fix != "" {
		return strings.Replace(err.Error(), "; "+fix, "", 1)
	}
	return err.Error()
}

// FreeSpace is what to type where a disk is full.
const FreeSpace = "free space with libre gc"

// diskFixes are what to type for errors of a disk, which do not say it.
var diskFixes = map[syscall.Errno]string{
	syscall.ENOSPC: FreeSpace,
	syscall.EDQUOT: FreeSpace,
	syscall.EROFS:  "mount it writable",
	syscall.EIO:    "look for errors of the disk with dmesg",
}

// OfDisk returns an error of a disk of this machine with its fix, unless it has one. Other
// errors stay as they are.
func OfDisk(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) || diskFixes[errno] == "" || strings.Contains(err.Error(), "free space") || Fix(err) != "" {
		return err
	}
	return &Fault{Err: err, Fix: diskFixes[errno]}
}
