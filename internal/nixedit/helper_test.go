package nixedit

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// needNix skips a test on a machine without Nix, unless all tests must run.
func needNix(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("nix-instantiate"); err != nil {
		if os.Getenv("LIBRE_TEST_ALL") == "1" {
			t.Fatal("nix-instantiate is not installed")
		}
		t.Skip("nix-instantiate is not installed")
	}
}

// nixInstantiate runs the real Nix, without a store.
func nixInstantiate(t testing.TB, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command("nix-instantiate", args...)
	cmd.Env = append(os.Environ(), "NIX_REMOTE=dummy://", "NIX_STORE_DIR=/nix/store")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !strings.Contains(stderr.String(), "error:") {
		t.Fatalf("nix-instantiate: %v\n%s", err, stderr.Bytes())
	}
	if err != nil {
		t.Log(stderr.String())
	}
	return out, err
}

// leaf is an attribute of an evaluated file that is not a set.
type leaf struct {
	Path     []string
	Position *catalog.Position
	Type     string
	Value    any // for a string or an integer
}

func (l leaf) attribute() Attribute {
	var parts []string
	for _, p := range l.Path {
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(p)+`"`)
	}
	return Attribute{strings.Join(parts, "."), *l.Position}
}

func (l leaf) text() string {
	if s, ok := l.Value.(string); ok {
		return s
	}
	number, _ := l.Value.(json.Number)
	return number.String()
}

const leavesNix = `
let
  open = file:
    let value = import file; in
    if builtins.isFunction value then value { mkApp = x: x; pkgs = { buildGoModule = x: x.pname; }; } else value;
  leaves = path: set: builtins.concatMap
    (name:
      let
        here = path ++ [ name ];
        value = builtins.tryEval set.${name};
        type = if value.success then builtins.typeOf value.value else "error";
      in
      if type == "set" then leaves here value.value
      else [{
        path = here;
        position = builtins.unsafeGetAttrPos name set;
        inherit type;
        value = if type == "string" || type == "int" then value.value else null;
      }])
    (builtins.attrNames set);
in
files: map (file: leaves [ ] (open file)) files
`

// evaluate returns the leaves of files, all in one run of Nix.
func evaluate(t testing.TB, files ...string) [][]leaf {
	t.Helper()
	walk := filepath.Join(t.TempDir(), "leaves.nix")
	check(t, os.WriteFile(walk, []byte(leavesNix), 0o644))
	expr := "import " + walk + " ["
	for _, f := range files {
		abs, err := filepath.Abs(f)
		check(t, err)
		expr += " " + abs
	}
	out, err := nixInstantiate(t, "--eval", "--strict", "--json", "--expr", expr+" ]")
	check(t, err)
	var all [][]leaf
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	check(t, d.Decode(&all))
	return all
}

// corpus returns odd but valid files, by name.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.nix")
	check(t, err)
	files := map[string][]byte{}
	for _, n := range names {
		files[n], err = os.ReadFile(n)
		check(t, err)
	}
	return files
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func value(t testing.TB) func(Value, error) Value {
	return func(v Value, err error) Value {
		t.Helper()
		check(t, err)
		return v
	}
}
