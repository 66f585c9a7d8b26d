//go:build interop

package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Versions of the programs that admit images to clusters.
const (
	policyTesterVersion = "v0.15.1" // of sigstore's policy-controller
	kyvernoVersion      = "v1.19.0"
)

// PolicyTester returns the path of policy-controller's tester, which checks one image against a
// policy as the controller does. It builds it with older versions of two modules, which find
// logins in a cluster, because not every module proxy has the versions in its go.mod.
func PolicyTester(t testing.TB) string {
	t.Helper()
	const authn, older = "github.com/google/go-containerregistry/pkg/authn/", "@v0.0.0-20230919002926-dbcd01c402b2"
	return replacedProgram(t, "policy-tester", "github.com/sigstore/policy-controller/cmd/tester", policyTesterVersion,
		authn+"k8schain="+authn+"k8schain"+older, authn+"kubernetes="+authn+"kubernetes"+older)
}

// Kyverno returns the path of Kyverno's command line, which applies policies to objects in
// files.
func Kyverno(t testing.TB) string {
	t.Helper()
	return replacedProgram(t, "kyverno", "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno", kyvernoVersion,
		"k8s.io/pod-security-admission=github.com/kyverno/pod-security-admission@v0.0.0-20251031094455-46f20778634f")
}

// replacedProgram builds, once, a program whose module needs replacements, which go install
// refuses. A replacement is OLD=NEW@VERSION.
func replacedProgram(t testing.TB, name, pkg, version string, replacements ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "libre-tools")
	path := filepath.Join(folder, name+"-"+version+"-"+runtime.Version())
	unlock, err := lock(filepath.Join(folder, "build.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	fmt.Fprintf(os.Stderr, "building %s %s, once, which takes minutes\n", name, version)
	work, err := os.MkdirTemp(folder, ".build-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	edit := []string{"mod", "edit"}
	for _, replacement := range replacements {
		edit = append(edit, "-replace="+replacement)
	}
	built := filepath.Join(work, name)
	for _, args := range [][]string{{"mod", "init", "program"}, edit, {"get", pkg + "@" + version}, {"build", "-o", built, pkg}} {
		command := exec.Command("go", args...)
		command.Dir = work
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: go %s: %v\n%s", name, version, args[0], err, out)
		}
	}
	if err := os.Rename(built, path); err != nil {
		t.Fatal(err)
	}
	return path
}
