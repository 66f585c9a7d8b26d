package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// evaluateChecks evaluates the flake's formatter and checks of the Nix code, with a
// package set that only writes text. nixfmt itself is not run.
func evaluateChecks(root string) (string, error) {
	expression := `let
  pkgs = { nixfmt-tree = "nixfmt"; writeText = name: text: builtins.stringLength text; };
  outputs = (import ` + root + `/flake.nix).outputs { self = { }; nixpkgs.legacyPackages.x86_64-linux = pkgs; nixpkgs.legacyPackages.aarch64-linux = pkgs; };
in [ outputs.formatter.x86_64-linux outputs.checks.x86_64-linux.reference (outputs.checks.aarch64-linux.template > 1000) ]`
	out, err := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--expr", expression).CombinedOutput()
	return string(out), err
}

func TestFlakeChecksTheNixCode(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evaluateChecks(root); err != nil || !strings.Contains(got, `["nixfmt",0,true]`) {
		t.Fatalf("%v: %s", err, got)
	}
	for _, test := range []struct{ name, file, from, to, says string }{
		{"a stale reference", "docs/mkApp.md", "# Attributes", "# Attribute", "docs/mkApp.md is stale"},
		{"an attribute that the reference lacks", "nix/schema.nix", "crossFrom =", "crossTo =", "docs/mkApp.md is stale"},
		{"a template that needs packages", "nix/template/apps/pocketbase/default.nix", `"0.`, `pkgs.x + "0.`, "error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied := t.TempDir()
			for _, name := range []string{"flake.nix", "docs", "nix", "apps", "internal/cli/version.go"} {
				to := filepath.Join(copied, name)
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command("cp", "-r", filepath.Join(root, name), to).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			path := filepath.Join(copied, test.file)
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), test.from) {
				t.Fatalf("%s has no %q: %v", test.file, test.from, err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), test.from, test.to, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, err := evaluateChecks(copied); err == nil || !strings.Contains(got, test.says) {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
}
