package testkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// CountCalls puts a wrapper in front of a program of Nix. It returns PATH=… for the environment of
// libre, and a function that returns how often libre called the program with the operation, such
// as eval, since the last call of the function.
func CountCalls(t testing.TB, program, operation string) (path string, count func() int) {
	t.Helper()
	real, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	bin, counted := t.TempDir(), filepath.Join(t.TempDir(), "counted")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != %s ] || echo >> %s\nexec %s \"$@\"\n", operation, counted, real)
	if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + bin + ":" + os.Getenv("PATH"), func() int {
		lines, err := os.ReadFile(counted)
		if err == nil {
			err = os.Remove(counted)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return len(lines)
	}
}
