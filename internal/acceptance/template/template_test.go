// Package template tests the guestbook of the template as users get it: each Go component
// as a module of its own, its programs with a real PostgreSQL, and the patch of its lyon
// variant.
package template

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const guestbook = "../../../nix/template/apps/guestbook/src"

// copyGuestbook returns a copy of the guestbook's folder in which the module
// files have the names that "libre init" gives them.
func copyGuestbook(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "guestbook")
	if err := os.CopyFS(dir, os.DirFS(guestbook)); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob(filepath.Join(dir, "*", "go.*.in"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range modules {
		if err := os.Rename(name, strings.TrimSuffix(name, ".in")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildGo builds the module in dir and returns the path of its program.
func buildGo(t *testing.T, dir, version string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(dir))
	runGo(t, dir, "build", "-mod=readonly", "-ldflags=-X main.version="+version, "-o", program, ".")
	return program
}

// runGo runs go in dir as in a user's shell, without the settings of the surrounding go
// test.
func runGo(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", args[0], err, out)
	}
}

// applyPatch applies lyon.patch to the guestbook in dir with GNU patch.
func applyPatch(t *testing.T, dir string) {
	t.Helper()
	patchWith(t, dir, requireTool(t, "patch"), "--fuzz=0")
}

func patchWith(t *testing.T, dir string, command ...string) {
	t.Helper()
	patch, err := os.ReadFile(filepath.Join(guestbook, "../lyon.patch"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:], "-p1")...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(patch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	for _, bad := range []string{"offset", "fuzz", "FAILED"} {
		if strings.Contains(string(out), bad) {
			t.Errorf("%v: lyon.patch does not fit exactly, make it anew:\n%s", cmd.Args, out)
		}
	}
}

// requireTool returns the path of a program. If it is not installed, the test is skipped,
// or fails if LIBRE_TEST_ALL is 1.
func requireTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("LIBRE_TEST_ALL") == "1" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}
