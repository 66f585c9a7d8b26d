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

// CountEvaluations puts a wrapper in front of nix. It returns PATH=… for the environment of
// libre, and a function that returns the number of evaluations since the last call.
func CountEvaluations(t testing.TB) (path string, count func() int) {
	t.Helper()
	real, err := exec.LookPath("nix")
	if err != nil {
		t.Fatal(err)
	}
	bin, counted := t.TempDir(), filepath.Join(t.TempDir(), "counted")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != eval ] || echo >> %s\nexec %s \"$@\"\n", counted, real)
	if err := os.WriteFile(filepath.Join(bin, "nix"), []byte(script), 0o755); err != nil {
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
