package nixedit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// entry is the text that P stands for in the tests.
const entry = `{ file = ./patches/CVE-2026-1234.patch; fixes = [ "CVE-2026-1234" "GHSA-4xqx-pqpj-9fqw" ]; origin = "https://example.org/abc.patch"; }`

func aPatch(t testing.TB) Patch {
	t.Helper()
	patch, err := NewPatch("./patches/CVE-2026-1234.patch", []string{"CVE-2026-1234", "GHSA-4xqx-pqpj-9fqw"}, "https://example.org/abc.patch")
	check(t, err)
	if patch.String() != entry {
		t.Fatalf("the patch is %s", patch)
	}
	return patch
}

// onLines returns the entry on lines with an indent.
func onLines(indent, unit, lineEnd string) string {
	return indent + strings.Join([]string{"{", unit + "file = ./patches/CVE-2026-1234.patch;",
		unit + `fixes = [ "CVE-2026-1234" "GHSA-4xqx-pqpj-9fqw" ];`, unit + `origin = "https://example.org/abc.patch";`, "}"}, lineEnd+indent) + lineEnd
}

func TestNewPatch(t *testing.T) {
	tests := []struct{ file, fix, origin, want string }{
		{"./patches/x.patch", "", "", "{ file = ./patches/x.patch; }"},
		{"../docs/patches/x.patch", "GO-2026-12", "", `{ file = ../docs/patches/x.patch; fixes = [ "GO-2026-12" ]; }`},
		{"./x y.patch", "", "", `file "./x y.patch": expected a path like ./patches/CVE-2026-1234.patch of 0-9 A-Z a-z . _ + -`},
		{"./${x}.patch", "", "", `file "./${x}.patch": expected a path like ./patches/CVE-2026-1234.patch of 0-9 A-Z a-z . _ + -`},
		{"/etc/x.patch", "", "", `file "/etc/x.patch": expected a path like ./patches/CVE-2026-1234.patch of 0-9 A-Z a-z . _ + -`},
		{"./a.patch", "cve-2026-1", "", `vulnerability "cve-2026-1": expected an ID like CVE-2026-1234`},
		{"./a.patch", `CVE-1" ]; x = [ "`, "", `vulnerability "CVE-1\" ]; x = [ \"": expected an ID like CVE-2026-1234`},
		{"./a.patch", "CVE-" + strings.Repeat("1", 100), "", `vulnerability "CVE-` + strings.Repeat("1", 56) + `"…: expected an ID like CVE-2026-1234`},
		{"./a.patch", "", `https://x/"; y = "`, `origin "https://x/\"; y = \"": expected a URL without spaces, quotes and $`},
		{"./a.patch", "", "https://x/${y}", `origin "https://x/${y}": expected a URL without spaces, quotes and $`},
		{"./a.patch", "", "https://user:password@x/y", `origin "https://user:password@x/y": expected a URL without spaces, quotes and $`},
		{"./a.patch", "", "javascript:1", `origin "javascript:1": expected a URL without spaces, quotes and $`},
	}
	for _, test := range tests {
		var fixes []string
		if test.fix != "" {
			fixes = []string{test.fix}
		}
		patch, err := NewPatch(test.file, fixes, test.origin)
		got := patch.String()
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestAddPatch(t *testing.T) {
	p := aPatch(t)
	tests := []struct{ name, src, want string }{
		{"one line", `{ ‸patches = [ ./a.patch ]; }`, `{ patches = [ ./a.patch P ]; }`},
		{"dense", `{‸patches=[./a.patch];}`, `{patches=[./a.patch P ];}`},
		{"empty", `{ ‸patches = [ ]; }`, `{ patches = [ P ]; }`},
		{"empty and dense", `{ ‸patches = []; }`, `{ patches = [ P ]; }`},
		{"lines", "{\n  ‸patches = [\n    ./a.patch # a\n    # of b\n    ./b.patch\n    # the end\n  ];\n}",
			"{\n  patches = [\n    ./a.patch # a\n    # of b\n    ./b.patch\n    # the end\n" + onLines("    ", "  ", "\n") + "  ];\n}"},
		{"no items", "{\n  ‸patches = [\n  ];\n}", "{\n  patches = [\n" + onLines("    ", "  ", "\n") + "  ];\n}"},
		{"tabs and CRLF", "{\r\n\t‸patches = [\r\n\t\t./a.patch\r\n\t];\r\n}", "{\r\n\tpatches = [\r\n\t\t./a.patch\r\n" + onLines("\t\t", "\t", "\r\n") + "\t];\r\n}"},
		{"odd indent", "{\n  ‸patches = [\n       ./a.patch ./b.patch\n  ];\n}", "{\n  patches = [\n       ./a.patch ./b.patch\n" + onLines("    ", "  ", "\n") + "  ];\n}"},
		{"ends behind an item", "{\n  ‸patches = [ ./a.patch # a\n    ./b.patch /* b */ ];\n}", "{\n  patches = [ ./a.patch # a\n    ./b.patch /* b */ P ];\n}"},
		{"with, nested", `{ ‸patches = with a; with b; [ c ]; }`, `{ patches = with a; with b; [ c P ]; }`},
		{"let and parentheses", `{ ‸patches = (let x = ./x; in assert true; [ x ]); }`, `{ patches = (let x = ./x; in assert true; [ x P ]); }`},
		{"list in a list", `{ ‸patches = [ [ ./a ] ]; }`, `{ patches = [ [ ./a ] P ]; }`},
		{"concatenated", `{ ‸patches = common ++ [ ./a.patch ]; }`, "1:3: patches is not written as [ … ]: add P by hand"},
		{"chosen", `{ ‸patches = if x then [ ] else [ ]; }`, "1:3: patches is not written as [ … ]: add P by hand"},
		{"a name", `let p = [ ]; in { ‸patches = p; }`, "1:19: patches is not written as [ … ]: add P by hand"},
		{"inherited", `{ inherit ‸patches; }`, "1:11: patches is not written as [ … ]: add P by hand"},
		{"a call", `{ ‸patches = map f [ ./a ]; }`, "1:3: patches is not written as [ … ]: add P by hand"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got, want := applied(src, AddPatch{Attribute{"patches", at}, p}), strings.ReplaceAll(test.want, "P", entry); got != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
		}
	}
}

func TestCreatePatches(t *testing.T) {
	p := aPatch(t)
	list := func(indent, unit, lineEnd string) string {
		return indent + "patches = [" + lineEnd + onLines(indent+unit, unit, lineEnd) + indent + "];" + lineEnd
	}
	tests := []struct{ name, src, want string }{
		{"below the source", "{\n  ‸packageVersion = 1;\n  source = {\n    rev = 1;\n  }; # why\n\n  hashes = { };\n}\n",
			"{\n  packageVersion = 1;\n  source = {\n    rev = 1;\n  }; # why\n" + list("  ", "  ", "\n") + "\n  hashes = { };\n}\n"},
		{"below a dotted source", "{\n  ‸packageVersion = 1;\n  source.rev = 1;\n  source.hash = 2;\n}\n",
			"{\n  packageVersion = 1;\n  source.rev = 1;\n  source.hash = 2;\n" + list("  ", "  ", "\n") + "}\n"},
		{"no source", "f {\r\n\t‸packageVersion = 1;\r\n}", "f {\r\n\tpackageVersion = 1;\r\n" + list("\t", "\t", "\r\n") + "}"},
		{"one line", `f { ‸packageVersion = 1; source = { }; x = 1; }`, `f { packageVersion = 1; source = { }; patches = [ P ]; x = 1; }`},
		{"more on the line", "{\n  ‸packageVersion = 1; x = 2;\n}", "{\n  packageVersion = 1; patches = [ P ]; x = 2;\n}"},
		{"before a block comment", "{\n  ‸packageVersion = 1; /* x\n */\n}", "{\n  packageVersion = 1; patches = [ P ]; /* x\n */\n}"},
		{"recursive", `rec { ‸packageVersion = 1; x = 2; }`, `rec { packageVersion = 1; patches = [ P ]; x = 2; }`},
		{"merged", `f ({ ‸packageVersion = 1; } // x)`, `f ({ packageVersion = 1; patches = [ P ]; } // x)`},
		{"there are some", `{ ‸packageVersion = 1; patches = [ ]; }`, "1:3: the set that it is in uses the name patches: write patches = [ P ]; by hand"},
		{"inherited ones", `{ ‸packageVersion = 1; inherit patches; }`, "1:3: the set that it is in uses the name patches: write patches = [ P ]; by hand"},
		{"recursive, used", `rec { ‸packageVersion = 1; x = f patches; }`, "1:7: the set that it is in uses the name patches: write patches = [ P ]; by hand"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got, want := applied(src, CreatePatches{Attribute{"packageVersion", at}, p}), strings.ReplaceAll(test.want, "P", entry); got != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
		}
	}
}

func TestPatchVariant(t *testing.T) {
	p := aPatch(t)
	tests := []struct{ name, src, want string }{
		{"list", `{ patchSource, ... }: { variants.‸lyon = app: patchSource app [ ./a.patch ]; }`,
			`{ patchSource, ... }: { variants.lyon = app: patchSource app [ ./a.patch P ]; }`},
		{"list on lines", "{ patchSource }: { ‸lyon = app: patchSource app [\n    ./a.patch # a\n  ]; }",
			"{ patchSource }: { lyon = app: patchSource app [\n    ./a.patch # a\n" + onLines("    ", "  ", "\n") + "  ]; }"},
		{"list with", `{ patchSource }: { ‸lyon = app: patchSource app (with x; [ y ]); }`, `{ patchSource }: { lyon = app: patchSource app (with x; [ y P ]); }`},
		{"list around others", `{ patchSource }: { ‸lyon = a: (patchSource (f a { }) [ ]); }`, `{ patchSource }: { lyon = a: (patchSource (f a { }) [ P ]); }`},
		{"the app", `{ patchSource }: { ‸lyon = app: app; }`, `{ patchSource }: { lyon = app: patchSource app [ P ]; }`},
		{"an update", `{ patchSource }: { ‸lyon = app: app // { x = 1; }; }`, `{ patchSource }: { lyon = app: patchSource (app // { x = 1; }) [ P ]; }`},
		{"another call", `{ patchSource }: { ‸lyon = app: addToSource app { }; }`, `{ patchSource }: { lyon = app: patchSource (addToSource app { }) [ P ]; }`},
		{"computed list", `{ patchSource }: { ‸lyon = app: patchSource app (a ++ b); }`, `{ patchSource }: { lyon = app: patchSource (patchSource app (a ++ b)) [ P ]; }`},
		{"let", "{ patchSource }: { ‸lyon = app:\n  let y = 1; in\n  app // { inherit y; }; }", "{ patchSource }: { lyon = app:\n  let y = 1; in\n  patchSource (app // { inherit y; }) [ P ]; }"},
		{"formals", `{ patchSource }: { ‸lyon = app@{ version, ... }: if version == "" then app else app; }`,
			`{ patchSource }: { lyon = app@{ version, ... }: patchSource (if version == "" then app else app) [ P ]; }`},
		{"from a let", `let patchSource = x; in { ‸lyon = app: app; }`, `let patchSource = x; in { lyon = app: patchSource app [ P ]; }`},
		{"no argument yet", `{ mkApp, ... }: mkApp { ‸lyon = app: app; }`, `{ mkApp, patchSource, ... }: mkApp { lyon = app: patchSource app [ P ]; }`},
		{"with a default", "{ mkApp ? f { }\n, ... }@args: mkApp { ‸lyon = app: app; }", "{ mkApp ? f { }, patchSource\n, ... }@args: mkApp { lyon = app: patchSource app [ P ]; }"},
		{"no arguments", `args: args.mkApp { ‸lyon = app: app; }`, "1:20: patchSource is not an argument of this file: pass it, and write lyon = app: patchSource (app) [ P ];"},
		{"a file of its own", `{ ‸lyon = app: app // { }; }`, "1:3: patchSource is not an argument of this file: pass it, and write lyon = app: patchSource (app // { }) [ P ];"},
		{"bound twice", "{ patchSource }:\nlet patchSource = 1; in { ‸lyon = app: app; }", "2:27: patchSource is bound at line 1 and again at line 2: rename one of them"},
		{"imported", `{ patchSource }: { ‸lyon = import ./lyon.nix; }`, "1:20: lyon is not written as app: …, but import ./lyon.nix: write lyon = app: patchSource ((import ./lyon.nix) app) [ P ];"},
		{"inherited", `{ patchSource }: { inherit ‸lyon; }`, "1:28: lyon is not written as app: …, but …: write lyon = app: patchSource ((…) app) [ P ];"},
		{"curried", `{ patchSource }: { ‸lyon = a: b: a; }`, "1:20: lyon is not written as app: …, but a: b: a: write lyon = app: patchSource ((a: b: a) app) [ P ];"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		path := "lyon"
		if strings.Contains(test.src, "variants.") {
			at.Column -= len("variants.")
			path = "variants.lyon"
		}
		if got, want := applied(src, PatchVariant{Attribute{path, at}, p}), strings.ReplaceAll(test.want, "P", entry); got != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
		}
	}
}

func TestDropPatchOfAnyForm(t *testing.T) {
	const item = "./patches/CVE-2026-1234.patch"
	tests := []struct{ name, path, item, src, want string }{
		{"a set", "patches", item, `{ ‸patches = [ ./a.patch P ]; }`, `{ patches = [ ./a.patch ]; }`},
		{"a set on lines", "patches", item, "{\n  ‸patches = [\n    ./a.patch\n" + onLines("    ", "  ", "\n") + "    # b\n    ./b.patch\n  ];\n}", "{\n  patches = [\n    ./a.patch\n    # b\n    ./b.patch\n  ];\n}"},
		{"in parentheses, with", "patches", item, `{ ‸patches = with x; [ (P) ./a.patch ]; }`, `{ patches = with x; [ ./a.patch ]; }`},
		{"a URL", "patches", "https://x/a.patch", `{ ‸patches = [ { hash = ""; url = "https://x/a.patch"; } P ]; }`, `{ patches = [ P ]; }`},
		{"another URL", "patches", "https://x/b.patch", `{ ‸patches = [ { hash = ""; url = "https://x/${a}.patch"; } ]; }`, "1:3: patches has no such patch: remove https://x/b.patch by hand"},
		{"a path and a set", "patches", item, `{ ‸patches = [ ./patches/CVE-2026-1234.patch P ]; }`, "1:3: patches has it more than once: remove ./patches/CVE-2026-1234.patch by hand"},
		{"a variant", "lyon", item, `{ ‸lyon = app: patchSource app [ ./lyon.patch P ]; }`, `{ lyon = app: patchSource app [ ./lyon.patch ]; }`},
		{"inside other calls", "lyon", item, `{ ‸lyon = app: addToSource (patchSource app [ P ]) { }; }`, `{ lyon = app: addToSource (patchSource app [ ]) { }; }`},
		{"two calls", "lyon", item, `{ ‸lyon = app: patchSource (patchSource app [ ./a ./b ]) [ P ]; }`, `{ lyon = app: patchSource (patchSource app [ ./a ./b ]) [ ]; }`},
		{"no call", "lyon", item, `{ ‸lyon = app: f app [ P ]; }`, "1:3: lyon is not written as [ … ]: remove ./patches/CVE-2026-1234.patch by hand"},
	}
	for _, test := range tests {
		src, at := mark(t, strings.ReplaceAll(test.src, "P", entry))
		if got, want := applied(src, DropPatch{Attribute{test.path, at}, test.item}), strings.ReplaceAll(test.want, "P", entry); got != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
		}
	}
}

// In Nix, an added patch is the last one, and everything else is as before. After it is dropped
// again, the file is as before.
func TestPatchesAgreeWithNix(t *testing.T) {
	needNix(t)
	p := aPatch(t)
	attribute := func(path string) func(Attribute) Change {
		return map[string]func(Attribute) Change{
			"patches":        func(a Attribute) Change { return AddPatch{a, p} },
			"packageVersion": func(a Attribute) Change { return CreatePatches{a, p} },
			"lyon":           func(a Attribute) Change { return PatchVariant{a, p} },
		}[path]
	}
	definitions := []struct{ path, src string }{
		{"patches", "{ mkApp, ... }: mkApp {\n  version = \"1\";\n  ‸patches = [\n    ./a.patch # [\n    # ]\n  ];\n}"},
		{"patches", "{ mkApp, ... }:\nlet x = { y = ./y.patch; }; in mkApp { version = ''1''; ‸patches = with x; (with { z = 1; }; [ y ./z ]); }"},
		{"packageVersion", "{ mkApp, ... }: mkApp rec {\n  version = \"${toString packageVersion}\"; ‸packageVersion = 1; source = { }; a = source; }"},
		{"packageVersion", "{ mkApp, ... }: mkApp ({\r\n  ‸packageVersion = 1; # x\r\n\r\n} // { version = \"2\"; })"},
		{"lyon", "{ mkApp, patchSource, ... }: mkApp { variants = {\n  ‸lyon = app: patchSource app [ ./lyon.patch ]; }; }"},
		{"lyon", "{ mkApp, ... }: mkApp { x = 1; variants = { ‸lyon = app: let y = app.x; in app // { z = y; }; other = app: app; }; }"},
		{"lyon", "{ mkApp, ... }: mkApp { variants = { ‸lyon = app: if app ? x then app else app; }; }"},
	}
	for i, test := range definitions {
		src, at := mark(t, test.src)
		after := applied(src, attribute(test.path)(Attribute{test.path, at}))
		was, is := definition(t, i, src), definition(t, i, after)
		list := "patches"
		if test.path == "lyon" {
			list = "lyon"
		}
		added, _ := is[list].([]any)
		before, _ := was[list].([]any)
		want := map[string]any{"file": "CVE-2026-1234.patch", "fixes": []any{"CVE-2026-1234", "GHSA-4xqx-pqpj-9fqw"}, "origin": "https://example.org/abc.patch"}
		if len(added) != len(before)+1 || !reflect.DeepEqual(added[len(added)-1], want) || len(before) > 0 && !reflect.DeepEqual(added[:len(before)], before) {
			t.Errorf("%s\nhas %v, before %v", after, added, before)
		}
		delete(was, list)
		delete(is, list)
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%s\nis %v, before %v", after, is, was)
		}
		if test.path == "patches" {
			if back := applied(after, DropPatch{Attribute{"patches", at}, "./patches/CVE-2026-1234.patch"}); back != src {
				t.Errorf("dropped again:\n%s\nbefore\n%s", back, src)
			}
		}
	}
}

// definition evaluates a definition with stubs of libre's functions.
func definition(t *testing.T, i int, src string) map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), fmt.Sprint(i, ".nix"))
	check(t, os.WriteFile(file, []byte(src), 0o644))
	out, err := nixInstantiate(t, "--eval", "--strict", "--json", "--expr", `
let
  plain = v: if builtins.isPath v then baseNameOf v else if builtins.isAttrs v then builtins.mapAttrs (_: plain) v else if builtins.isList v then map plain v else v;
  app = import `+file+` { mkApp = x: x; patchSource = app: p: app // { changes = (app.changes or [ ]) ++ p; }; };
  lyon = if app ? variants then app.variants.lyon (removeAttrs app [ "variants" ]) else { };
in
plain (removeAttrs app [ "variants" ] // { lyon = lyon.changes or [ ]; rest = removeAttrs lyon [ "changes" ]; patches = app.patches or [ ]; })`)
	if err != nil {
		t.Fatalf("%s\n%v", src, err)
	}
	var value map[string]any
	check(t, json.Unmarshal(out, &value))
	return value
}
