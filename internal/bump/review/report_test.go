package review

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// memorySource makes an fs.FS of contents by path.
func memorySource(contents sourceFiles) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, content := range contents {
		tree[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return tree
}

func reviewed(t *testing.T, s Sources) []string {
	t.Helper()
	findings, err := Review(s)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range findings {
		texts = append(texts, string(f.Kind)+" "+f.String())
	}
	return texts
}

const (
	mit = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\n"
	isc = "ISC License\n\nPermission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n"
)

func TestReview(t *testing.T) {
	tests := []struct {
		name          string
		before, after sourceFiles
		want          []string
	}{
		{"nothing", sourceFiles{"a": "1", "LICENSE": mit}, sourceFiles{"a": "2", "b": "", "LICENSE": mit}, nil},
		{"licences",
			sourceFiles{"LICENSE": mit, "sub/COPYING.md": "Copyright 2025\n" + mit, "COPYING": mit, "LICENSE-OWN": "mine", "src/license.go": "1", "vendor/x/LICENSE": "1", "NOTICE": "a b"},
			sourceFiles{"LICENSE": isc, "sub/COPYING.md": "Copyright 2026\n" + mit, "LICENSE-OWN": "yours", "src/license.go": "2", "vendor/x/LICENSE": "2", "LICENCES.txt": "own", "NOTICE": "a\nb\n"},
			[]string{
				"licence COPYING: gone, it was MIT",
				"licence LICENCES.txt: new",
				"licence LICENSE: MIT → ISC",
				"licence LICENSE-OWN: changed",
				"licence sub/COPYING.md: changed, still MIT",
			}},
		{"runtimes",
			sourceFiles{
				".nvmrc": "v20\n", ".python-version": "3.12", "package.json": `{"engines": {"node": ">=18", "npm": ">=9"}}`,
				"src/backend/pyproject.toml": "[project]\nrequires-python = \">=3.12\"\n", "old/pyproject.toml": "[tool.poetry.dependencies]\npython = \"^3.11\"\n",
				"go.mod": "module x\ngo 1.24\n", "composer.json": `{"require": {"php": "^8.1", "ext-x": "*"}}`, ".ruby-version": "3.3.0",
				"Cargo.toml": "[package]\nrust-version = \"1.80\"\n", "node_modules/x/package.json": `{"engines": {"node": "1"}}`,
				"same/package.json": `{"engines": {"node": "1"}, "a": 1}`, "broken/package.json": `{"engines"`,
			},
			sourceFiles{
				".nvmrc": "v22\n", ".node-version": "22", "package.json": `{"engines": {"node": ">=20"}}`,
				"src/backend/pyproject.toml": "[project]\nrequires-python = \">=3.13\"\n", "old/pyproject.toml": "[tool.poetry.dependencies]\npython = \"^3.12\"\n",
				"go.mod": "module x\ngo 1.26.0\ntoolchain go1.26.8\n", "composer.json": `{"require": {"php": "^8.3", "ext-y": "*"}}`, ".ruby-version": "3.4.1",
				"Cargo.toml": "[package]\nrust-version = \"1.85\"\n", "node_modules/x/package.json": `{"engines": {"node": "2"}}`,
				"same/package.json": `{"engines": {"node": "1"}, "a": 2}`, "broken/package.json": `{"engines": {"node": "1"}}`, "fresh/package.json": `{"engines": {"node": "9"}}`,
			},
			[]string{
				"runtime .node-version: node none → 22",
				"runtime .nvmrc: node v20 → v22",
				"runtime .python-version: python 3.12 → none",
				"runtime .ruby-version: ruby 3.3.0 → 3.4.1",
				"runtime Cargo.toml: rust 1.80 → 1.85",
				"runtime broken/package.json: node none → 1",
				"runtime composer.json: php ^8.1 → ^8.3",
				"runtime go.mod: go 1.24 → 1.26.0",
				"runtime go.mod: toolchain none → go1.26.8",
				"runtime old/pyproject.toml: python ^3.11 → ^3.12",
				"runtime package.json: node >=18 → >=20",
				"runtime package.json: npm >=9 → none",
				"runtime src/backend/pyproject.toml: python >=3.12 → >=3.13",
			}},
		{"migrations",
			sourceFiles{
				"src/core/migrations/0001_initial.py": "1", "src/core/migrations/__init__.py": "1", "src/core/migrations/0002_a.py": "1", "src/core/migrations/0003_b.py": "1",
				"db/migrate/20240101000000_a.rb": "1",
			},
			sourceFiles{
				"src/core/migrations/0001_initial.py": "1", "src/core/migrations/__init__.py": "2", "src/core/migrations/0002_a.py": "2", "src/core/migrations/0004_c.py": "1",
				"db/migrate/20240101000000_a.rb": "1", "db/migrate/20240201000000_b.rb": "1",
				"database/migrations/2024_01_01_000000_create_users.php": "1", "prisma/migrations/20240101_init/migration.sql": "1",
				"knex/migrations/20240101000000_a.js": "1", "orm/src/migration/1700000000000-Add.ts": "1", "migrations/0002_x.up.sql": "1", "migrations/0002_x.down.sql": "1",
				"java/src/main/resources/db/migration/V2__more.sql": "1", "alembic/versions/ae1027a6acf_add.py": "1", "php/migrations/Version20240101000000.php": "1",
				"go/migrations/1700000000_go.go": "1", "go/migrations/1700000000_go_test.go": "1", "docs/migrations/readme.md": "1",
			},
			[]string{
				"migration alembic/versions: new: ae1027a6acf_add",
				"migration database/migrations: new: 2024_01_01_000000_create_users",
				"migration db/migrate: new: 20240201000000_b",
				"migration go/migrations: new: 1700000000_go",
				"migration java/src/main/resources/db/migration: new: V2__more",
				"migration knex/migrations: new: 20240101000000_a",
				"migration migrations: new: 0002_x",
				"migration orm/src/migration: new: 1700000000000-Add",
				"migration php/migrations: new: Version20240101000000",
				"migration prisma/migrations: new: 20240101_init",
				"migration src/core/migrations: new: 0004_c; gone: 0003_b; changed: 0002_a",
			}},
		{"settings",
			sourceFiles{".env.example": "A=1\nB=secret\n# C=3\n", "env.d/production/common": "X=1\n", "app.env.sample": "A=1", ".env": "A=1"},
			sourceFiles{".env.example": "A=2\nexport D = x\n#C=3\n# some prose = nothing\n", "env.d/production/common": "X=2\nY=1\n", "env.d/new": "Z=1\n",
				"app.env.sample": "A=2", ".env": "A=1\nB=2", "a/.env.local.dist": "Q=1", "example.env": "R=1"},
			[]string{
				"setting .env.example: new: D; gone: B",
				"setting a/.env.local.dist: new: Q",
				"setting env.d/new: new: Z",
				"setting env.d/production/common: new: Y",
				"setting example.env: new: R",
			}},
		{"Containerfiles without a component",
			sourceFiles{"Dockerfile": "ARG V=1\nFROM python:3.12 AS build\nFROM node:20@sha256:" + strings.Repeat("a", 64) + " AS old\nFROM build\n", "a/Containerfile": "FROM a", "x/y/Dockerfile": "FROM a", "gone.Dockerfile": "FROM a", "bad/Dockerfile": "FROM a"},
			sourceFiles{"Dockerfile": "ARG V=2\nARG W\nFROM python:3.13 AS build\nFROM nginx AS web\nFROM build\n", "a/Containerfile": "FROM a\nRUN b", "x/y/Dockerfile": "FROM b", "b/Dockerfile": "FROM a", "bad/Dockerfile": "FRM a"},
			[]string{
				"containerfile Dockerfile: base images: python:3.12 → python:3.13; new: nginx; gone: node:20@sha256:" + strings.Repeat("a", 64),
				"containerfile Dockerfile: stages: new: web; gone: old",
				"containerfile Dockerfile: arguments: new: W; V 1 → 2",
				"containerfile b/Dockerfile: new",
				"containerfile bad/Dockerfile: cannot be read: line 1: unknown instruction: FRM (did you mean FROM?)",
				"containerfile gone.Dockerfile: gone",
			}},
		{"submodules",
			sourceFiles{".gitmodules": "[submodule \"a\"]\n\tpath = libs/a\n\turl = https://x/a\n[submodule \"b\"]\n\tpath = b\n\turl = https://x/b\n"},
			sourceFiles{".gitmodules": "[submodule \"a\"]\n\turl = https://y/a\n\tpath = libs/a\n[submodule \"c\"]\n\tpath = c\n", "sub/.gitmodules": "x"},
			[]string{
				"submodule .gitmodules: submodule b is gone",
				"submodule .gitmodules: new submodule c of an unknown URL",
				"submodule .gitmodules: submodule libs/a: https://x/a → https://y/a",
			}},
		{"locks",
			sourceFiles{
				"package-lock.json":    `{"packages": {"": {"version": "1"}, "node_modules/a": {"version": "1.0"}, "node_modules/b": {"version": "1.0"}, "node_modules/b/node_modules/a": {"version": "2.0"}}}`,
				"v1/package-lock.json": `{"dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "1"}}}}}`,
				"yarn.lock":            "# yarn lockfile v1\n\n\"@a/b@^1.0.0\", \"@a/b@^1.1.0\":\n  version \"1.1.0\"\n\nc@1:\n  version \"1.0\"\n",
				"berry/yarn.lock":      "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0\":\n  version: 1.0.0\n",
				"pnpm-lock.yaml":       "lockfileVersion: '9.0'\npackages:\n\n  '@a/b@1.0.0':\n    resolution: {}\n\n  c@1.0.0:\n    resolution: {}\nsnapshots:\n  d@1.0.0: {}\n",
				"v6/pnpm-lock.yaml":    "packages:\n\n  /@a/b@1.0.0(c@2):\n    x: y\n  /c/1.0.0:\n    x: y\n",
				"go.sum":               "a.b/c v1.0.0 h1:x=\na.b/c v1.0.0/go.mod h1:x=\n", "Cargo.lock": "[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = \"r\"\n",
				"poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1.0\"\n\n[package.dependencies]\nname = \"x\"\nversion = \"y\"\n", "uv.lock": "version = 1\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = { name = \"z\" }\n",
				"composer.lock": `{"packages": [{"name": "a", "version": "1"}], "packages-dev": []}`, "Gemfile.lock": "GEM\n  specs:\n    a (1.0)\n      b (>= 1)\n", "old/go.sum": "",
			},
			sourceFiles{
				"package-lock.json":    `{"packages": {"": {"version": "2"}, "node_modules/a": {"version": "1.0"}, "node_modules/c": {"version": "1.0"}, "node_modules/@s/d": {"version": "1.0"}}}`,
				"v1/package-lock.json": `{"dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "2"}}}, "c": {"version": "1"}}}`,
				"yarn.lock":            "\"@a/b@^1.0.0\":\n  version \"1.2.0\"\n\nd@1:\n  version \"1.0\"\n",
				"berry/yarn.lock":      "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0\":\n  version: 1.0.1\n",
				"pnpm-lock.yaml":       "lockfileVersion: '9.0'\npackages:\n\n  '@a/b@1.0.1':\n    resolution: {}\n\nsnapshots:\n  e@1.0.0: {}\n",
				"v6/pnpm-lock.yaml":    "packages:\n\n  /@a/b@1.0.1(c@2):\n    x: y\n  /c/1.0.0:\n    x: y\n",
				"go.sum":               "a.b/c v1.1.0 h1:x=\na.b/c v1.1.0/go.mod h1:x=\nd v1.0.0/go.mod h1:x=\n", "Cargo.lock": "[[package]]\nname = \"b\"\nversion = \"1.0\"\nsource = \"r\"\n",
				"poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1.1\"\n", "uv.lock": "version = 1\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n# a comment\n",
				"composer.lock": `{"packages": [{"name": "a", "version": "1"}], "packages-dev": [{"name": "b", "version": "1"}]}`, "Gemfile.lock": "GEM\n  specs:\n    a (1.1)\n", "new/go.sum": "",
			},
			[]string{
				"lock Cargo.lock: packages: 1 added, 1 removed",
				"lock Gemfile.lock: packages: 1 in another version",
				"lock berry/yarn.lock: packages: 1 in another version",
				"lock composer.lock: packages: 1 added",
				"lock go.sum: packages: 1 in another version",
				"lock new/go.sum: new",
				"lock old/go.sum: gone",
				"lock package-lock.json: packages: 2 added, 1 removed, 1 in another version",
				"lock pnpm-lock.yaml: packages: 1 removed, 1 in another version",
				"lock poetry.lock: packages: 1 in another version",
				"lock uv.lock: changed",
				"lock v1/package-lock.json: packages: 1 added, 1 in another version",
				"lock v6/pnpm-lock.yaml: packages: 1 in another version",
				"lock yarn.lock: packages: 1 added, 1 removed, 1 in another version",
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, reviewed(t, Sources{Before: memorySource(test.before), After: memorySource(test.after)})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReviewVersions(t *testing.T) {
	before := sourceFiles{
		"package.json": `{"version": "5.4.0"}`, "a/package.json": `{"version": "5.4.0"}`, "b/package.json": `{"version": "1.0.0"}`,
		"src/backend/pyproject.toml": "[project]\nversion = \"5.4.0\"\n", "c/deep/pyproject.toml": "[tool.poetry]\nversion = \"5.4.0\"\n",
		"Cargo.toml": "[workspace.package]\nversion = \"5.4.0\"\n", "d/Cargo.toml": "[package]\nversion.workspace = true\n",
		"web/package.json": `{"version": "0.1.0"}`, "zero/package.json": `{"version": "0.0.0"}`,
	}
	after := sourceFiles{
		"package.json": `{"version": "5.4.0"}`, "a/package.json": `{"version": "5.4.1"}`, "b/package.json": `{"version": "1.0.0"}`,
		"src/backend/pyproject.toml": "[project]\nversion = \"v5.4.1\"\n", "c/deep/pyproject.toml": "[tool.poetry]\nversion = \"5.5.0\"\n",
		"Cargo.toml": "[workspace.package]\nversion = \"5.4.1\"\n", "d/Cargo.toml": "[package]\nversion.workspace = true\n",
		"web/package.json": `{"version": "0.1.0"}`, "zero/package.json": `{"version": "0.0.0"}`,
	}
	got := reviewed(t, Sources{
		Before: memorySource(before), After: memorySource(after), OldVersion: "5.4.0", Version: "5.4.1",
		Containerfiles: []ContainerfileUse{{Path: "web/Dockerfile"}, {Path: "zero/Dockerfile"}},
	})
	want := []string{
		"version c/deep/pyproject.toml: version 5.5.0, the release is 5.4.1",
		"version package.json: version 5.4.0, the release is 5.4.1; it did not change",
		"version web/package.json: version 0.1.0, the release is 5.4.1; it did not change",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReviewContainerfiles(t *testing.T) {
	before := sourceFiles{
		"src/Dockerfile": "ARG BASE=python:3.12\nARG USER\nFROM $BASE AS base\nFROM node:20 AS dev\nFROM base AS production\nCOPY --from=busybox:1.36 /bin /bin\n",
		"Dockerfile":     "FROM a",
	}
	after := sourceFiles{
		"src/Dockerfile": "ARG BASE=python:3.13\nARG NEW\nFROM $BASE AS base\nFROM node:22 AS dev\nFROM base AS prod\nCOPY --from=busybox:1.37 /bin /bin\n",
		"Dockerfile":     "FROM b",
	}
	tests := []struct {
		use  ContainerfileUse
		want []string
	}{
		{ContainerfileUse{Path: "./src/Dockerfile", Args: map[string]string{"USER": "1001"}}, []string{
			"containerfile src/Dockerfile: base images: python:3.12 → python:3.13; busybox:1.36 → busybox:1.37",
			"containerfile src/Dockerfile: stages: new: prod; gone: production",
			"containerfile src/Dockerfile: arguments: new: NEW; gone: USER; BASE python:3.12 → python:3.13; the catalogue still sets USER",
		}},
		{ContainerfileUse{Path: "src/Dockerfile", Target: "production"}, []string{
			`containerfile src/Dockerfile: unknown target "production": the file has base, dev, prod`,
			"containerfile src/Dockerfile: stages: new: prod; gone: production",
			"containerfile src/Dockerfile: arguments: new: NEW; gone: USER; BASE python:3.12 → python:3.13",
		}},
		{ContainerfileUse{Path: "src/Dockerfile", Target: "base", Args: map[string]string{"BASE": "own"}}, []string{
			"containerfile src/Dockerfile: stages: new: prod; gone: production",
			"containerfile src/Dockerfile: arguments: new: NEW; gone: USER; BASE python:3.12 → python:3.13",
		}},
	}
	for _, test := range tests {
		got := reviewed(t, Sources{Before: memorySource(before), After: memorySource(after), Containerfiles: []ContainerfileUse{test.use}})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v:\n%s", test.use, diff)
		}
	}
}

// Links are not followed, many findings become a few, long names are cut, and files that are
// too large are named.
func TestReviewLimits(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "LICENSE")
	if err := os.WriteFile(outside, []byte(mit), 0o644); err != nil {
		t.Fatal(err)
	}
	before := sourceFiles{"LICENSE": "-> " + outside, "sub": "-> " + filepath.Dir(outside)}.fs(t)
	after := sourceFiles{"LICENSE": "-> /etc/passwd", ".env.example": strings.Repeat("A=1\n", maxSmallFile)}
	for i := range 50 {
		after[fmt.Sprintf("%03d/LICENSE", i)] = ""
		after[fmt.Sprintf("%03d/migrations/0001_%s.py", i, strings.Repeat("x", 100))] = ""
	}
	for i := range 20 {
		after[fmt.Sprintf("many/migrations/00%02d_a.py", i)] = ""
	}
	after[strings.Repeat("d/", maxDepth+2)+"LICENSE"] = ""
	got := reviewed(t, Sources{Before: before, After: after.fs(t)})
	if len(got) != 2*maxReported+2+1 {
		t.Errorf("%d findings", len(got))
	}
	for i, want := range map[int]string{
		0:  "licence 000/LICENSE: new",
		20: "licence 30 more like these",
		21: "migration 000/migrations: new: 0001_" + strings.Repeat("x", 74) + "…",
		41: "migration 31 more like these",
		42: "incomplete .env.example is too large to be compared",
	} {
		if got[i] != want {
			t.Errorf("%d: %s", i, got[i])
		}
	}
	got = reviewed(t, Sources{Before: memorySource(nil), After: memorySource(sourceFiles{".env.example": strings.Join([]string{"A", "B", "C", "D", "E", "F", "G", "H", "I", "J", ""}, "=\n")})})
	if want := "setting .env.example: new: A, B, C, D, E, F, G, H, 2 more"; len(got) != 1 || got[0] != want {
		t.Error(got)
	}
}

func TestFindingJSON(t *testing.T) {
	data, err := json.Marshal([]Finding{{LicenceFinding, "LICENSE", "MIT → ISC"}, {IncompleteFinding, "", "x"}})
	if want := `[{"kind":"licence","path":"LICENSE","text":"MIT → ISC"},{"kind":"incomplete","text":"x"}]`; err != nil || string(data) != want {
		t.Errorf("%v %s", err, data)
	}
}

// Files with deep nesting, or with other content than their name says, neither take long nor
// cause a panic.
func TestReviewHostile(t *testing.T) {
	hostile := sourceFiles{}
	for name := range manifests {
		for i, unit := range []string{"[", "{", `{"a":`, "a = [", "a.", "(", "[a]\n[[a]]\n", "\"", "require (\n", "a = {a="} {
			hostile[fmt.Sprintf("%d/%s", i, name)] = strings.Repeat(unit, (maxSmallFile-8)/len(unit))
		}
	}
	for name := range locks {
		hostile["lock/"+name] = strings.Repeat("{\"a\":", 100_000)
		hostile["dependencies/"+name] = strings.Repeat(`{"dependencies":{"a":`, 1000) + strings.Repeat("}}", 1000)
	}
	hostile["one-line.sql"] = strings.Repeat("DROP TABLE a;", 1<<20/13)
	var many strings.Builder
	for i := range 1 << 20 / 20 {
		fmt.Fprintf(&many, "DROP TABLE a%d\n", i)
	}
	hostile["many.go"] = many.String()
	hostile["names.py"] = strings.Repeat("create table ", 1<<20/13)
	empty := sourceFiles{}
	for name := range hostile {
		empty[name] = ""
	}
	reviewed(t, Sources{Before: memorySource(empty), After: memorySource(hostile), Version: "1"})
}

func FuzzReview(f *testing.F) {
	names := []string{"LICENSE", "package.json", "pyproject.toml", "Cargo.toml", "composer.json", "go.mod", ".nvmrc", ".env.example", "Dockerfile", ".gitmodules",
		"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "go.sum", "Cargo.lock", "composer.lock", "Gemfile.lock", "migrations/0001_a.sql"}
	for _, seed := range []string{"FROM a\x1b[31m AS b\nARG C=\u202e", `{"version": "\u001b[0m", "engines": {"node": "a\nb"}, "packages": {"node_modules/a": {"version": "1"}}}`,
		"[project]\nversion = \"1\"\nrequires-python = \"\\u001b\"\n[[package]]\nname = \"a\"\nversion = \"1\"\n", "module x\ngo 1.2\n", "[submodule \"a\"]\npath = \x1b\nurl = \u202e", "A=1\n# B=2\n",
		"packages:\n  '@a/b@1.0':\n", "\"@\":\n  version \"1\"\n", "@\n  version"} {
		f.Add("", seed)
		f.Add(seed, seed+"x")
	}
	f.Fuzz(func(t *testing.T, was, is string) {
		before, after := sourceFiles{}, sourceFiles{}
		for _, name := range names {
			before[name], after[name] = was, is
		}
		findings, err := Review(Sources{Before: memorySource(before), After: memorySource(after), OldVersion: "1", Version: "2"})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range findings {
			text := finding.String()
			if len(text) > 8<<10 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
				t.Errorf("%q", text)
			}
		}
	})
}
