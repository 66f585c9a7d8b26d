package nixtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// pinned finds, among what libre has put into a machine's store, the folder with a
// file, and gives it as flake.lock has a path input.
func pinned(t *testing.T, m machine, file string) string {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(m.home, ".cache/libre/sources/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range notes {
		text, err := os.ReadFile(note)
		var source struct{ Path, NarHash string }
		if err != nil || json.Unmarshal(text, &source) != nil {
			t.Fatal(note, err)
		}
		if _, err := os.Stat(filepath.Join(m.nix, strings.TrimPrefix(source.Path, "/nix/"), file)); err == nil {
			return fmt.Sprintf(`{"locked":{"lastModified":0,"narHash":%q,"path":%q,"type":"path"},"original":{"path":%[2]q,"type":"path"}}`, source.NarHash, source.Path)
		}
	}
	t.Fatalf("no source with %s in %v", file, notes)
	return ""
}

// A catalogue whose nixpkgs is a folder that flake.lock pins is used as it is, without
// --package-set: what is kept and what is signed says so.
func TestPathInputIsThePackageSet(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox", "unshare")
	m := newMachine(t, libre.Catalogue(t, map[string]string{
		"one/default.nix": `{ mkApp, pkgs, ... }: mkApp { name = "one"; version = "1"; packageVersion = 1;
  components.web.package = { ... }: pkgs.runCommand "one" { } "mkdir $out; echo one > $out/page"; }
`}, "x86_64-linux"), "")
	replaced, _ := m.run(t, 0, "build", "--all", "--output", libre.TempDir(t))

	lock := fmt.Sprintf(`{"nodes":{"libre":%s,"nixpkgs":%s,"root":{"inputs":{"libre":"libre","nixpkgs":"nixpkgs"}}},"root":"root","version":7}`,
		pinned(t, m, "mkCatalogue.nix"), pinned(t, m, "host.json"))
	flake, err := os.ReadFile(filepath.Join(m.dir, "flake.nix"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`inputs\.nixpkgs\.url = "[^"]*"`).ReplaceAllString(string(flake), `inputs.nixpkgs.url = "path:`+pathOf(t, lock, "nixpkgs")+`"`)
	text = regexp.MustCompile(`inputs\.libre\.url = "[^"]*"`).ReplaceAllString(text, `inputs.libre.url = "path:`+pathOf(t, lock, "libre")+`"`)
	text = regexp.MustCompile(`(?m)^.*inputs\.nixpkgs\.follows.*\n`).ReplaceAllString(text, "")
	for name, content := range map[string]string{"flake.nix": text, "flake.lock": lock, "libre.yaml": "sign:\n  key: cosign.key\n"} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	libre.Tool(t, "git", "-C", m.dir, "add", "--all")
	m.env = append(m.env, "LIBRE_PACKAGE_SET=")

	if got, _ := m.run(t, 0, "list"); !strings.HasPrefix(got, "one\t1-1\tweb\t") {
		t.Errorf("list:\n%s", got)
	}
	built, _ := m.run(t, 0, "build", "--all")
	if references(built) != references(replaced) {
		t.Errorf("built\n%s\nexpected what --package-set host built\n%s", built, replaced)
	}
	outcomes := func() int {
		files, err := os.ReadDir(filepath.Join(m.home, ".cache/libre/evaluations"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	kept := outcomes()
	m.run(t, 0, "list")
	m.run(t, 0, "build", "--all")
	if again := outcomes(); kept < 2 || again != kept {
		t.Errorf("%d outcomes were kept, then %d", kept, again)
	}

	registry := host(t)
	m.run(t, 0, "keygen")
	pushed, _ := m.run(t, 0, "push", "--all", "--to", registry)
	m.run(t, 0, "verify", "--all", "--to", registry)
	dependencies, _ := provenance(t, pushed)
	said := fmt.Sprint(dependencies)
	for _, want := range []string{"flake input nixpkgs", "file://" + pathOf(t, lock, "nixpkgs"), "host package go", "host package busybox", "pkg:generic/go@", "narHash:sha256-"} {
		if !strings.Contains(said, want) {
			t.Errorf("the provenance lacks %q:\n%s", want, said)
		}
	}
	if got, _ := m.run(t, 0, "plan", "--all", "--to", registry); strings.Contains(got, "\tbuild\t") || strings.Contains(got, "\tpush\t") {
		t.Errorf("plan after push:\n%s", got)
	}
}

// pathOf is where a flake.lock has a path input.
func pathOf(t *testing.T, lock, input string) string {
	t.Helper()
	var read struct {
		Nodes map[string]struct{ Locked struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(lock), &read); err != nil {
		t.Fatal(err)
	}
	return read.Nodes[input].Locked.Path
}
