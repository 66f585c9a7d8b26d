package nixedit

import (
	"fmt"
	"strings"
	"testing"
)

// Hashes are found by their form, and empty ones by their name. Nothing else is read as a hash.
func TestHashes(t *testing.T) {
	const known = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	src := `{ pkgs, version, ... }: rec {
  source.hash = "";
  deps = "` + known + `";
  package = pkgs.buildNpmPackage { npmDepsHash = ""; npmDepsName = ""; env.X = "${version}"; };
  fetch = map ({ hash ? "" }: hash) [ { hash = ''` + known + `''; } ];
  bases.node = "sha256:` + strings.Repeat("0", 64) + `";
  cargoHash = version;
  ${version}.hash = "";
  # vendorHash = "";
}
`
	all, err := Hashes("apps/x/default.nix", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, hash := range all {
		got += fmt.Sprintf("%s:%d %s %q\n", hash.At.File, hash.At.Line, hash.Path, hash.Text)
	}
	want := "apps/x/default.nix:2 source.hash \"\"\napps/x/default.nix:3 deps \"" + known + "\"\n" +
		"apps/x/default.nix:4 npmDepsHash \"\"\napps/x/default.nix:5 hash \"" + known + "\"\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Each hash can be set at the place where it was found.
func TestHashesCanBeSet(t *testing.T) {
	src := []byte(`{ a.hash = ""; b = { hash = ""; }; c.vendorHash = ""; }`)
	all, err := Hashes("x.nix", src)
	if err != nil {
		t.Fatal(err)
	}
	var changes []Change
	for i, hash := range all {
		value, err := Hash("sha256-" + strings.Repeat(string(rune('A'+i)), 42) + "A=")
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, Set{hash.Attribute, value})
	}
	after, err := Apply(map[string][]byte{"x.nix": src}, changes...)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Hashes("x.nix", after["x.nix"]); err != nil || len(again) != 3 || again[2].Text != "sha256-"+strings.Repeat("C", 42)+"A=" {
		t.Errorf("%v, %v", again, err)
	}
}
