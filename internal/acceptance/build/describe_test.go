package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
)

// asked is a Containerfile whose steps run git, as upstreams do.
const asked = `FROM tools:1 AS build
COPY . /src
WORKDIR /src
RUN mkdir built && git describe --tags --always --dirty > /version && git describe --exact-match >> /version && \
    git rev-parse HEAD >> /version && git log -1 --format=%ct >> /version && git status --porcelain >> /version && \
    git diff-index HEAD >> /version && git ls-files | wc -l >> /version
RUN --mount=type=bind,target=/mnt cd /mnt && git describe --dirty >> /version
COPY --chown=1000:1000 --chmod=700 . /mine
USER 1000
RUN cd /mine && env -u HOME git describe --dirty > /mine/version
FROM scratch
COPY --from=build /version /version
COPY --from=build /mine/version /mine
COPY .git /.git
`

// With source.describe, git returns the tag in builds of both kinds, also with changes to
// the source. Both use the same bytes. An ignore file does not prevent it.
func TestDescribeGivesBuildsUpstreamsTag(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah", "git", "ldd", "busybox")
	files := map[string]string{
		"Containerfile": asked, ".dockerignore": "*.md\n.git\n", "README.md": "# Left out\n", "page": "Welcome\n", "empty": "",
		"a/x": "1", "a.b": "2", "a-b/y z\u00e9": "3", "deep/er/file": "4", "bin/run": "#!/bin/sh\n", "large": strings.Repeat("0123456789abcdef", 20_000), "same": "1", ".gitignore": "built\n",
	}
	archive := packed(t, files)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(archive) }))
	defer server.Close()
	hashed, err := upstream.HashArchive(bytes.NewReader(archive), upstream.DefaultArchiveLimits)
	if err != nil {
		t.Fatal(err)
	}
	hashed.Close()
	c := newCatalogue(t, map[string]string{
		"site/default.nix": fmt.Sprintf(`{ mkApp, pkgs, substituteSource, addToSource, ... }:
mkApp {
  name = "site"; version = "1.2.3"; packageVersion = 1;
  source = { github = "example/site"; tag = "release/v1.2.3"; date = "2026-11-27"; hash = "%s"; archive = "%s/site.tar.gz"; describe = true; };
  components.nix.package = { source, ... }: pkgs.runCommand "copy" { inherit source; } "mkdir $out; cp -r $source $out/src";
  components.file = { containerfile = "Containerfile"; bases."tools:1" = "tools/root"; };
  variants.lyon = app: addToSource (substituteSource app { page = { Welcome = "Bienvenue"; }; }) { more = ./more; };
}
`, hashed.Hash, server.URL),
		"site/more": "more\n",
		"tools/default.nix": `{ mkApp, ... }: mkApp {
  name = "tools"; version = "1"; packageVersion = 1; source.path = ./src; components.root.containerfile = "Containerfile";
}
`,
		"tools/src/Containerfile": "FROM scratch\nCOPY rootfs /\nENV PATH=/bin\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n",
	})
	programs(t, filepath.Join(c.dir, "apps/tools/src/rootfs"), "git")
	libre.Tool(t, "git", "-C", c.dir, "add", "--all")
	_, stderr := c.libre(t, "build", "site/nix/default", "site/nix/lyon", "site/file/default", "site/file/lyon")
	if want := ".dockerignore:2 ignores .git: it stays in the build context, because source.describe is set"; strings.Count(stderr, want) != 2 {
		t.Errorf("libre does not say twice %q:\n%s", want, stderr)
	}
	commits := map[string]bool{}
	for _, variant := range []string{"default", "lyon"} {
		image := readTree(t, openImage(t, c.dist(), "site-file-"+variant+":1.2.3-1", ""))
		lines := strings.Split(strings.TrimSpace(image.text(t, "/version")), "\n")
		want := `^release/v1\.2\.3 release/v1\.2\.3 [0-9a-f]{40} 1795737600 (\d+) release/v1\.2\.3$`
		if said := strings.Join(lines, " "); !regexp.MustCompile(want).MatchString(said) {
			t.Fatalf("%s: git says %q", variant, said)
		}
		if said := image.text(t, "/mine"); said != "release/v1.2.3\n" {
			t.Errorf("%s: to a user of its own, git says %q", variant, said)
		}
		commits[lines[2]] = true

		// The same complete repository is in the source that Nix builds.
		nix := readTree(t, openImage(t, c.dist(), "site-nix-"+variant+":1.2.3-1", ""))
		copied := t.TempDir()
		same := 0
		for name, file := range nix {
			_, inside, ok := strings.Cut(name, "-copy/src/")
			if !ok || file.Typeflag != tar.TypeReg {
				continue
			}
			put(t, filepath.Join(copied, inside), file.content)
			if strings.HasPrefix(inside, ".git/") {
				if same++; image.text(t, "/"+inside) != string(file.content) {
					t.Errorf("%s: %s is another in the other build", variant, inside)
				}
			}
		}
		libre.Tool(t, "git", "-C", copied, "fsck", "--full", "--strict")
		if got := strings.TrimSpace(libre.Tool(t, "git", "-C", copied, "rev-parse", "HEAD")); got != lines[2] || same != 6 {
			t.Errorf("%s: %d files of a repository, HEAD is %s, want %s", variant, same, got, lines[2])
		}
	}
	if len(commits) != 2 {
		t.Errorf("a changed source has the same commit: %v", commits)
	}
}

// packed returns an archive as a forge makes it.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	w := tar.NewWriter(compressed)
	for name, content := range files {
		header := tar.Header{Name: "site-1.2.3/" + name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(content))}
		if strings.HasPrefix(name, "bin/") {
			header.Mode = 0o755
		}
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"link", "bin/link"} {
		if err := w.WriteHeader(&tar.Header{Name: "site-1.2.3/" + link, Typeflag: tar.TypeSymlink, Linkname: "page"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

var libraries = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// programs copies programs of this machine, a shell and their libraries below a folder.
func programs(t *testing.T, rootfs string, names ...string) {
	t.Helper()
	add := func(from, to string) {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(rootfs, to), content)
	}
	for _, name := range append(names, "busybox") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		add(path, "bin/"+name)
		needed, _, _ := testkit.Output(exec.Command("ldd", path)) // fails for static programs
		for _, found := range libraries.FindAllStringSubmatch(needed, -1) {
			add(found[1], found[1])
		}
	}
}

// put writes an executable file and its folders.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
}
