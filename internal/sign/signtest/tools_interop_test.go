//go:build interop

package signtest

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInteropToolsStart builds and starts every program that the tests compare with. It
// runs first, alone: compiling them takes longer than a test may.
func TestInteropToolsStart(t *testing.T) {
	for _, tool := range tools() {
		path := tool.get(t)
		out, err := exec.Command(path, "help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Usage") {
			t.Errorf("%s help: %v\n%s", path, err, out)
		}
	}
}
