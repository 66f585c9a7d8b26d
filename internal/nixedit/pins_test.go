package nixedit

import (
	"strings"
	"testing"
)

func TestAddPins(t *testing.T) {
	d := value(t)(Digest(newDigest))
	one := map[string]Value{"python:3.13": d}
	two := map[string]Value{"python:3.13": d, "docker.io/library/node:22.1-alpine": d}
	tests := []struct {
		name, src, want string
		digests         map[string]Value
	}{
		{"no bases", "{\n  ‸components.backend = {\n    ports = 1;\n  };\n}\n",
			"{\n  components.backend = {\n    bases = {\n      \"python:3.13\" = \"D\";\n    };\n    ports = 1;\n  };\n}\n", one},
		{"nested", "{\n  components = {\n    ‸backend = { # a comment\n\n      # of the port\n      ports = 1; }; }; }",
			"{\n  components = {\n    backend = { # a comment\n      bases = {\n        \"python:3.13\" = \"D\";\n      };\n\n      # of the port\n      ports = 1; }; }; }", one},
		{"tabs and CRLF", "{\r\n\t‸backend = {\r\n\t\tports = 1;\r\n\t};\r\n}",
			"{\r\n\tbackend = {\r\n\t\tbases = {\r\n\t\t\t\"python:3.13\" = \"D\";\r\n\t\t};\r\n\t\tports = 1;\r\n\t};\r\n}", one},
		{"one line", `{ ‸backend = { ports = 1; }; }`, `{ backend = { bases = { "python:3.13" = "D"; }; ports = 1; }; }`, one},
		{"dense", `{‸backend={};}`, `{backend={ bases = { "python:3.13" = "D"; };};}`, one},
		{"block comment", "{ ‸backend = { /* two\n lines */ ports = 1; }; }", "{ backend = { bases = { \"python:3.13\" = \"D\"; }; /* two\n lines */ ports = 1; }; }", one},
		{"a set, on lines", "{\n  ‸backend = {\n    bases = {\n      \"a:1\" = \"x\"; # why\n    };\n  };\n}",
			"{\n  backend = {\n    bases = {\n      \"docker.io/library/node:22.1-alpine\" = \"D\";\n      \"python:3.13\" = \"D\";\n      \"a:1\" = \"x\"; # why\n    };\n  };\n}", two},
		{"a set, on one line", `{ ‸backend = { bases = { "a:1" = "x"; }; }; }`,
			`{ backend = { bases = { "docker.io/library/node:22.1-alpine" = "D"; "python:3.13" = "D"; "a:1" = "x"; }; }; }`, two},
		{"an empty set", "{\n  ‸backend = {\n    bases = {\n    };\n  };\n}", "{\n  backend = {\n    bases = {\n      \"python:3.13\" = \"D\";\n    };\n  };\n}", one},
		{"dotted", "{\n  ‸backend = {\n    ports = 1;\n    bases.\"a:1\" = \"x\";\n  };\n}",
			"{\n  backend = {\n    bases.\"python:3.13\" = \"D\";\n    ports = 1;\n    bases.\"a:1\" = \"x\";\n  };\n}", one},
		{"nothing to add", `{ ‸backend = x; }`, `{ backend = x; }`, nil},
		{"pinned", `{ ‸backend = { bases."python:3.13" = "x"; }; }`, "1:3: components.backend has a pin for python:3.13: add the pins of its bases by hand", one},
		{"pinned in a set", `{ ‸backend = { bases = { "python:3.13" = "x"; }; }; }`, "1:3: components.backend has a pin for python:3.13: add the pins of its bases by hand", one},
		{"computed bases", `{ ‸backend = { bases = common // { }; }; }`, "1:3: components.backend has bases that are not written as { … }: add the pins of its bases by hand", one},
		{"inherited bases", `{ ‸backend = { inherit bases; }; }`, "1:3: components.backend has bases that are not written as { … }: add the pins of its bases by hand", one},
		{"computed names", `{ ‸backend = { ${"bases"} = { }; }; }`, "1:3: components.backend has computed names: add the pins of its bases by hand", one},
		{"computed", `{ ‸backend = common // { }; }`, "1:3: components.backend is not written as { … }: add the pins of its bases by hand", one},
		{"inherited", `{ inherit ‸backend; }`, "1:11: components.backend is not written as { … }: add the pins of its bases by hand", one},
		{"several places", `{ ‸components.backend = { }; components.backend.bases = { }; }`, "1:3: components.backend is written in several places: add the pins of its bases by hand", one},
		{"hostile name", `{ ‸backend = { }; }`, `1:3: components.backend has a base with the name "x\" = \"1\"; y": add the pins of its bases by hand`, map[string]Value{`x" = "1"; y`: d}},
		{"interpolation", `{ ‸backend = { }; }`, `1:3: components.backend has a base with the name "${x}": add the pins of its bases by hand`, map[string]Value{`${x}`: d}},
		{"no digest", `{ ‸backend = { }; }`, `1:3: components.backend has no digest for a: add the pins of its bases by hand`, map[string]Value{"a": {}}},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		got := strings.ReplaceAll(applied(src, AddPins{Attribute{"components.backend", at}, test.digests}), newDigest, "D")
		if got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestDropPatch(t *testing.T) {
	tests := []struct{ name, item, src, want string }{
		{"first", "./a.patch", `{ ‸patches = [ ./a.patch ./b.patch ]; }`, `{ patches = [ ./b.patch ]; }`},
		{"last", "b.patch", `{ ‸patches = [ ./a.patch ./b.patch ]; }`, `{ patches = [ ./a.patch ]; }`},
		{"only", "./a.patch", `{ ‸patches = [./a.patch]; }`, `{ patches = []; }`},
		{"a line", "./a.patch", "{\r\n  ‸patches = [\r\n    # why\r\n    ./a.patch\r\n    ./b.patch # b\r\n  ];\r\n}", "{\r\n  patches = [\r\n    # why\r\n    ./b.patch # b\r\n  ];\r\n}"},
		{"with a comment", "./b.patch", "{\n  ‸patches = [\n    ./a.patch\n    ./b.patch # b\n  ];\n}", "{\n  patches = [\n    ./a.patch\n # b\n  ];\n}"},
		{"beside a set", "./a.patch", `{ ‸patches = [ { url = ./a.patch; } ./a.patch ]; }`, `{ patches = [ { url = ./a.patch; } ]; }`},
		{"not there", "./c.patch", `{ ‸patches = [ ./a.patch ./b.patch ]; }`, "1:3: patches has no such patch: remove ./c.patch by hand"},
		{"interpolated", "./a.patch", `{ ‸patches = [ ./a${"b"}.patch ./a${""}.patch ]; }`, "1:3: patches has no such patch: remove ./a.patch by hand"},
		{"twice", "./a.patch", `{ ‸patches = [ ./a.patch (./b.patch) ././a.patch ]; }`, "1:3: patches has it more than once: remove ./a.patch by hand"},
		{"computed", "./a.patch", `{ ‸patches = [ ./a.patch ] ++ more; }`, "1:3: patches is not written as [ … ]: remove ./a.patch by hand"},
		{"strings that would join", "./a.patch", `{ ‸patches = [ ''x''./a.patch''y'' ]; }`, "1:20: the change affects more than its place"},
	}
	for _, test := range tests {
		src, at := mark(t, test.src)
		if got := applied(src, DropPatch{Attribute{"patches", at}, test.item}); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}
