package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestFaultHasAReasonAndAFix(t *testing.T) {
	refused := &Fault{Kind: Credentials, Doing: "reading r.example/app:1", Err: errors.New("401 Unauthorized"), Fix: "libre login r.example"}
	wrapped := fmt.Errorf("docs: %w", refused)
	for _, c := range []struct {
		name          string
		err           error
		text, reason  string
		fix           string
		isCredentials bool
		isNotFound    bool
	}{
		{"a fault", refused, "reading r.example/app:1: 401 Unauthorized; libre login r.example", "reading r.example/app:1: 401 Unauthorized", "libre login r.example", true, false},
		{"wrapped", wrapped, "docs: reading r.example/app:1: 401 Unauthorized; libre login r.example", "docs: reading r.example/app:1: 401 Unauthorized", "libre login r.example", true, false},
		{"inside another fault", &Fault{Doing: "publishing", Err: wrapped}, "publishing: docs: reading r.example/app:1: 401 Unauthorized; libre login r.example", "publishing: docs: reading r.example/app:1: 401 Unauthorized", "libre login r.example", true, false},
		{"no fix", &Fault{Kind: NotFound, Err: errors.New("not found")}, "not found", "not found", "", false, true},
		{"no fault", errors.New("disk full"), "disk full", "disk full", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.err.Error(); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
			if got := Reason(c.err); got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
			if got := Fix(c.err); got != c.fix {
				t.Errorf("fix %q, want %q", got, c.fix)
			}
			if Is(c.err, Credentials) != c.isCredentials || Is(c.err, NotFound) != c.isNotFound {
				t.Errorf("wrong kind")
			}
		})
	}
	if Is(nil, Other) || Fix(nil) != "" {
		t.Error("no error is a fault")
	}
}

// An error of a disk of this machine is said with what to type, once.
func TestErrorOfADiskSaysWhatToType(t *testing.T) {
	failed := func(errno syscall.Errno) error { return &fs.PathError{Op: "write", Path: "/x", Err: errno} }
	full := failed(syscall.ENOSPC)
	for _, test := range []struct {
		err  error
		want string
	}{
		{full, "write /x: no space left on device; free space with libre gc"},
		{OfDisk(full), "write /x: no space left on device; free space with libre gc"},
		{failed(syscall.EIO), "write /x: input/output error; look for errors of the disk with dmesg"},
		{failed(syscall.EROFS), "write /x: read-only file system; mount it writable"},
		{&Fault{Err: failed(syscall.EROFS), Fix: "give another --output"}, "write /x: read-only file system; give another --output"},
		{failed(syscall.ENOENT), "write /x: no such file or directory"},
		{errors.New("500: no space left on device"), "500: no space left on device"}, // a registry's
	} {
		if got := OfDisk(test.err).Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
