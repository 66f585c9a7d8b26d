package bump

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
	nixcode "github.com/libresh/libre/nix"
)

// guestbook returns the template's guestbook at 1.0.0, with its source on a forge.
func guestbook(t *testing.T, forge *forgetest.Forge) (catalogue, *forgetest.Repo) {
	t.Helper()
	testkit.Require(t, "nix", "git", "patch")
	app, err := fs.Sub(nixcode.Template(), "apps/guestbook")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		content, err := fs.ReadFile(app, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	source := map[string]string{}
	err = fs.WalkDir(app, "src", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			source[strings.TrimSuffix(strings.TrimPrefix(name, "src/"), ".in")] = read(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	repo := forge.AddRepo("suite/guestbook")
	repo.Tag("v1.0.0", repo.Commit(source))
	definition := strings.NewReplacer(
		"mkApp {", "mkApp rec {",
		`version = "1.0.0";`, `version = "0.9.0";`,
		"source.path = ./src;", `source = {
    github = "suite/guestbook";
    tag = "v${version}";
    archive = "`+forge.URL+`/suite/guestbook/archive/refs/tags/v${version}.tar.gz";
    hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };`).Replace(read("default.nix"))
	c := catalogue{dir: libre.Catalogue(t, map[string]string{"guestbook/default.nix": definition, "guestbook/lyon.patch": read("lyon.patch")}, "x86_64-linux")}
	for name, value := range forge.Environment() {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, "XDG_CONFIG_HOME="+t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null")
	c.run(t, 0, "bump", "guestbook")
	c.git(t, "commit", "--quiet", "-am", "Guestbook 1.0.0")
	return c, repo
}

// One patch is for the whole app, one for the variant lyon only. Both are built in, and bump
// removes them when upstream has released them.
func TestPatchesOfGuestbookUntilUpstreamReleases(t *testing.T) {
	c, repo := guestbook(t, forgetest.GitHub(t))
	source := func(name string) string {
		return libre.Tool(t, "git", "-C", repo.Dir, "show", "v1.0.0:"+name)
	}
	inApp := map[string]string{"backend/migrate.go": strings.Replace(source("backend/migrate.go"), "waiting for the migration lock", "waiting (app-is-fixed) for the migration lock", 1)}
	inLyon := map[string]string{"backend/main.go": strings.Replace(source("backend/main.go"), "DATABASE_URL is not set:", "DATABASE_URL is not set (lyon-is-fixed):", 1)}
	first := repo.Commit(inApp)
	second := repo.Commit(inLyon)
	page := strings.TrimSuffix(repo.CloneURL(), ".git") + "/commit/"
	before := c.read(t, "apps/guestbook/default.nix")

	o := c.run(t, 0, "patch", "guestbook", first[:10], "--fixes", "CVE-2026-0001")
	if o.stdout != "guestbook\t1.0.0-1\t1.0.0-2\tCVE-2026-0001\tapps/guestbook/patches/CVE-2026-0001.patch\n" {
		t.Errorf("stdout: %s", o.stdout)
	}
	o = c.run(t, 0, "patch", "guestbook", page+second, "--fixes", "CVE-2026-0002", "--fixes", "GHSA-4xqx-pqpj-9fqw", "--variant", "lyon")
	if o.stdout != "guestbook\t1.0.0-2\t1.0.0-3\tCVE-2026-0002,GHSA-4xqx-pqpj-9fqw\tapps/guestbook/patches/CVE-2026-0002-lyon.patch\n" {
		t.Errorf("stdout: %s", o.stdout)
	}
	want := strings.NewReplacer("packageVersion = 1;", "packageVersion = 3;",
		"  hashes.vendorHash", "  patches = [\n    {\n      file = ./patches/CVE-2026-0001.patch;\n      fixes = [ \"CVE-2026-0001\" ];\n      origin = \""+page+first+"\";\n    }\n  ];\n  hashes.vendorHash",
		"[ ./lyon.patch ]", `[ ./lyon.patch { file = ./patches/CVE-2026-0002-lyon.patch; fixes = [ "CVE-2026-0002" "GHSA-4xqx-pqpj-9fqw" ]; origin = "`+page+second+`"; } ]`,
	).Replace(before)
	if after := c.read(t, "apps/guestbook/default.nix"); after != want {
		t.Errorf("the definition is\n%s\nwant\n%s", after, want)
	}

	built := c.run(t, 0, "build", "guestbook/backend/default", "guestbook/backend/lyon", "--json")
	var images []struct{ Image, Digest string }
	if err := json.Unmarshal([]byte(built.stdout), &images); err != nil || len(images) != 2 {
		t.Fatalf("%v: %s", err, built.stdout)
	}
	for _, image := range images {
		inLyon := image.Image == "guestbook/backend/lyon"
		if !contains(t, c.dir, image.Digest, "app-is-fixed") || contains(t, c.dir, image.Digest, "lyon-is-fixed") != inLyon {
			t.Errorf("%s does not have the right patches", image.Image)
		}
	}
	c.git(t, "add", "--all")
	c.git(t, "commit", "--quiet", "-m", "Patched")

	repo.Tag("v1.1.0", repo.Commit(map[string]string{"NEWS": "1.1.0\n"}))
	o = c.run(t, 3, "bump", "guestbook")
	for _, name := range []string{"CVE-2026-0001.patch is already upstream: --drop-applied removes it", "CVE-2026-0002-lyon.patch (variant lyon) is already upstream: --drop-applied removes it"} {
		if !strings.Contains(o.stderr, name) {
			t.Errorf("bump does not say that %s:\n%s", name, o.stderr)
		}
	}
	c.run(t, 0, "bump", "guestbook", "--drop-applied")
	after := c.read(t, "apps/guestbook/default.nix")
	if _, err := os.Stat(filepath.Join(c.dir, "apps/guestbook/patches")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the files of the patches are still there: %v", err)
	}
	if strings.Contains(after, "CVE-") || !strings.Contains(after, "patchSource app [ ./lyon.patch ]") || !strings.Contains(after, `version = "1.1.0";`) {
		t.Errorf("bump leaves\n%s", after)
	}
}

// contains reports whether a file of an image in the layout has a text.
func contains(t *testing.T, dir, digest, text string) bool {
	t.Helper()
	all, err := layout.ImageIndexFromPath(filepath.Join(dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	index, err := all.ImageIndex(hash)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	stream := mutate.Extract(image)
	defer stream.Close()
	for r := tar.NewReader(stream); ; {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return false
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
}
