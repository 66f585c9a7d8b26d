package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// GoProgram returns the path of a third-party Go program in a given version, such as v2.6.5. It
// is built once and kept, because that takes minutes. Only tests with the build tag interop and
// benchmarks use it, so other tests need not wait for a compiler. environment adds variables to
// the compiler's environment.
func GoProgram(t testing.TB, pkg, version string, environment ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path, err := goProgram(filepath.Join(cache, "libre-tools"), pkg, version, environment...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// goProgram builds a program into a folder if it is not there. If another test builds it at the
// same time, it waits and uses that, because two compilers at once would not be faster.
func goProgram(folder, pkg, version string, environment ...string) (string, error) {
	return goTool(folder, pkg, version, func(work string) *exec.Cmd {
		install := exec.Command("go", "install", pkg+"@"+version)
		install.Dir = work // not in this module
		install.Env = append(append(os.Environ(), environment...), "GOBIN="+work)
		return install
	})
}

// goTool is goProgram for a program that build compiles into the folder work.
func goTool(folder, pkg, version string, build func(work string) *exec.Cmd) (string, error) {
	path := filepath.Join(folder, strings.Join([]string{programName(pkg), version, runtime.Version()}, "-"))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := lock(filepath.Join(folder, "build.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	work, err := os.MkdirTemp(folder, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(os.Stderr, "building %s %s, once, which takes minutes\n", programName(pkg), version)
	if output, err := build(work).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s %s: %w\n%s", pkg, version, err, output)
	}
	built, err := filepath.Glob(filepath.Join(work, "*"))
	if err != nil || len(built) != 1 {
		return "", fmt.Errorf("building %s %s gave %v, %w", pkg, version, built, err)
	}
	return path, os.Rename(built[0], path)
}

// programName returns the name that go install gives a package's program. Rekor's is an
// exception, because the last element of its package is a kind of storage.
func programName(pkg string) string {
	pkg = strings.TrimSuffix(pkg, "/posix")
	return pkg[strings.LastIndex(pkg, "/")+1:]
}
