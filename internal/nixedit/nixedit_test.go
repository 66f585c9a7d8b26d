package nixedit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

const (
	oldHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	newHash = "sha256-Xomq2i1t1POgggcAR8FAWf+Lr0y6YOKGvANFOv/BH20="
)

var newDigest = "sha256:" + strings.Repeat("0f", 32)

// mark removes the ‸ from a source, and returns its place.
func mark(t testing.TB, src string) (string, catalog.Position) {
	t.Helper()
	before, after, ok := strings.Cut(src, "‸")
	if !ok {
		t.Fatalf("no place in %q", src)
	}
	line := strings.Count(before, "\n")
	return before + after, catalog.Position{File: "apps/docs/default.nix", Line: line + 1, Column: len(before) - strings.LastIndex(before, "\n")}
}

// ‸ marks the attribute's place.
func TestFind(t *testing.T) {
	tests := []struct {
		path, src, want string
	}{
		{"version", `{ ‸version = "1.0"; }`, `literal "1.0" at 1:13`},
		{"packageVersion", `{ ‸packageVersion = 3; }`, `literal 3 at 1:20`},
		{"source.hash", `{ source = { ‸hash = "x"; }; }`, `literal "x" at 1:21`},
		{"source.hash", `{ ‸source.hash = "x"; }`, `literal "x" at 1:17`},
		{`bases."a.b:1"`, `{ bases = { ‸"a.b:1" = "x"; }; }`, `literal "x" at 1:23`},
		{`bases.a.b:1`, `{ ‸bases."a.b:1" = "x"; }`, `literal "x" at 1:19`},
		{"version", `let ver = "1.0"; in { ‸version = ver; }`, `identifier "1.0" at 1:11`},
		{"version", `rec { ver = "1.0"; ‸version = ver; }`, `identifier "1.0" at 1:13`},
		{"version", `x: with x; let ver = "1.0"; in f { ‸version = ver; }`, `identifier "1.0" at 1:22`},
		{"tag", `rec { version = "1"; ‸tag = "v${version}"; }`,
			`derived: 1:22: tag is made of other values ("v${version}"): change those, libre edits literals only`},
		{"version", "{\n  ‸version = builtins.readFile ./VERSION; }",
			"computed: 2:3: version is computed (builtins.readFile ./VERSION): libre edits literals only"},
		{"version", `{ ‸version = ("1.0"); }`, `computed: 1:3: version is computed (("1.0")): libre edits literals only`},
		{"version", "{ ‸version = \"1.\" + \"\x1b[31m\u202e2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\"; }",
			"computed: 1:3: version is computed (\"1.\" + \"\ufffd[31m\ufffd2 3 4 5 6 7 8 9 10 11 12 1…): libre edits literals only"},
		{"version", `{ inherit ‸version; }`, "inherited: 1:11: version is inherited: write version = …; here, libre edits literals only"},
		{"version", `{ inherit‸ name version; }`, "inherited: 1:10: version is inherited: write version = …; here, libre edits literals only"},
		{"version", `{ inherit (x)‸ name version; }`, "inherited: 1:14: version is inherited: write version = …; here, libre edits literals only"},
		{"version", `{ ‸version = ver; }`, "identifier: 1:3: version is ver, which this file does not bind: libre edits literals only"},
		{"version", "{ ver }:\nlet ver = \"1\"; in { ‸version = ver; }",
			"identifier: 2:21: version is ver, which is bound at line 1 and again at line 2: rename one of them"},
		{"version", "let ver = \"1\"; in\nrec { ‸version = ver; ver = \"2\"; }",
			"identifier: 2:7: version is ver, which is bound at line 1 and again at line 2: rename one of them"},
		{"version", `ver: { ‸version = ver; }`, "identifier: 1:8: version is ver, an argument of the function at line 1: libre edits literals only"},
		{"version", `{ ver ? "1", ... }: { ‸version = ver; }`, "identifier: 1:23: version is ver, an argument of the function at line 1: libre edits literals only"},
		{"version", `ver@{ ... }: { ‸version = ver; }`, "identifier: 1:16: version is ver, an argument of the function at line 1: libre edits literals only"},
		{"version", `let ver.x = "1"; in { ‸version = ver; }`, "identifier: 1:23: version is ver, a set at line 1: libre edits literals only"},
		{"version", `let inherit (x) ver; in { ‸version = ver; }`, "identifier: 1:27: version is ver, which is inherited at line 1: libre edits literals only"},
		{"version", `let a = "1"; ver = a; in { ‸version = ver; }`, "identifier: 1:28: version is ver, which is not a literal at line 1 (a): libre edits literals only"},
		{"version", `let ver = "${a}"; in { ‸version = ver; }`, `identifier: 1:24: version is ver, which is not a literal at line 1 ("${a}"): libre edits literals only`},
		{"version", `{ ver = "1"; sub = { ‸version = ver; }; }`, "identifier: 1:22: version is ver, which this file does not bind: libre edits literals only"},
		{"version", `{ v‸ersion = "1"; }`, "error: 1:4: version is not here: did the file change since it was evaluated?"},
		{"version", "{ version = \"1\"; }\n\n‸", "error: 3:1: version is not here: did the file change since it was evaluated?"},
		{"version", `{ ‸name = "1"; }`, "error: 1:3: version is written as name: libre edits attributes under their own names only"},
		{"source.hash", `let s.hash = "1"; in { ‸s.hash = 1; }`, "error: 1:24: source.hash is written as s.hash: libre edits attributes under their own names only"},
		{"version", `{ ‸${"version"} = "1"; }`, `error: 1:3: version is written as ${"version"}: libre edits attributes under their own names only`},
		{"version", `{ ‸version = "1; }`, "error: 1:18: a string has no end"},
		{"version", `{ ‸version = ; }`, "error: 1:13: unexpected ;"},
		{"version", `{ ‸version = "1";`, "error: 1:17: unexpected end of the file"},
		{"version", `} ‸version`, "error: 1:1: unexpected }"},
		{"version", `{ ‸version = 1 ~ 2; }`, `error: 1:15: unexpected '~'`},
		{"version", "‸" + strings.Repeat("[", 5000), "error: 1:1000: nested too deeply"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got := describe(Find([]byte(src), Attribute{test.path, at})); got != test.want {
			t.Errorf("%.200s\n got %s\nwant %s", test.src, got, test.want)
		}
	}
}

func describe(found Found, err error) string {
	short := func(err error) string { return strings.ReplaceAll(err.Error(), "apps/docs/default.nix:", "") }
	switch {
	case err != nil:
		return "error: " + short(err)
	case found.Refusal != nil:
		return fmt.Sprintf("%s: %s", found.Kind, short(found.Refusal))
	case found.Integer:
		return fmt.Sprintf("%s %s at %d:%d", found.Kind, found.Text, found.Literal.Line, found.Literal.Column)
	}
	return fmt.Sprintf("%s %q at %d:%d", found.Kind, found.Text, found.Literal.Line, found.Literal.Column)
}

func TestSet(t *testing.T) {
	v := value(t)
	tests := []struct {
		path  string
		value Value
		src   string
		want  string
	}{
		{"version", v(Version("1.1")), `{ ‸version = "1.0"; }`, `{ version = "1.1"; }`},
		{"version", v(Version("1.1")), "{ ‸version/**/=#x\r\n''1.0''/*y*/; # z\r\n}\r\n", "{ version/**/=#x\r\n''1.1''/*y*/; # z\r\n}\r\n"},
		{"version", v(Version("1.1")), `let ver = "1.0"; in { ‸version = ver; }`, `let ver = "1.1"; in { version = ver; }`},
		{"version", v(Version("1.1")), "{\n\tversion2 = \"1.0\"; ‸version = \"1.0\"; }", "{\n\tversion2 = \"1.0\"; version = \"1.1\"; }"},
		{"hash", v(Hash("")), `{ ‸hash = "` + oldHash + `"; }`, `{ hash = ""; }`},
		{"hash", v(Hash("")), `{ ‸hash = ''` + oldHash + `''; }`, `{ hash = ''''; }`},
		{"hash", v(Hash(newHash)), `{ ‸hash = ""; }`, `{ hash = "` + newHash + `"; }`},
		{"packageVersion", v(Integer(12)), `{‸packageVersion=9;}`, `{packageVersion=12;}`},
		{"packageVersion", v(Integer(12)), `{ ‸packageVersion = "9"; }`, "1:3: packageVersion is a string, expected an integer"},
		{"version", v(Version("1.1")), `{ ‸version = 1; }`, "1:3: version is an integer, expected a string"},
		{"version", v(Version("1.1")), `{ ‸version = 1.0; }`, "1:3: version is computed (1.0): libre edits literals only"},
		{"version", Value{}, `{ ‸version = "1"; }`, "1:3: version has no new value"},
		{"tag", v(Version("1.1")), `rec { version = "1"; ‸tag = "v${version}"; }`, `1:22: tag is made of other values ("v${version}"): change those, libre edits literals only`},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got := applied(src, Set{Attribute{test.path, at}, test.value}); got != test.want {
			t.Errorf("%q\n got %q\nwant %q", test.src, got, test.want)
		}
	}
}

// applied returns the changed file, or the error without the file's name.
func applied(src string, changes ...Change) string {
	const name = "apps/docs/default.nix"
	changed, err := Apply(map[string][]byte{name: []byte(src)}, changes...)
	if err != nil {
		return strings.ReplaceAll(err.Error(), name+":", "")
	}
	if out, ok := changed[name]; ok {
		return string(out)
	}
	return src
}

func TestApplyManyChanges(t *testing.T) {
	v := value(t)
	one := "let ver = \"1.0\"; in {\n  version = ver; copy = ver; packageVersion = 9;\n  hash = \"" + oldHash + "\"; hash2 = \"" + oldHash + "\";\n}\n"
	two := "{ date = \"2026-01-01\"; }\n"
	attribute := func(file, path string, line, column int) Attribute {
		return Attribute{path, catalog.Position{File: file, Line: line, Column: column}}
	}
	files := map[string][]byte{"one.nix": []byte(one), "two.nix": []byte(two), "three.nix": []byte("not Nix }")}
	changes := []Change{
		Set{attribute("two.nix", "date", 1, 3), v(Date("2026-02-02"))},
		Set{attribute("one.nix", "hash", 3, 3), v(Hash(newHash))},
		Set{attribute("one.nix", "packageVersion", 2, 30), v(Integer(10))},
		Set{attribute("one.nix", "version", 2, 3), v(Version("1.10.0"))},
		Set{attribute("one.nix", "copy", 2, 18), v(Version("1.10.0"))}, // the same literal
	}
	changed, err := Apply(files, changes...)
	check(t, err)
	wantOne := "let ver = \"1.10.0\"; in {\n  version = ver; copy = ver; packageVersion = 10;\n  hash = \"" + newHash + "\"; hash2 = \"" + oldHash + "\";\n}\n"
	if got := string(changed["one.nix"]); got != wantOne {
		t.Errorf("one.nix:\n%s", got)
	}
	if got := string(changed["two.nix"]); got != "{ date = \"2026-02-02\"; }\n" {
		t.Errorf("two.nix:\n%s", got)
	}
	if len(changed) != 2 {
		t.Errorf("changed %q", slices.Collect(maps.Keys(changed)))
	}
	if string(files["one.nix"]) != one {
		t.Error("the argument was changed")
	}

	refused := func(want string, more ...Change) {
		t.Helper()
		changed, err := Apply(files, append(slices.Clone(changes), more...)...)
		if err == nil || err.Error() != want || changed != nil {
			t.Errorf("error %v, expected %s", err, want)
		}
	}
	refused("one.nix:1:12: two different changes of the same place", Set{attribute("one.nix", "version", 2, 3), v(Version("2"))})
	refused("three.nix:1:9: unexpected }", Set{attribute("three.nix", "version", 1, 1), v(Version("2"))})
	refused("changing four.nix: its text is not given", Set{attribute("four.nix", "version", 1, 1), v(Version("2"))})
	var refusal *Refusal
	if _, err := Apply(files, Set{attribute("two.nix", "version", 1, 1), v(Version("2"))}); !errors.As(err, &refusal) || refusal.At.File != "two.nix" {
		t.Errorf("error %v, expected a refusal", err)
	}
	same, err := Apply(files, Set{attribute("two.nix", "date", 1, 3), v(Date("2026-01-01"))})
	if err != nil || len(same) != 0 {
		t.Errorf("setting what is there: %q, %v", same, err)
	}
}

func TestValues(t *testing.T) {
	sha512 := "sha512-" + strings.Repeat("A", 86) + "=="
	hostile := []string{`1.0";`, "$(x)", `${builtins.readFile "/etc/passwd"}`, "../..", strings.Repeat("9", 10_000), "1\n", "\n1", "1\x00", "1\u202e", "é", "''", " 1", "1+2", "a/b"}
	tests := []struct {
		name string
		make func(string) (Value, error)
		good []string
		bad  []string
	}{
		{"version", Version, []string{"1", "1.2.3-rc_1", "v5", strings.Repeat("0", 128), "0123456789abcdef0123456789abcdef01234567"}, append(hostile, "")},
		{"tag", Tag, []string{"v1.2.3", "@scope/pkg@1.1.0", "server/v1.2.3", "v1.2.3+ds1", strings.Repeat("0", 250)}, append(slices.DeleteFunc(slices.Clone(hostile), func(text string) bool { return text == "1+2" || text == "a/b" }), "", "-x", "/x", "+x", strings.Repeat("0", 251))},
		{"hash", Hash, []string{"", oldHash, sha512}, append(hostile, "sha256-", "sha256-AAAA", "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "md5-", oldHash+"\n", oldHash[:20]+"\n"+oldHash[20:], oldHash+"=", strings.ToUpper(oldHash), "-", oldHash+" "+oldHash)},
		{"digest", Digest, []string{newDigest}, append(hostile, "", newDigest+"\n", newDigest+"0", strings.ToUpper(newDigest), oldHash)},
		{"date", Date, []string{"2026-07-09", "2028-02-29"}, append(hostile, "", "2026-7-9", "2026-02-30", "2026-07-09T00:00:00Z", "2026-07-09\n", "26-07-09")},
	}
	for _, test := range tests {
		for _, text := range test.good {
			if v, err := test.make(text); err != nil || v.String() != text || !v.valid || v.integer {
				t.Errorf("%s %q: %+v, %v", test.name, text, v, err)
			}
		}
		for _, text := range test.bad {
			v, err := test.make(text)
			if err == nil || v.valid {
				t.Errorf("%s %q is taken", test.name, text)
				continue
			}
			if m := err.Error(); len(m) > 400 || strings.ContainsAny(m, "\n\x00\x1b\u202e") {
				t.Errorf("%s: message %q", test.name, m)
			}
		}
	}
	if _, err := Integer(-1); err == nil {
		t.Error("-1 is taken")
	}
}
