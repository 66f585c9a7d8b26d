package newapp

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/nixedit"
)

func source(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return tree
}

func definition(t *testing.T, files map[string]string, o Options) (*Findings, string) {
	t.Helper()
	f, err := Look(source(files), o)
	if err != nil {
		t.Fatal(err)
	}
	text := string(f.Definition(Source{Kind: "github", Location: "ada/notes", Tag: "v1.0.0", Version: "1.0.0"}))
	if _, err := nixedit.Hashes("default.nix", []byte(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f, text
}

// What is from outside is in strings, on one line, and nowhere else.
func TestOutsideTextsAreStringsOnly(t *testing.T) {
	const evil = "x\"; y = ${builtins.readFile /etc/passwd}\n# \x1b[2J''"
	f, text := definition(t, map[string]string{
		"package.json":      `{"name":"x","description":"a\"; y = ${z}\nb\u001b[2J","bin":{"a\nb":"x"},"homepage":"https://x.example/\"a"}`,
		"package-lock.json": "{}",
		"publiccode.yml":    "description:\n  en: {shortDescription: \"" + `a\"${b}\n# c` + "\"}\n",
		".env.example":      "# " + strings.ReplaceAll(evil, "\n", "") + "\nNAME=" + strings.ReplaceAll(evil, "\n", "") + "\n",
		"compose.yaml":      "services:\n  \"a\\nb\": {image: \"postgres\\nx\"}\n",
	}, Options{Name: "notes", Version: "1.0.0"})
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, `"`)
		if strings.Contains(code, "#") && !strings.HasPrefix(strings.TrimSpace(code), "# A guess: ") && !strings.HasPrefix(code, "# notes: ") {
			t.Errorf("a comment from outside: %s", line)
		}
		if strings.ContainsAny(line, "\x1b") || strings.Contains(strings.ReplaceAll(strings.ReplaceAll(line, `\${`, ""), "v${version}", ""), "${") {
			t.Errorf("not escaped: %s", line)
		}
	}
	for _, line := range append(append(f.Found, f.Guessed...), f.LookAt...) {
		if strings.ContainsAny(line, "\x1b\n") {
			t.Errorf("not safe to show: %q", line)
		}
	}
}

// A link in the source is neither followed nor an error, and a large file is not read.
func TestLinksAndLargeFilesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("Dockerfile", "FROM scratch\nEXPOSE 80\n")
	write(".env.example", strings.Repeat("A=1\n", mostFile))
	if err := os.Symlink("/etc/passwd", dir+"/LICENSE"); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := Look(root.FS(), Options{Name: "notes"})
	if err != nil || len(f.settings) != 0 || f.licence != "" {
		t.Errorf("%v, settings %v, licence %q", err, f.settings, f.licence)
	}
}

// What operators have to look at is said of each Containerfile.
func TestContainerfileOfAnotherFolder(t *testing.T) {
	_, text := definition(t, map[string]string{
		"docker/web/Dockerfile": "FROM node:24 AS build\nCOPY src /src\nFROM build AS runtime\nEXPOSE 3000\nUSER 1001\n",
		"src/index.js":          "", "test/Dockerfile": "FROM scratch\n", "Dockerfile.dev": "FROM scratch\n",
	}, Options{Name: "notes"})
	for _, want := range []string{`components.web = {`, `containerfile = "docker/web/Dockerfile";`, "ports.http = 3000;"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "context =") || strings.Count(text, "containerfile =") != 1 {
		t.Errorf("context or components:\n%s", text)
	}
}

// Secrets and logins of examples are not copied.
func TestSecretsOfExamplesAreNotWritten(t *testing.T) {
	_, text := definition(t, map[string]string{
		"Dockerfile":   "FROM scratch\n",
		".env.example": "SECRET_KEY=hunter2\nBROKER=amqp://guest:hunter2@mq\nDB_PASSWORD=hunter2\nAPI_TOKEN=hunter2\nLEVEL=info\n",
	}, Options{Name: "notes"})
	if strings.Contains(text, "hunter2") || !strings.Contains(text, `example = "info";`) {
		t.Errorf("%s", text)
	}
}

// An image says what its source does not.
func TestImageAddsToASource(t *testing.T) {
	image := &Image{Reference: "docker.io/ada/notes:1", Config: v1.Config{
		ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
		Labels: map[string]string{"org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.description": "Notes"},
	}}
	_, text := definition(t, map[string]string{"go.mod": "module x.example/notes\n", "main.go": "package main\n"}, Options{Name: "notes", Image: image})
	for _, want := range []string{"ports.http = 8080;", `volumes = [ "/data" ];`, `license = "MIT";`, `description = "Notes";`, "vendorHash = null;"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
}

// Requests lead to the component that people see, and the README describes the app.
func TestRoutesAndDescriptionAreGuessed(t *testing.T) {
	f, text := definition(t, map[string]string{
		"README.md":           "Notes\n=====\n\n![badge](x)\n\n**Notes** is a [pad](https://x.example) for `all`. It is quick.\n",
		"api/Dockerfile":      "FROM scratch\nEXPOSE 8000\n",
		"frontend/Dockerfile": "FROM scratch\nEXPOSE 8080\n",
	}, Options{Name: "notes"})
	for _, want := range []string{`description = "Notes is a pad for all";`, `routes."/".service = "frontend";`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	if !strings.Contains(strings.Join(f.Guessed, "\n"), "all requests lead to frontend") {
		t.Errorf("guessed: %q", f.Guessed)
	}
}

func TestNothingToBuildIsAnError(t *testing.T) {
	if _, err := Look(source(map[string]string{"README.md": "x"}), Options{Name: "x"}); err == nil || !strings.Contains(err.Error(), "nothing that libre can build") {
		t.Error(err)
	}
}

func TestNamesOfComponents(t *testing.T) {
	for outside, want := range map[string]string{"Back End": "back-end", "é\n": "web", "a..b--c": "a-b-c", "../x": "x"} {
		if got := nameOf(outside, "web"); got != want {
			t.Errorf("%q: %q, want %q", outside, got, want)
		}
	}
}

// A source that says nothing about itself gives no meta.
func TestNoMetaWithoutContent(t *testing.T) {
	if _, text := definition(t, map[string]string{"Dockerfile": "FROM scratch\n"}, Options{Name: "notes", Version: "1.0.0"}); strings.Contains(text, "meta") {
		t.Errorf("the definition has an empty meta:\n%s", text)
	}
}

// Whatever is in the files, the definition is Nix.
func FuzzDefinitionIsNix(f *testing.F) {
	f.Fuzz(func(t *testing.T, name, content string) {
		found, err := Look(source(map[string]string{
			"package.json": content, "package-lock.json": "", ".env.example": content, "compose.yaml": content, "publiccode.yml": content,
			"pyproject.toml": content, "Cargo.toml": content, "Cargo.lock": "", "composer.json": content, "composer.lock": "",
			"web/Dockerfile": content, "chart/Chart.yaml": content, "LICENSE": content,
		}), Options{Name: "notes", Version: name})
		if err != nil {
			return
		}
		text := found.Definition(Source{Kind: "git", Location: content, Tag: name, Version: name, Commit: name})
		if _, err := nixedit.Hashes("default.nix", text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}

// The same for what a Go module, a chart, a README and an image say, which other files hide.
func FuzzModuleIsNix(f *testing.F) {
	f.Fuzz(func(t *testing.T, name, content string) {
		found, err := Look(source(map[string]string{
			"go.mod": content, "main.go": "package main\n", "cmd/" + name + "/main.go": content, "README.md": content,
			"chart/Chart.yaml": content, "docker-compose.yml": content, "COPYING": content,
		}), Options{Name: "notes", Version: name, Image: &Image{Reference: name, Config: v1.Config{
			ExposedPorts: map[string]struct{}{content: {}}, Volumes: map[string]struct{}{content: {}}, User: content,
			Labels: map[string]string{label + "description": content, label + "licenses": content, label + "url": content},
		}}})
		if err != nil {
			return
		}
		text := found.Definition(Source{Kind: "github", Location: content, Tag: name, Version: name, Commit: name})
		if _, err := nixedit.Hashes("default.nix", text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
