//go:build interop

package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// TestInteropCosignCommandsOfThePagesRun runs the pages with cosign installed.
func TestInteropCosignCommandsOfThePagesRun(t *testing.T) {
	cosign := testkit.GoProgram(t, "github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3")
	if err := os.Symlink(cosign, filepath.Join(filepath.Dir(libre.Program()), "cosign")); err != nil {
		t.Fatal(err)
	}
	runCommands(t, "cosign")
}
