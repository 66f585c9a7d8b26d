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

// policyTesterVersion is that of sigstore's policy-controller.
const policyTesterVersion = "v0.15.1"

// policyTesterReplaces are older versions of two modules, which find logins in a cluster:
// proxies of modules have not all of the versions that go.mod asks for.
var policyTesterReplaces = []string{
	"-replace=github.com/google/go-containerregistry/pkg/authn/k8schain=github.com/google/go-containerregistry/pkg/authn/k8schain@v0.0.0-20230919002926-dbcd01c402b2",
	"-replace=github.com/google/go-containerregistry/pkg/authn/kubernetes=github.com/google/go-containerregistry/pkg/authn/kubernetes@v0.0.0-20230919002926-dbcd01c402b2",
}

// PolicyTester gives the path of policy-controller's tester, which asks a policy about one
// image as the controller does. go install refuses its module, which replaces others.
func PolicyTester(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "libre-tools")
	path := filepath.Join(folder, "policy-tester-"+policyTesterVersion+"-"+runtime.Version())
	unlock, err := lock(filepath.Join(folder, "build.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	fmt.Fprintf(os.Stderr, "building policy-tester %s, once, which takes minutes\n", policyTesterVersion)
	const pkg = "github.com/sigstore/policy-controller/cmd/tester"
	work := t.TempDir()
	for _, args := range [][]string{{"mod", "init", "policytester"}, append([]string{"mod", "edit"}, policyTesterReplaces...), {"get", pkg + "@" + policyTesterVersion}, {"build", "-o", "tester", pkg}} {
		command := exec.Command("go", args...)
		command.Dir = work
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
	// Beside it first: the folder may be on another disk than work.
	if out, err := exec.Command("cp", filepath.Join(work, "tester"), path+".new").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
