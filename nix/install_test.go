package nixcode_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// program.nix installs the manual pages and the shells' completions, where man and the
// shells look for them.
func TestProgramInstallsPagesAndCompletions(t *testing.T) {
	const expression = `(import ./program.nix { pkgs = { go = { version = "1.99"; }; buildGoModule = args: args; }; }).postInstall`
	made, err := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://", "--expr", expression).Output()
	if err != nil {
		t.Fatal(err)
	}
	var script string
	if err := json.Unmarshal(made, &script); err != nil {
		t.Fatal(err)
	}
	programs, err := testkit.Programs()
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := os.Symlink(programs, filepath.Join(out, "bin")); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("bash", "-euc", script)
	install.Dir, install.Env = "..", append(os.Environ(), "out="+out)
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, name := range []string{
		"man/man1/libre.1", "man/man1/libre-build.1", "bash-completion/completions/libre", "zsh/site-functions/_libre", "fish/vendor_completions.d/libre.fish",
	} {
		if info, err := os.Stat(filepath.Join(out, "share", name)); err != nil || info.Size() < 500 {
			t.Errorf("share/%s: %v, %v", name, info, err)
		}
	}
}
