// Package fault is how an error says what kind of thing went wrong and what to type
// next. The exit code of a command, a row of doctor and the note of a report come
// from it, so that one failure reads the same everywhere.
package fault

import (
	"errors"
	"strings"
)

// Kind is what a caller decides by.
type Kind int

const (
	Other       Kind = iota
	Credentials      // a server does not know who asks (401), or does not let them (403); a key has no password
	NotFound         // there is no such repository, manifest, module or file
	Unreachable      // no answer: the network, the resolver, TLS
	Usage            // what was typed cannot be meant
)

// Fault is an error with its kind and its fix.
type Fault struct {
	Kind  Kind
	Doing string // what was being done to what, such as "reading registry.example/app:1"; "" where Err says it
	Err   error  // why it failed; never nil
	Fix   string // what to type or to change next, such as "libre login registry.example"; "" where nothing is known
}

// Error is one line: doing, why, and the fix.
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

// Is tells whether an error, or one that it wraps, is a fault of the kind.
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

// Fix is what to type next, by the outermost fault that knows; "" where none does.
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

// Reason is an error without its fix, for where the fix has a place of its own.
func Reason(err error) string {
	if fix := Fix(err); fix != "" {
		return strings.Replace(err.Error(), "; "+fix, "", 1)
	}
	return err.Error()
}
