//go:build interop

package testkit

import (
	"os/exec"
	"testing"
)

// TestInteropToolsStart builds and starts the scanners. It runs first: compiling them takes
// longer than a test may.
func TestInteropToolsStart(t *testing.T) {
	for _, path := range []string{Grype(t), Trivy(t)} {
		if out, err := exec.Command(path, "--version").CombinedOutput(); err != nil {
			t.Errorf("%s --version: %v\n%s", path, err, out)
		}
	}
}
