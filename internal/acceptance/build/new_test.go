package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// repository makes a git repository on this machine, with a tag unless it is "". It returns
// its URL.
func repository(t *testing.T, tag string, files map[string]string) string {
	t.Helper()
	dir := libre.TempDir(t)
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, content)
	}
	commands := [][]string{{"init", "--quiet"}, {"add", "--all"}, {"commit", "--quiet", "-m", "All"}}
	if tag != "" {
		commands = append(commands, []string{"tag", tag})
	}
	for _, args := range commands {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-05-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-05-01T12:00:00Z", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return "file://" + dir
}

const mit = `MIT License

Copyright (c) 2026 Ada

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

const packageJSON = `{"name":"@ada/notes","description":"Notes \" ${x} ''","license":"MIT","bin":{"notes":"index.js"},"scripts":{"build":"vite build"}}`

// The definition that libre new writes for each kind of source instantiates, with a package set
// that checks the arguments of nixpkgs' builders. It has all hashes.
func TestNewDefinitionsInstantiate(t *testing.T) {
	shapes := map[string]struct {
		tag   string
		files map[string]string
		want  []string // lines of the definition
	}{
		"go": {"v1.2.0", map[string]string{
			"LICENSE": mit, "go.mod": "module example.org/notes\n\ngo 1.24\n\nrequire example.org/x v1.0.0\n", "go.sum": "x\n",
			"cmd/notes/main.go": "package main\n\nfunc main() {}\n", "cmd/other/main.go": "package main\n\nfunc main() {}\n",
			"Dockerfile": "FROM golang AS build\nFROM scratch\nEXPOSE 8080\nVOLUME /data\nUSER 1001\nENTRYPOINT [\"/bin/notes\", \"serve\"]\n",
		}, []string{`version = "1.2.0";`, `tag = "v${version}";`, `subPackages = [ "cmd/notes" ];`, `entrypoint = [ "bin/notes" ];`, `ports.http = 8080;`, `volumes = [ "/data" ];`, `command = [ "serve" ];`, `license = "MIT";`}},
		"npm": {"2.0.1", map[string]string{"LICENSE": mit, "package.json": packageJSON, "package-lock.json": "{}\n"},
			[]string{`version = "2.0.1";`, `tag = "${version}";`, `npmDepsHash = hashes.npmDepsHash;`, `entrypoint = [ "bin/notes" ];`, `description = "Notes \" \${x} ''";`}},
		"pnpm":       {"v2.0.1", map[string]string{"LICENSE": mit, "package.json": packageJSON, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, []string{`fetcherVersion = 3;`, `pnpmDeps = pkgs.fetchPnpmDeps {`}},
		"yarn":       {"v2.0.1", map[string]string{"LICENSE": mit, "package.json": packageJSON, "yarn.lock": "# yarn lockfile v1\n"}, []string{`yarnOfflineCache = pkgs.fetchYarnDeps {`}},
		"yarn-berry": {"v2.0.1", map[string]string{"LICENSE": mit, "package.json": packageJSON, "yarn.lock": "__metadata:\n  version: 8\n"}, []string{`offlineCache = pkgs.yarn-berry.fetchYarnBerryDeps {`}},
		"python": {"v3.1", map[string]string{"LICENSE": mit,
			"pyproject.toml": "[build-system]\nrequires = [\"hatchling>=1\"]\n[project]\nname = \"notes\"\ndescription = \"Notes\"\ndependencies = [\"Django>=5\", \"psycopg[binary]\", \"not_in_nixpkgs\"]\nscripts.notes = \"notes:main\"\n",
			"uv.lock":        "version = 1\n"}, []string{`version = "3.1";`, `build-system = builtins.attrValues (builtins.intersectAttrs { hatchling = null; } pkgs.python3Packages);`, `entrypoint = [ "bin/notes" ];`}},
		"rust": {"v0.3.0", map[string]string{"LICENSE": mit, "Cargo.toml": "[package]\nname = \"notes\"\ndescription = \"Notes\"\n", "Cargo.lock": "version = 4\n"}, []string{`cargoHash = hashes.cargoHash;`}},
		"php":  {"v0.3.0", map[string]string{"LICENSE": mit, "composer.json": `{"description":"Notes"}`, "composer.lock": "{}\n"}, []string{`vendorHash = hashes.vendorHash;`}},
		"containerfile": {"v1.0.0", map[string]string{"LICENSE": mit,
			"Dockerfile":   "ARG VERSION\nFROM scratch AS production\nARG VERSION\nARG GREETING\nCOPY page.txt /\nEXPOSE 8080 9090/udp\nUSER app\nHEALTHCHECK CMD [\"/healthy\"]\nFROM production AS dev\n",
			"page.txt":     "hello\n",
			".env.example": "# What is logged,\n# and where\nLOG_LEVEL=info\nDB_HOST=postgres\nDB_PASSWORD=secret\nSECRET_KEY=x\nREDIS_URL=redis://redis\nDEBUG=true # or not\nQUOTE=\"a \\\" ${b} ''c\"\n",
		}, []string{`target = "production";`, `args.VERSION = "1.0.0";`, `args.GREETING = "";`, `ports.tcp8080 = 8080;`, `DB_HOST = "$(host)";`, `DB_PASSWORD = "$(password)";`, `REDIS_URL = "$(url)";`, `description = "What is logged, and where";`, `type = "boolean";`, `secret = true;`}},
		"monorepo": {"app-v4.0.0", map[string]string{"LICENSE": mit,
			"compose.yaml":        "services:\n  db: {image: 'postgres:17'}\n  api: {build: {context: ., dockerfile: backend/Dockerfile}, environment: [DATABASE_URL=x]}\n  worker: {build: {context: ., dockerfile: backend/Dockerfile}, command: celery -A notes worker}\n  frontend: {build: ./frontend}\n  mail: {build: mail}\n",
			"backend/Dockerfile":  "FROM scratch\nCOPY backend /\nEXPOSE 8000\n",
			"frontend/Dockerfile": "FROM scratch\nCOPY page.txt /\nEXPOSE 8080\n",
			"frontend/page.txt":   "hello\n", "mail/Dockerfile": "FROM scratch\nCOPY . /\n",
		}, []string{`components.api = {`, `components.frontend = {`, `components.mail = {`, `context = "frontend";`, `api = { };`, `worker.command = [ "celery" "-A" "notes" "worker" ];`, `DATABASE_URL = "$(url)";`, `tag = "app-v${version}";`}},
		"compose":    {"v1.0.0", map[string]string{"LICENSE": mit, "docker-compose.yml": "services:\n  app: {image: 'registry.invalid/ada/notes:1.0.0', depends_on: [db]}\n  db: {image: mariadb}\n"}, []string{`source.path = ./src;`, `containerfile = "app/Containerfile";`, `needs = {`, `mysql = { };`}},
		"no-licence": {"v1.0.0", map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n"}, []string{`containerfile = "Dockerfile";`, `components.web = {`}},
		"no-tag":     {"", map[string]string{"LICENSE": mit, "Dockerfile": "FROM scratch\nCOPY . /\n"}, []string{`version = "0-unstable-2026-05-01";`, `rev = "`}},
	}
	c := shaped(t, nil)
	c.flags = append(c.flags, "--package-set", "nixpkgs")
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			url := repository(t, shape.tag, shape.files)
			out, said := c.libre(t, "new", name, "--from", url)
			definition := readFile(t, filepath.Join(c.dir, "apps", name, "default.nix"))
			if !strings.Contains(out, "apps/"+name+"/default.nix\n") || !strings.Contains(said, "\nlook at: ") || strings.Contains(said, "not found yet") {
				t.Errorf("new %s prints:\n%s%s", name, out, said)
			}
			for _, line := range shape.want {
				if !strings.Contains(definition, line) {
					t.Errorf("%s lacks %s:\n%s", name, line, definition)
				}
			}
			if regexp.MustCompile(`ash = ""`).MatchString(definition) {
				t.Errorf("%s has an empty hash:\n%s", name, definition)
			}
			c.libre(t, "plan", name)
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
