package review

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A release that only changes its own version changes no dependency. Other changes are counted
// without it.
func TestOwnVersionIsNoDependency(t *testing.T) {
	for _, test := range []struct{ name, file, lock string }{
		{"npm", "package-lock.json", `{"name": "app", "version": "OWN", "lockfileVersion": 3, "packages": {
			"": {"name": "app", "version": "OWN", "workspaces": ["packages/*"]}, "packages/ui": {"name": "ui", "version": "OWN"}, "node_modules/ui": {"resolved": "packages/ui", "link": true},
			"node_modules/a": {"version": "FOREIGN"}}}`},
		{"npm, version 2", "web/package-lock.json", `{"version": "OWN", "lockfileVersion": 2, "packages": {"": {"version": "OWN"}, "node_modules/a": {"version": "FOREIGN"}}, "dependencies": {"a": {"version": "FOREIGN"}}}`},
		{"npm, version 1", "v1/package-lock.json", `{"version": "OWN", "lockfileVersion": 1, "dependencies": {"a": {"version": "FOREIGN"}}}`},
		{"npm, published", "npm-shrinkwrap.json", `{"version": "OWN", "packages": {"": {"version": "OWN"}, "node_modules/a": {"version": "FOREIGN"}}}`},
		{"yarn", "yarn.lock", "\"ui@link:./ui\":\n  version \"OWN\"\n\n\"@own/lib@file:./lib\":\n  version \"OWN\"\n\na@1:\n  version \"FOREIGN\"\n"},
		{"yarn berry", "yarn.lock", "\"app@workspace:.\":\n  version: OWN\n  resolution: \"app@workspace:.\"\n\n\"a@npm:1\":\n  version: FOREIGN\n"},
		{"pnpm", "pnpm-lock.yaml", "packages:\n\n  a@FOREIGN:\n    x: y\n"},
		{"Cargo", "Cargo.lock", "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"OWN\"\ndependencies = [\n \"a\",\n]\n\n[[package]]\nname = \"a\"\nversion = \"FOREIGN\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n"},
		{"uv", "uv.lock", "version = 1\r\n\r\n[[package]]\r\nname = \"app\"\r\nversion = \"OWN\"\r\nsource = { editable = \".\" }\r\n\r\n[[package]]\r\nname = \"b\"\r\nversion = \"OWN\"\r\nsource = { virtual = \"b\" }\r\n\r\n[[package]]\r\nname = \"a\"\r\nversion = \"FOREIGN\"\r\nsource = { registry = \"https://pypi.org/simple\" }\r\n"},
		{"Poetry", "poetry.lock", "[[package]]\nname = \"a\"\nversion = \"FOREIGN\"\n\n[[package]]\nname = \"lib\"\nversion = \"OWN\"\n\n[package.source]\ntype = \"directory\"\nurl = \"lib\"\n\n[metadata]\nlock-version = \"2.1\"\n"},
		{"Composer", "composer.lock", `{"content-hash": "OWN", "packages": [{"name": "own/lib", "version": "OWN", "dist": {"type": "path", "url": "lib"}}, {"name": "a", "version": "FOREIGN", "dist": {"type": "zip"}}]}`},
		{"Bundler", "Gemfile.lock", "PATH\n  remote: .\n  specs:\n    app (OWN)\n      a (>= 1)\n\nGEM\n  specs:\n    a (FOREIGN)\n\nDEPENDENCIES\n  app!\n\nCHECKSUMS\n  app (OWN)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lock := func(own, foreign string) sourceFiles {
				return sourceFiles{test.file: strings.NewReplacer("OWN", own, "FOREIGN", foreign).Replace(test.lock)}
			}
			compare := func(before, after sourceFiles) []string {
				return reviewed(t, Sources{Before: memorySource(before), After: memorySource(after), OldVersion: "1.0.0", Version: "1.0.1"})
			}
			if got := compare(lock("1.0.0", "3.0.0"), lock("1.0.1", "3.0.0")); got != nil {
				t.Errorf("another version of its own: %q", got)
			}
			want := []string{"lock " + test.file + ": packages: 1 in another version"}
			if diff := cmp.Diff(want, compare(lock("1.0.0", "3.0.0"), lock("1.0.1", "3.1.0"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Modules of one repository require each other's released versions.
func TestOwnModulesAreNoDependency(t *testing.T) {
	source := func(own, foreign string) sourceFiles {
		sum := strings.NewReplacer("OWN", own, "FOREIGN", foreign).Replace("example.org/app vOWN h1:OWN=\nexample.org/app vOWN/go.mod h1:OWN=\nexample.org/app/api vOWN h1:OWN=\nexample.org/application vFOREIGN h1:x=\n")
		return sourceFiles{"go.mod": "module example.org/app\n", "go.sum": sum, "tools/gen/go.mod": "module example.org/gen\n", "tools/gen/go.sum": sum + "example.org/gen/x v" + own + " h1:x=\n"}
	}
	if got := reviewed(t, Sources{Before: memorySource(source("1.0.0", "3.0.0")), After: memorySource(source("1.0.1", "3.0.0"))}); got != nil {
		t.Errorf("other versions of its own: %q", got)
	}
	want := []string{"lock go.sum: packages: 1 in another version", "lock tools/gen/go.sum: packages: 1 in another version"}
	if diff := cmp.Diff(want, reviewed(t, Sources{Before: memorySource(source("1.0.0", "3.0.0")), After: memorySource(source("1.0.1", "3.1.0"))})); diff != "" {
		t.Error(diff)
	}
}

// A changed hash without a changed version is reported.
func TestSameVersionsOtherContent(t *testing.T) {
	for name, lock := range map[string]string{
		"package-lock.json": `{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-HASH"}}}`,
		"go.sum":            "a v1.0.0 h1:HASH=\n",
		"Cargo.lock":        "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"HASH\"\n",
		"composer.lock":     `{"packages": [{"name": "a", "version": "1", "dist": {"shasum": "HASH"}}]}`,
		"yarn.lock":         "a@1:\n  version \"1.0\"\n  integrity HASH\n",
	} {
		got := reviewed(t, Sources{Before: memorySource(sourceFiles{name: lock}), After: memorySource(sourceFiles{name: strings.ReplaceAll(lock, "HASH", "OTHER")})})
		if diff := cmp.Diff([]string{"lock " + name + ": changed"}, got); diff != "" {
			t.Error(diff)
		}
	}
}
