// Package testkit has the tools with which tests run libre, other programs, and servers.
package testkit

import (
	"os"
	"os/exec"
	"testing"
)

// all reports whether every test must run.
func all() bool { return os.Getenv("LIBRE_TEST_ALL") == "1" }

// Needed skips a test if something is missing, and fails it if LIBRE_TEST_ALL is 1.
func Needed(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if all() {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}

// Require is like Needed for programs. Debian has some of them in /usr/sbin.
func Require(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		Needed(t, err == nil, name)
	}
}

// RequireRoot skips a test that starts containers, mounts or unpacks images.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}
