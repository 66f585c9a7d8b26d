package nix

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// derivations has one derivation of each form: with environment variables, with structured
// attributes, and with attributes of other types.
const derivations = `
let
  make = name: env: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; } // env);
  source = make "source" { url = "https://example.org/x.tar"; outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };
  modules = make "modules" { outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="; };
  fetched = make "fetched.diff" { urls = [ "https://example.org/fetched.diff" "https://mirror.example" ]; outputHashAlgo = "sha256"; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="; };
  patch = builtins.toFile "CVE-2026-1.patch" "diff";
  plain = make "plain-1" { pname = "plain"; version = "1"; src = source; patches = [ patch fetched ]; goModules = modules; modRoot = "sub"; };
  structured = make "structured-2" { __structuredAttrs = true; pname = "structured"; version = "2"; src = source; patches = [ patch ]; modRoot = "sub"; needs = plain; };
  odd = make "odd" { __structuredAttrs = true; pname = 1; version = { }; patches = null; needs = structured; };
  paths = builtins.mapAttrs (_: drv: { drv = builtins.unsafeDiscardStringContext drv.drvPath; out = builtins.unsafeDiscardStringContext drv.outPath; })
    { inherit source modules plain structured odd; };
in builtins.seq odd.drvPath paths
`

// Origins reads a derivation's attributes even if they are structured. Derivations that garbage
// collection removed are skipped.
func TestOrigins(t *testing.T) {
	requireNix(t)
	file := filepath.Join(t.TempDir(), "x.nix")
	if err := os.WriteFile(file, []byte(derivations), 0o644); err != nil {
		t.Fatal(err)
	}
	// Without --read-write-mode no derivation would be written.
	out, err := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var made map[string]struct{ Drv, Out string }
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	gone := "/nix/store/" + strings.Repeat("a", 32) + "-gone.drv"
	found, err := Origins([]string{made["odd"].Drv, gone}, []string{made["plain"].Out, made["structured"].Out, made["odd"].Out, "/nix/store/" + strings.Repeat("a", 32) + "-of-nobody"})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 {
		t.Errorf("found %v", found)
	}
	plain := found[made["plain"].Out]
	if plain.PName != "plain" || plain.Version != "1" || plain.Source.Hash != "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" || len(plain.Source.URLs) != 1 ||
		plain.Source.URLs[0] != "https://example.org/x.tar" || plain.Modules.Drv != made["modules"].Drv || plain.Modules.Dir() != made["modules"].Out || len(plain.Patches) != 2 {
		t.Fatalf("plain %+v", plain)
	}
	sum := sha256.Sum256([]byte("diff"))
	if got := plain.Patches[0]; got.Hash != "sha256:"+hex.EncodeToString(sum[:]) || got.Name() != "CVE-2026-1.patch" || got.URL != "" {
		t.Errorf("patch %+v, called %s", got, got.Name())
	}
	if got := plain.Patches[1]; got.Hash != "sha256:"+strings.Repeat("0", 63)+"2" || got.Name() != "fetched.diff" || got.URL != "https://example.org/fetched.diff" {
		t.Errorf("fetched patch %+v, called %s", got, got.Name())
	}
	structured := found[made["structured"].Out]
	if structured.PName != "structured" || len(structured.Patches) != 1 || structured.Modules.Dir() != made["source"].Out+"/sub/vendor" || structured.Modules.Drv != made["source"].Drv {
		t.Errorf("structured %+v", structured)
	}
	if odd := found[made["odd"].Out]; odd.PName != "" || odd.Patches != nil || odd.Modules.Path != "" {
		t.Errorf("odd %+v", odd)
	}
	bad := filepath.Join(t.TempDir(), "bad.drv")
	if err := os.WriteFile(bad, []byte("Derive("), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Origins([]string{bad}, []string{"/nix/store/x"}); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("a broken derivation: %v", err)
	}
}
