package nixcode

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/nix-community/go-nix/pkg/nar"
)

// program.nix builds libre itself: its vendorHash is that of go.mod's modules, as
// `go mod vendor` lays them out.
func TestVendorHashOfLibre(t *testing.T) {
	definition, err := os.ReadFile("program.nix")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`vendorHash = "([^"]+)"`).FindSubmatch(definition)
	if found == nil {
		t.Fatal("program.nix has no vendorHash")
	}
	vendor := filepath.Join(t.TempDir(), "vendor")
	cmd := exec.Command("go", "mod", "vendor", "-o", vendor)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hash := sha256.New()
	if err := nar.DumpPath(hash, vendor); err != nil {
		t.Fatal(err)
	}
	if want := "sha256-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); string(found[1]) != want {
		t.Errorf("vendorHash in nix/program.nix is %s, go.mod makes it %s", found[1], want)
	}
}
