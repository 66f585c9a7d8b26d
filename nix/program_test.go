package nixcode

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nix-community/go-nix/pkg/nar"
	"golang.org/x/mod/modfile"
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

// goVersion is what go.mod asks for.
func goVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	module, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return module.Go.Version
}

// goOfProgram is the Go that program.nix builds with, of a package set in Nix.
func goOfProgram(t *testing.T, packages string) (goUsed struct{ Version, URL, Hash string }, message string) {
	t.Helper()
	if _, err := exec.LookPath("nix-instantiate"); err != nil && os.Getenv("LIBRE_TEST_ALL") == "" {
		t.Skip(err)
	}
	// As in nixpkgs: a function that may be given another Go, a derivation that may
	// be given other attributes.
	const standIn = `let
  go = version: let self = { inherit version; src = { url = "of the package set"; hash = ""; }; overrideAttrs = change: self // change self; }; in self;
  builder = default: {
    __functor = _: args: { go = default; inherit (args) pname vendorHash; };
    override = { go }: builder go;
  };
  program = import %s { pkgs = { fetchurl = args: args; } // %s; };
in { inherit (program.go) version; inherit (program.go.src) url hash; }`
	cmd := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://", "--expr", fmt.Sprintf(standIn, "./program.nix", packages))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return goUsed, stderr.String()
	}
	if err := json.Unmarshal(out, &goUsed); err != nil {
		t.Fatal(err)
	}
	return goUsed, ""
}

// go.mod, flake.lock and program.nix go together: buildGoModule downloads no Go, so
// a package set whose own is older builds the one that go.mod asks for.
func TestProgramIsBuiltWithTheGoThatGoModAsksFor(t *testing.T) {
	wanted := goVersion(t)
	const ofTheSet = "of the package set"
	source := "https://go.dev/dl/go" + wanted + ".src.tar.gz"
	minor := strings.Join(strings.Split(wanted, ".")[:2], ".")
	// What the package set has of go.mod's minor version, and what its buildGoModule builds with.
	set := func(version, usual string) string {
		return fmt.Sprintf(`{ go_%s = go %q; go = go %q; buildGoModule = builder (go %[3]q); }`, strings.ReplaceAll(minor, ".", "_"), version, usual)
	}
	for _, test := range []struct{ packages, version, url string }{
		{set(minor+".4", "1.25.9"), wanted, source},
		{set(minor, minor), wanted, source},
		{set(minor+"rc3", "1.25.9"), wanted, source},
		{set(minor+".10", "1.25.9"), minor + ".10", ofTheSet},
		{set(wanted, "1.99"), wanted, ofTheSet},
		// The host package set has one Go, and a builder that takes no other.
		{fmt.Sprintf(`{ go = go %q; buildGoModule = args: args // { go = go %[1]q; }; }`, wanted), wanted, ofTheSet},
	} {
		used, message := goOfProgram(t, test.packages)
		if used.Version != test.version || used.URL != test.url {
			t.Errorf("%s is built with Go %q from %q, expected %s from %s\n%s", test.packages, used.Version, used.URL, test.version, test.url, message)
		}
		if used.URL == source && !strings.HasPrefix(used.Hash, "sha256-") {
			t.Errorf("the source of Go %s has the hash %q", wanted, used.Hash)
		}
	}
	_, message := goOfProgram(t, `{ go = go "1.25.9"; buildGoModule = args: args; }`)
	if want := "libre needs Go " + wanted + ", the package set has 1.25.9"; !strings.Contains(message, want) {
		t.Errorf("a package set with an old Go only says %q, expected %q", message, want)
	}
}

// The root catalogue and the template pin one nixpkgs: what libre is built with is
// what a new catalogue is built with.
func TestLocksPinOneNixpkgs(t *testing.T) {
	pin := func(path string) (nixpkgs struct {
		Locked struct {
			LastModified                    int64
			NarHash, Owner, Repo, Rev, Type string
		}
		Original struct{ Ref string }
	}) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lock := struct{ Nodes map[string]json.RawMessage }{}
		if err := json.Unmarshal(text, &lock); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(lock.Nodes["nixpkgs"], &nixpkgs); err != nil {
			t.Fatal(err)
		}
		return nixpkgs
	}
	root, template := pin("../flake.lock"), pin("template/flake.lock")
	if root != template {
		t.Errorf("flake.lock pins %+v, nix/template/flake.lock %+v", root, template)
	}
	flake, err := os.ReadFile("../flake.nix")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github:NixOS/nixpkgs/" + root.Original.Ref; !bytes.Contains(flake, []byte(want)) {
		t.Errorf("flake.lock is of %s, flake.nix is not", want)
	}
}
