package nix

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The error about a value of a wrong type is one line that names the value. It does not have
// the words of a JSON parser or of a function of Nix.
func TestValuesOfAWrongTypeAreNamed(t *testing.T) {
	const bad = `(builtins.substring 0 1 "é")`
	tests := []struct{ schema, value, want string }{
		// Sets that become strings in JSON.
		{"app.fields.meta", `{ outPath = "x"; }`, `it is a derivation, expected a set`},
		{"app.fields.hashes", `{ outPath = "x"; }`, `it is a derivation, expected a set`},
		{"app.fields.needs", `{ bucket.__toString = _: "x"; }`, `it bucket is a set with __toString, expected a set`},
		{"nixComponent.fields.services", `{ web.outPath = "x"; }`, `it web is a derivation, expected a set`},
		{"nixComponent.fields.env", `{ outPath = "x"; }`, `it is a derivation, expected a set`},
		{"app.fields.needs", `{ }`, ""},

		// Texts that JSON cannot represent.
		{"app.fields.meta", `{ description = "x" + ` + bad + `; }`, `it: description is not UTF-8, expected a string`},
		{"nixComponent.fields.command", `[ "é" ` + bad + ` ]`, `it has not UTF-8, expected each to be a string`},
		{"nixComponent.fields.env", `{ A = ` + bad + `; }`, `it A is not UTF-8, expected a string`},
		{"app.fields.hashes", `{ vendorHash = ` + bad + `; }`, `it vendorHash is not UTF-8`},
		{"app.fields.meta", `{ description = "é 日本 😀\n\t"; }`, ""},
		{"app.fields.meta", `{ description = builtins.concatStringsSep "" (builtins.genList (_: "é") 50000); }`, ""},

		// The error names the wrong one of several values, and its type.
		{"nixComponent.fields.volumes", `[ "/x" 1 ]`, `it has 1, expected each to be a string`},
		{"app.fields.meta", `{ maintainers = [ "x" { } ]; }`, `it: maintainers has an empty set, expected each to be a string`},
		{"app.fields.packageVersion", `1.0`, `it is the float 1.000000, expected an integer of at least 1`},
		{"app.fields.hashes", `{ vendorHash = 1; }`, `it vendorHash is 1, expected a string or a set, each a string`},
		{"app.fields.hashes", `{ vendorHash.x86_64-linux = "sha256-x"; }`, ""},
		{"app.fields.version", `builtins.concatStringsSep "" (builtins.genList (_: "日") 5000)`, `日"…, expected letters`},

		// Variables.
		{"nixComponent.fields.env", `{ "A=B" = "x"; }`, `it: "A=B" is not a valid name, expected a variable's name, without "="`},
		{"nixComponent.fields.env", `{ "" = "x"; }`, `it: "" is not a valid name`},
		{"nixComponent.fields.env", `{ "A\nB" = "x"; }`, `it: "A\nB" is not a valid name`},
		{"containerfileComponent.fields.args", `{ "=" = null; }`, `it: "=" is not a valid name`},
		{"nixComponent.fields.env", `{ "spring.datasource.url" = "a=b\nc"; }`, ""},

		// Needs.
		{"app.fields.needs", `{ db = { kind = "postgres"; version = ">=14, <18 || ^19"; extensions = [ "pg_trgm" "uuid-ossp" ]; }; }`, ""},
		{"app.fields.needs", `{ db = { kind = "redis"; version = "7.x"; }; }`, ""},
		{"app.fields.needs", `{ db.version = "new"; }`, `it db: version is "new", expected a version constraint like ">=14, <18"`},
		{"app.fields.needs", `{ db.version = ">="; }`, `expected a version constraint`},
		{"app.fields.needs", `{ db.version = ">=14\n"; }`, `expected a version constraint`},
		{"app.fields.needs", `{ db.extensions = [ "x\"; DROP DATABASE app; --" ]; }`, `expected each to be the name of an extension like "pg_trgm"`},
		{"app.fields.needs", `{ db.extensions = [ "" ]; }`, `expected each to be the name of an extension`},

		// Changes to a source.
		{"changes.patchSource", `[ { url = 1; hash = 2; } ]`, `it has a set with hash, url, expected each to be a path or { url, hash }`},
		{"changes.patchSource", `[ { url = "https://x/y"; hash = "x"; } ]`, `expected each to be a path or { url, hash }`},
		{"changes.patchSource", `"./x.patch"`, `it is "./x.patch", expected a list`},
		{"changes.patchSource", `[ ./x.nix.patch { url = "https://x/y"; hash = "sha256-x"; } ]`, ""},
		{"changes.patchSource", `[ { url = "https://x/y"; hash = "sha256-x"; fixes = [ "CVE-2026-1234" "GHSA-4xqx-pqpj-9fqw" "GO-2026-1" ]; } ]`, ""},
		{"changes.patchSource", `[ { file = ./x.nix.patch; } { file = ./x.nix.patch; fixes = [ ]; origin = "https://x/y"; } ]`, ""},
		{"changes.patchSource", `[ { file = "./x.patch"; } ]`, `it has a set with file, expected each to be a path or { url, hash } or { file }`},
		{"changes.patchSource", `[ { file = ./x.nix.patch; fixes = "CVE-2026-1234"; } ]`, `it has a set with file, fixes, expected`},
		{"changes.patchSource", `[ { file = ./x.nix.patch; fixes = [ "2026-1234" ]; } ]`, `it has a set with file, fixes, expected`},
		{"changes.patchSource", `[ { file = ./x.nix.patch; fixes = [ "CVE-2026-1234\n" ]; } ]`, `it has a set with file, fixes, expected`},
		{"changes.patchSource", `[ { file = ./x.nix.patch; url = "https://x/y"; hash = "sha256-x"; } ]`, `it has a set with file, hash, url, expected`},
		{"changes.patchSource", `[ { url = "https://x/y"; hash = "sha256-x"; origin = "https://x/z"; } ]`, `it has a set with hash, origin, url, expected`},
		{"changes.substituteSource", `{ "a" = 1; }`, `it a is 1, expected a set`},
		{"changes.substituteSource", `{ "a"."" = "x"; }`, `it a: "" is not a valid name, expected a text to replace`},
		{"changes.substituteSource", `{ "a"."x" = 1; }`, `it a x is 1, expected a string`},
		{"changes.addToSource", `{ "a" = "text"; }`, `it a is "text", expected a path`},
		{"changes.addToSource", `{ "../a" = ./x.nix.patch; }`, `it: "../a" is not a valid name, expected a relative path like "src/theme.css", without ".."`},
		{"changes.addToSource", `{ "a/.." = ./x.nix.patch; }`, `it: "a/.." is not a valid name`},
		{"changes.addToSource", `{ "/a" = ./x.nix.patch; }`, `it: "/a" is not a valid name`},
		{"changes.addToSource", `{ "" = ./x.nix.patch; }`, `it: "" is not a valid name`},
		{"changes.addToSource", `{ "a..b/./c" = "${./x.nix.patch}"; }`, ""},
	}
	var expression strings.Builder
	fmt.Fprintf(&expression, "let t = import %s; schema = import %s; in [ ", repositoryFile(t, "nix/types.nix"), repositoryFile(t, "nix/schema.nix"))
	for _, test := range tests {
		fmt.Fprintf(&expression, "(t.check \"\" \"it\" schema.%s (%s)) ", test.schema, test.value)
	}
	expression.WriteString("]")
	file := filepath.Join(t.TempDir(), "x.nix") // positions name this file
	if err := errors.Join(os.WriteFile(file, []byte(expression.String()), 0o644), os.WriteFile(file+".patch", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	evaluate(t, "import "+file, &got)
	for i, test := range tests {
		problems := strings.Join(got[i], "\n")
		if test.want == "" && problems != "" || test.want != "" && (!strings.Contains(problems, test.want) || strings.Contains(problems, "\n") || len(problems) > 500) {
			t.Errorf("%s of %s\n%s\nexpected %q", test.schema, shorten(test.value), shorten(problems), test.want)
		}
	}
}

// An error that types cannot find occurs when the values are read, and fails one app only.
func TestUnreadableValuesFailOnlyTheirApp(t *testing.T) {
	evaluation, err := evaluateAll(t, writeCatalogue(t, define("plain", anyComponent)+
		define("long", anyComponent+`meta.description = builtins.substring 0 9999 (builtins.concatStringsSep "" (builtins.genList (_: "é") 5000));`)), Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(evaluation.Failures["long"]), "apps/long/default.nix: a string is not UTF-8"; !strings.Contains(got, want) {
		t.Errorf("%s\nexpected %s", got, want)
	}
	if _, ok := evaluation.Apps["plain"]; !ok || len(evaluation.Failures) != 1 {
		t.Errorf("the other app was not evaluated, or failed as well: %v", evaluation.Failures)
	}
}

func TestErrorsOfNixJSONLibraryAreReworded(t *testing.T) {
	// Nix 2.26 and 2.34.
	for _, said := range []string{
		"error: [json.exception.type_error.316] incomplete UTF-8 string; last byte: 0xC3",
		"error: JSON serialization error: [json.exception.type_error.316] invalid UTF-8 byte at index 1: 0xC3",
	} {
		err := (&Nix{}).evaluationFailure(t.Context(), "/srv/cat", fmt.Errorf("exit status 1"), said)
		if err.Error() != "evaluating /srv/cat: a string is not UTF-8" {
			t.Errorf("%v", err)
		}
	}
}
