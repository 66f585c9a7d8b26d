//go:build interop

package testkit

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInteropToolsStart installs and starts the programs. It runs first: compiling them takes
// longer than a test may.
func TestInteropToolsStart(t *testing.T) {
	for _, path := range []string{Grype(t), Trivy(t), buildKitProgram(t)} {
		if out, err := exec.Command(path, "--version").CombinedOutput(); err != nil {
			t.Errorf("%s --version: %v\n%s", path, err, out)
		}
	}
	if out, err := exec.Command(Kyverno(t), "version").CombinedOutput(); err != nil {
		t.Errorf("kyverno: %v\n%s", err, out)
	}
	if out, err := exec.Command(PolicyTester(t), "-version").CombinedOutput(); err != nil {
		t.Errorf("policy-tester: %v\n%s", err, out)
	}
	if out := Browser(t, "testdata/browser.cjs"); !strings.Contains(string(out), "Chrom") {
		t.Errorf("chromium: %s", out)
	}
	if out, err := Renovate(t, "renovate", "--version").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != renovateVersion {
		t.Errorf("renovate: %v\n%s", err, out)
	}
}
