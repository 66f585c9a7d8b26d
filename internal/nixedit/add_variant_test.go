package nixedit

import (
	"strings"
	"testing"
)

func TestAddVariant(t *testing.T) {
	const entry = "lyon = app: patchSource app [ ];"
	tests := []struct{ name, src, want string }{
		{"below components", "{ mkApp }: mkApp {\n  ‸packageVersion = 1;\n  components.a = {\n    x = 1;\n  }; # a\n\n  needs = { };\n}\n",
			"{ mkApp, patchSource }: mkApp {\n  packageVersion = 1;\n  components.a = {\n    x = 1;\n  }; # a\n\n  variants.NEW\n\n  needs = { };\n}\n"},
		{"below the last of the components", "{ patchSource }: {\n\t‸packageVersion = 1;\r\n\tcomponents.a = 1;\r\n\tcomponents.b = 2;\r\n}",
			"{ patchSource }: {\n\tpackageVersion = 1;\r\n\tcomponents.a = 1;\r\n\tcomponents.b = 2;\r\n\r\n\tvariants.NEW\r\n}"},
		{"below another variant", "{ patchSource }: {\n  ‸packageVersion = 1;\n  variants.paris = app: # why\n    app;\n  components = { };\n}",
			"{ patchSource }: {\n  packageVersion = 1;\n  variants.paris = app: # why\n    app;\n  variants.NEW\n  components = { };\n}"},
		{"in a set", "{ patchSource }: {\n  ‸packageVersion = 1;\n  variants = {\n    paris = app: app;\n    # the end\n  };\n}",
			"{ patchSource }: {\n  packageVersion = 1;\n  variants = {\n    paris = app: app;\n    # the end\n    NEW\n  };\n}"},
		{"in an empty set", `{ patchSource }: { ‸packageVersion = 1; variants = { }; }`, `{ patchSource }: { packageVersion = 1; variants = { NEW }; }`},
		{"in a dense set", `{ patchSource }: {‸packageVersion=1;variants={};}`, `{ patchSource }: {packageVersion=1;variants={ NEW };}`},
		{"one line", `{ patchSource }: { ‸packageVersion = 1; x = 1; }`, `{ patchSource }: { packageVersion = 1; variants.NEW x = 1; }`},
		{"recursive", "{ a }: rec {\n  ‸packageVersion = 1;\n}", "{ a, patchSource }: rec {\n  packageVersion = 1;\n\n  variants.NEW\n}"},
		{"a name", `{ patchSource }: { ‸packageVersion = 1; variants = import ./variants.nix; }`,
			"1:20: variants is not written as { … }, or as variants.NAME = …: write variants.NEW by hand"},
		{"merged", `{ patchSource }: { ‸packageVersion = 1; variants = { } // x; }`,
			"1:20: variants is not written as { … }, or as variants.NAME = …: write variants.NEW by hand"},
		{"inherited", `{ patchSource, variants }: { ‸packageVersion = 1; inherit variants; }`,
			"1:30: variants is not written as { … }, or as variants.NAME = …: write variants.NEW by hand"},
		{"recursive, used", `{ patchSource, variants }: rec { ‸packageVersion = 1; x = variants; }`,
			"1:34: the set that it is in uses the name variants: write variants.NEW by hand"},
		{"no arguments", `args: args.mkApp { ‸packageVersion = 1; }`, "1:20: patchSource is not an argument of this file: pass it, and write variants.NEW"},
		{"bound twice", "{ patchSource }:\nlet patchSource = 1; in { ‸packageVersion = 1; }", "2:27: patchSource is bound at line 1 and again at line 2: rename one of them"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got, want := applied(src, AddVariant{Attribute{"packageVersion", at}, "lyon"}), strings.ReplaceAll(test.want, "NEW", entry); got != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
		}
	}
}

func TestNamesOfVariantsAreQuotedWhereNixNeedsIt(t *testing.T) {
	for name, want := range map[string]string{
		"lyon": "lyon", "grand-lyon": "grand-lyon", "2lyon": `"2lyon"`, "in": `"in"`, "or": `"or"`,
	} {
		src, at := mark(t, `{ patchSource }: { ‸packageVersion = 1; }`)
		if got := applied(src, AddVariant{Attribute{"packageVersion", at}, name}); !strings.Contains(got, "variants."+want+" = app: patchSource app [ ];") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, name := range []string{"", "Lyon", "a b", `a"`, "${x}", "-a", "a--b", "a.b"} {
		src, at := mark(t, `{ patchSource }: { ‸packageVersion = 1; }`)
		if got := applied(src, AddVariant{Attribute{"packageVersion", at}, name}); !strings.Contains(got, "expected a name of 0-9 a-z") {
			t.Errorf("%q: %s", name, got)
		}
	}
}
