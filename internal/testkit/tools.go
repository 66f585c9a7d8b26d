// Package testkit is what the tests have in common that run libre, other people's
// programs, and servers.
package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// all says whether every test must run.
func all() bool { return os.Getenv("LIBRE_TEST_ALL") == "1" }

// Needed skips a test that misses something, and fails it if LIBRE_TEST_ALL is 1.
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

// Require is Needed for programs. Debian has some of them in /usr/sbin.
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

// GoProgram gives the path of a Go program in a version of its own, which is
// built once and kept in the user's cache, as that takes minutes. Where it was
// not built the test is skipped, but if LIBRE_TEST_ALL is 1.
func GoProgram(t testing.TB, pkg, version string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(pkg, "/posix") // of Rekor's: one of its kinds of storage
	base = base[strings.LastIndex(base, "/")+1:]
	path := filepath.Join(cache, "libre-test", "bin", base+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if !all() {
		t.Skipf("%s %s was not built (LIBRE_TEST_ALL=1 builds it)", base, version)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	bin, err := os.MkdirTemp(filepath.Dir(path), ".build-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(bin)
	install := exec.Command("go", "install", "-p", "1", pkg+"@"+version)
	install.Dir = bin // not in this module
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build %s %s: %v\n%s", pkg, version, err, output)
	}
	built, err := filepath.Glob(filepath.Join(bin, "*"))
	if err != nil || len(built) != 1 {
		t.Fatalf("build %s %s: %v, %v", pkg, version, built, err)
	}
	if err := os.Rename(built[0], path); err != nil {
		t.Fatal(err)
	}
	return path
}
