package nix

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/libresh/libre/internal/catalog"
	nixcode "github.com/libresh/libre/nix"
)

// requireNix returns the machine's nix. Without nix the test is skipped, unless all tests are
// requested: then it fails.
func requireNix(t *testing.T) *Nix {
	t.Helper()
	if _, err := exec.LookPath("nix"); err != nil {
		if os.Getenv("LIBRE_TEST_ALL") != "" {
			t.Fatal(ErrMissing)
		}
		t.Skip(ErrMissing)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return &Nix{CacheDir: filepath.Join(cache, "libre"), LogDir: t.TempDir()}
}

const flakeNix = `{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.libre.url = "github:libresh/libre";
  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue { inherit nixpkgs; apps = ./apps; };
}
`

// writeCatalogue writes a catalogue with the files of a txtar archive.
func writeCatalogue(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	files := txtar.Parse([]byte(archive)).Files
	lock, err := fs.ReadFile(nixcode.Template(), "flake.lock")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, txtar.File{Name: "flake.nix", Data: []byte(flakeNix)}, txtar.File{Name: "flake.lock", Data: lock})
	for _, file := range files {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// evaluateAll evaluates everything that needs no package set. With the host package set it
// evaluates everything.
func evaluateAll(t *testing.T, dir, packageSet string) (*Evaluation, error) {
	t.Helper()
	n := requireNix(t)
	catalogue, err := n.OpenCatalogue(context.Background(), dir, packageSet)
	if err != nil {
		t.Fatal(err)
	}
	var systems []string
	if packageSet == HostPackageName {
		systems = []string{"x86_64-linux"}
	}
	return catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All, Systems: systems})
}

// one returns a definition that is correct apart from extra.
func one(extra string) string {
	return "-- apps/one/default.nix --\n{ mkApp, pkgs, patchSource, substituteSource, addToSource, ... }:\nmkApp rec {\n" +
		"  name = \"one\";\n  version = \"1.0\";\n  packageVersion = 1;\n" + extra + "\n}\n"
}

const server = `  components.web.package = { source, ... }: pkgs.runCommand "web" { } "mkdir $out";` + "\n"

func TestDefinitionErrors(t *testing.T) {
	requireNix(t)
	tests := []struct{ name, catalogue, want string }{
		{"syntax", "-- apps/one/default.nix --\n{ mkApp, ... }:\nmkApp {\n  name = ;\n}\n",
			"apps/one/default.nix:3:10: syntax error, unexpected ';'"},
		{"port", one(`components.web = { package = { ... }: 1; ports.http = "80"; };`),
			`one: component web: ports http is "80", expected an integer from 1 to 65535`},
		{"unknown attribute", one(`components.web = { package = { ... }: 1; entrypiont = [ "x" ]; };`),
			"one: component web: unknown attribute entrypiont, expected one of command, description, directories, entrypoint,"},
		{"unknown app attribute", one(server + `pakageVersion = 1;`), "one: unknown attribute pakageVersion, expected one of "},
		{"missing", "-- apps/one/default.nix --\n{ mkApp, ... }: mkApp { name = \"one\"; version = \"1\"; components.web.package = { ... }: 1; }\n",
			"one: packageVersion is missing, expected an integer of at least 1"},
		{"illegal version", strings.Replace(one(server), `"1.0"`, `"1.0+git"`, 1),
			`one: version is "1.0+git", expected letters, digits, ".", "_" and "-" only`},
		{"illegal component", one(`components."Web" = { package = { ... }: 1; };`),
			`one: components: "Web" is not a valid name, expected lower-case letters`},
		{"neither kind", one(`components.web = { ports.http = 80; };`), "one: component web: expected either package (a derivation) or containerfile"},
		{"both kinds", one(`components.web = { package = { ... }: 1; containerfile = "x"; };`), "one: component web: has both package and containerfile"},
		{"no components", one(`components = { };`), "one: components is empty, expected at least one"},
		{"source kinds", one(server + `source = { url = "https://x/y.tar.gz"; path = ./.; };`),
			"one: source: expected exactly one of git, github, goModule, path, url"},
		{"source hash", one(server + `source = { url = "https://x/y.tar.gz"; hash = "abc"; };`), `one: source: hash is "abc", expected a hash like`},
		{"source date", one(server + `source = { path = ./.; date = "July"; };`), `one: source: date is "July", expected a date like "2026-07-09"`},
		{"tag or rev", one(server + `source = { github = "a/b"; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };`),
			"one: source: expected either tag or rev"},
		{"describe without a tag", one(server + `source = { github = "a/b"; rev = "main"; describe = true; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };`),
			"one: source: describe needs tag, for git describe"},
		{"describe of a commit", one(server + `source = { git = "https://x/y"; rev = "` + strings.Repeat("a", 40) + `"; describe = true; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };`),
			"one: source: describe needs tag, for git describe"},
		{"describe of an archive", one(server + `source = { url = "https://x/y.tar.gz"; describe = true; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };`),
			"one: source: unknown attribute describe, expected one of"},
		{"describe as a text", one(server + `source = { github = "a/b"; tag = "v1"; describe = "yes"; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };`),
			`one: source: describe is "yes", expected true or false`},
		{"name of folder", strings.Replace(one(server), `name = "one"`, `name = "other"`, 1), `apps/one: name is "other", expected the folder's name`},
		{"built-in variant", one(server + `variants.debug = app: app;`), "one: variant debug is built in, choose another name"},
		{"variant's component", one(server + `variants.lyon = app: app // { components = app.components // { wbe = { }; }; };`),
			"one: variant lyon: unknown component wbe, expected one of web"},
		{"variant's version", one(server + `variants.lyon = app: app // { version = "2"; };`), "one: variant lyon changes version, which a variant must not change"},
		{"variant's type", one(server + `variants.lyon = app: app // { components.web = app.components.web // { ports.http = 0; }; };`),
			"one: variant lyon: component web: ports http is 0, expected an integer from 1 to 65535"},
		{"variant is no app", one(server + `variants.lyon = app: [ ];`), "one: variant lyon returns a list, expected the changed app"},
		{"variant's needs", one(server + `variants.lyon = app: app // { needs = "x"; };`), `one: variant lyon: needs is "x", expected a set`},
		{"variant's migration", one(server + `variants.lyon = app: app // { migration.kind = 1; };`), `one: variant lyon: migration: kind is 1, expected one of automatic, manual, none`},
		{"variant's hashes", one(server + `variants.lyon = app: app // { hashes.vendorHash = 1; };`), `one: variant lyon: hashes vendorHash is 1, expected a string or a set`},
		{"variant's changes", one(server + `source.path = ./.; variants.lyon = app: app // { changes = [ { patch = 1; } ]; };`), `one: variant lyon: changes: patch is 1, expected a path or { url, hash }`},
		{"variant without the app's changes", one(server + `source.path = ./.; patches = [ ./default.nix ]; variants.lyon = app: app // { changes = [ ]; };`),
			"one: variant lyon: changes lacks the app's own: add to them with patchSource"},
		{"variant's patch", one(server + `source.path = ./.; variants.lyon = app: patchSource app [ "./x.patch" ];`), `one: patchSource has "./x.patch", expected each to be a path or { url, hash }`},
		{"patch ignored by a derivation", one(`components.web.package = { outPath = "x"; }; source.path = ./.; variants.lyon = app: substituteSource app { a.b = "c"; };`),
			"one: variant lyon: component web: the source is patched, but package ignores it"},
		{"patch ignored by a function", one(`components.web.package = { version, ... }: 1; source.path = ./.; patches = [ ./default.nix ];`),
			"one: component web: the source is patched, but package ignores it: expected package = { source, ... }"},
		{"patch without source", one(server + `patches = [ ./default.nix ];`), "one: has patches but no source"},

		{"metadata forces pkgs", one(server + `meta.description = pkgs.hello.version;`),
			"apps/one: versions, source, ports and needs must be plain data, but use pkgs"},
		{"path", one(`components.web = { package = { ... }: 1; volumes = [ "/data" "var/x" ]; };`),
			`one: component web: volumes "var/x" is relative, expected an absolute path like "/var/x"`},
		{"path of a variant", one(server + `variants.lyon = app: app // { components.web = app.components.web // { volumes = [ "/nix" ]; }; };`),
			`one: variant lyon: component web: volumes "/nix" is reserved for the Nix store`},
		{"Containerfile without a source", one(`components.web.containerfile = "Dockerfile";`), "one: component web: a Containerfile needs a source"},
		{"user with zeros", one(`components.web = { package = { ... }: 1; user = "0100:07"; };`),
			`one: component web: user is "0100:07", expected a numeric user like "1001" or "1001:127", without leading zeros`},
		{"user out of range", one(`components.web = { package = { ... }: 1; user = "99999999999999999999"; };`), `user is "99999999999999999999", expected a numeric user`},
		{"user by name", one(`components.web = { package = { ... }: 1; user = "www-data"; };`), `user is "www-data", expected a numeric user`},
		{"user of three parts", one(`components.web = { package = { ... }: 1; user = "1:2:3"; };`), `user is "1:2:3", expected a numeric user`},
		{"negative owner", one(`components.web = { package = { ... }: 1; directories."/x".uid = -1; };`), `uid is -1, expected an integer from 0 to 2147483647`},
		{"not mkApp", "-- apps/one/default.nix --\n{ ... }: { }\n", "apps/one/default.nix: expected the result of mkApp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			evaluation, err := evaluateAll(t, writeCatalogue(t, test.catalogue+"-- apps/two/default.nix --\n"+
				"{ mkApp, pkgs, ... }: mkApp { name = \"two\"; version = \"1\"; packageVersion = 1; components.web.package = pkgs.nothing; }\n"), Nixpkgs)
			if err != nil {
				t.Fatal(err)
			}
			got := evaluation.Failures["one"]
			if got == nil || !strings.Contains(got.Error(), test.want) || strings.Contains(got.Error(), "\n") {
				t.Errorf("error %q\nexpected %q", got, test.want)
			}
			if _, ok := evaluation.Apps["two"]; !ok {
				t.Error("the other app was not evaluated")
			}
		})
	}
}

// An error names the line of the wrong attribute.
func TestDefinitionErrorsNameTheLine(t *testing.T) {
	requireNix(t)
	for _, test := range []struct{ name, definition, want string }{
		{"type", one("  components.web = { package = { ... }: 1;\n    ports.http = \"80\"; };"), "7:5: one: component web: ports http is"},
		{"unknown", one(server + "  pakageVersion = 1;"), "7:3: one: unknown attribute pakageVersion"},
		{"missing", strings.Replace(one(server), "packageVersion = 1;", "", 1), "3:3: one: packageVersion is missing"},
		{"path", one("  components.api.package = { ... }: 1;\n  components.web = { package = { ... }: 1; volumes = [ \"/nix\" ]; };"), "7:3: one: component web: volumes"},
		{"source", one(server + "  source = {\n    url = \"https://x/y.tar.gz\";\n    hash = \"abc\"; };"), "9:5: one: source: hash is"},
		{"no source", one("\n  components.web.containerfile = \"Dockerfile\";"), "7:3: one: component web: a Containerfile needs a source"},
		{"variant", one(server + "\n  variants.lyon = app: [ ];"), "8:3: one: variant lyon returns a list"},
		{"component of a variant", one(server + "  variants.lyon = app: app // { components =\n    { web = app.components.web // { stopSignal = 3; }; }; };"), "8:37: one: variant lyon: component web: stopSignal is 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			evaluation, err := evaluateAll(t, writeCatalogue(t, test.definition), Nixpkgs)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(evaluation.Failures["one"]); !strings.HasPrefix(got, "apps/one/default.nix:"+test.want) {
				t.Errorf("error %q\nexpected apps/one/default.nix:%s", got, test.want)
			}
		})
	}
}

func TestDeclaredFileThatIsAFolder(t *testing.T) {
	dir := writeCatalogue(t, one("  components.web = { package = { ... }: pkgs.writeText \"x\" \"\"; files.\"/srv\".source = ./folder; files.\"/x\".source = ./folder/x; };")+
		"-- apps/one/folder/x --\n")
	evaluation, err := evaluateAll(t, dir, HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(evaluation.Failures["one"]); !strings.Contains(got, `apps/one/default.nix`) || !strings.Contains(got, `one: component web: files "/srv": source is a folder, expected a file`) {
		t.Errorf("got %s", got)
	}
}

// If Nix's error has no position, libre's error names the app.
func TestFailuresNameTheApp(t *testing.T) {
	dir := writeCatalogue(t, one(server)+
		"-- apps/deep/default.nix --\n{ mkApp, ... }: let f = n: 1 + f (n + 1); in mkApp { name = \"deep\"; version = \"1\"; packageVersion = f 0; components = { }; }\n"+
		"-- apps/folder/default.nix/README --\n-- apps/gone/default.nix --\n{ mkApp, ... }: mkApp (import ./gone.nix)\n"+
		"-- apps/argument/default.nix --\n{ mkApp, pkgz }: mkApp { }\n")
	evaluation, err := evaluateAll(t, dir, Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"deep": "apps/deep/default.nix", "folder": "apps/folder/default.nix", "gone": "apps/gone/default.nix", "argument": "apps/argument/default.nix:1:1"} {
		if got := fmt.Sprint(evaluation.Failures[name]); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, ok := evaluation.Apps["one"]; !ok {
		t.Error("the other app was not evaluated")
	}
}

// A link that points to itself fails only the app whose evaluation follows it.
func TestLinkLoopFailsOnlyItsApp(t *testing.T) {
	dir := writeCatalogue(t, one(server)+define("inside", anyComponent+`meta.description = builtins.readFile ./text;`))
	links := map[string]string{
		"apps/loop": "loop", "apps/there": "back", "apps/back": "there", "apps/own": "own/x",
		"apps/file/default.nix": "default.nix", "apps/inside/text": "text",
	}
	for name, to := range links {
		link(t, dir, name, to)
	}
	evaluation, err := evaluateAll(t, dir, Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := evaluation.Apps["one"]; !ok || len(evaluation.Failures) != len(links) {
		t.Errorf("apps %v, failures %v", evaluation.Apps, evaluation.Failures)
	}
	for name := range links {
		want := name + ": a symbolic link that points to itself; make it point to an existing file, or remove it"
		if got := fmt.Sprint(evaluation.Failures[strings.Split(name, "/")[1]]); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Only following the link shows whether it is an app.
	link(t, dir, "apps/README.md", "README.md")
	if _, err = evaluateAll(t, dir, Nixpkgs); !strings.Contains(fmt.Sprint(err), "apps/README.md") {
		t.Errorf("it is not named: %v", err)
	}
}

func TestMetadata(t *testing.T) {
	dir := writeCatalogue(t, one(`
  source = { github = "owner/one"; tag = "v${version}"; date = "2026-01-02";
    hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };
  hashes.vendorHash = "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
  components.web = { containerfile = "Dockerfile"; ports.http = 80; health = "/up";
    bases."python:3" = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    services.worker.command = [ "work" ]; };
  variants.lyon = app: patchSource app [ ./x.patch ];
  needs.postgres.extensions = [ "pg_trgm" ];
  meta = { license = "MIT"; };
`)+"-- apps/one/x.patch --\n")
	evaluation, err := evaluateAll(t, dir, Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	app := evaluation.Apps["one"]
	if app.Source == nil || app.Source.Kind != "github" || app.Source.Revision != "v1.0" || app.Source.Page != "https://github.com/owner/one" {
		t.Errorf("source %+v", app.Source)
	}
	if got := strings.Join(app.Variants, " "); got != "default debug lyon" {
		t.Errorf("variants %q", got)
	}
	web := app.Components["web"]
	if web.Kind != "containerfile" || web.Ports["http"] != 80 || web.License != "MIT" || web.Services["worker"].Command[0] != "work" {
		t.Errorf("component %+v", web)
	}
	for attribute, want := range map[string]place{
		"version": {4, 3}, "packageVersion": {5, 3}, "source.hash": {8, 5},
		"hashes.vendorHash": {9, 3}, "components.web.bases.python:3": {11, 5},
	} {
		got := app.Positions[attribute]
		if got == nil || got.File != "apps/one/default.nix" || got.Line != want.line || got.Column != want.column {
			t.Errorf("%s is at %+v, expected line %d, column %d", attribute, got, want.line, want.column)
		}
	}
}

// place is a line and a column.
type place struct{ line, column int }
