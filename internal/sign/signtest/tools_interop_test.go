//go:build interop

package signtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Every program that the tests compare with is built and starts. This test goes
// first, alone: to compile them takes longer than a test may.
func TestInteropToolsStart(t *testing.T) {
	for _, tool := range tools() {
		path := tool.get(t)
		out, err := exec.Command(path, "help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Usage") {
			t.Errorf("%s help: %v\n%s", path, err, out)
		}
	}
}
