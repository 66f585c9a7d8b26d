package testkit

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// OddFiles returns paths of things that a stranger may use instead of a file, by kind: a
// folder, a pipe, a device and the like. An ordinary read would wait forever or fill the
// memory.
func OddFiles(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	odd := map[string]string{}
	for _, name := range []string{"a folder", "a pipe", "a link to a pipe", "an endless device", "a file of 1 TB", "a link to itself"} {
		odd[name] = filepath.Join(dir, name)
	}
	for _, err := range []error{
		os.Mkdir(odd["a folder"], 0o700), syscall.Mkfifo(odd["a pipe"], 0o600), os.Symlink("a pipe", odd["a link to a pipe"]),
		os.Symlink("/dev/zero", odd["an endless device"]), os.WriteFile(odd["a file of 1 TB"], nil, 0o600), os.Truncate(odd["a file of 1 TB"], 1<<40),
		os.Symlink("a link to itself", odd["a link to itself"]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return odd
}

// Refused fails the test if read does not return an error soon.
func Refused(t *testing.T, what string, read func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s: it is read", what)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("%s: it is waited for without end", what)
	}
}
