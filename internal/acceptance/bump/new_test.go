package bump

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// newNotes returns a catalogue, and a forge with notes. 1.1.0 is the newest release for
// everybody.
func newNotes(t *testing.T, forge *forgetest.Forge, base string) catalogue {
	t.Helper()
	testkit.Require(t, "nix", "git")
	repo := forge.AddRepo("suite/notes")
	for i, version := range []string{"v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0-rc.1"} {
		repo.Tag(version, repo.Commit(map[string]string{"Dockerfile": "FROM " + base + "\nCOPY page.txt /\nEXPOSE 8080\n", "page.txt": version + "\n"}))
		if i > 0 {
			release := forgetest.Release{Tag: version, Date: time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)}
			switch _, isGitLab := forge.Environment()["GITLAB_CI"]; {
			case version == "v1.2.0" && isGitLab: // which has upcoming releases, and no prereleases
				release.Date = time.Now().AddDate(1, 0, 0)
			case version == "v1.2.0":
				release.Prerelease = true
			}
			repo.AddRelease(release)
		}
	}
	c := catalogue{dir: libre.Catalogue(t, nil, "x86_64-linux")}
	for name, value := range forge.Environment() {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, "XDG_CONFIG_HOME="+t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null")
	return c
}

// A new app starts with the release that bump would choose, or with the tag of a page. It has
// the hash of its source, and pinned bases. bump then updates it.
func TestNewAppBeginsWithAReleaseOfAForge(t *testing.T) {
	host, push := hub(t)
	digest := push("base:1")
	forge := forgetest.GitHub(t)
	c := newNotes(t, forge, host+"/base:1")
	c.write(t, "flake.nix", strings.Replace(c.read(t, "flake.nix"), "inherit nixpkgs;", fmt.Sprintf("inherit nixpkgs; githubServer = %q;", forge.URL), 1))

	made := c.run(t, 0, "new", "notes", "--from", forge.URL+"/suite/notes")
	text := c.read(t, "apps/notes/default.nix")
	for _, want := range []string{
		`version = "1.1.0";`, `github = "suite/notes";`, `tag = "v${version}";`, `date = "2026-10-05";`, `hash = "sha256-`,
		`"` + host + `/base:1" = "` + digest + `";`, `ports.http = 8080;`, `homepage = "` + forge.URL + `/suite/notes";`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s\n%s", want, text, made.stderr)
		}
	}
	c.run(t, 0, "bump", "notes", "--check")
	if again := c.run(t, 0, "hash", "notes"); c.read(t, "apps/notes/default.nix") != text {
		t.Errorf("hashes were wrong:\n%s", again.stdout)
	}

	c.run(t, 0, "new", "old", "--from", forge.URL+"/suite/notes/tree/v1.0.0")
	if bumped := c.run(t, 0, "bump", "old"); bumped.stdout != "old\t1.0.0-1\t1.1.0-1\tbumped\n" {
		t.Errorf("bump:\n%s%s", bumped.stdout, c.read(t, "apps/old/default.nix"))
	}
	unknown := c.run(t, 1, "new", "none", "--from", forge.URL+"/suite/notes/releases/tag/v9")
	if !strings.Contains(unknown.stderr, "error: upstream has no tag v9\n") {
		t.Errorf("an unknown tag:\n%s", unknown.stderr)
	}
}

// If the package set lacks a builder, the definition is still written, and says so.
func TestNewAppWithoutItsBuilderHasTheHashOfItsSource(t *testing.T) {
	forge := forgetest.GitHub(t)
	c := newNotes(t, forge, "scratch")
	repo := forge.AddRepo("suite/pages")
	repo.Tag("v1.0.0", repo.Commit(map[string]string{"package.json": `{"name": "pages"}`, "package-lock.json": "{}"}))
	made := c.run(t, 0, "new", "pages", "--from", forge.URL+"/suite/pages")
	for _, want := range []string{
		"warning: hashes are not found yet: apps/pages: apps/pages/default.nix:", "attribute 'buildNpmPackage' missing; libre hash pages finds them later\n",
		"\nlook at: the host package set has no builder for it: it was not built, use --package-set nixpkgs\n",
	} {
		if !strings.Contains(made.stderr, want) {
			t.Errorf("lacks %q:\n%s", want, made.stderr)
		}
	}
	if text := c.read(t, "apps/pages/default.nix"); !strings.Contains(text, `hash = "sha256-`) || !strings.Contains(text, `hashes.npmDepsHash = "";`) {
		t.Errorf("hashes:\n%s", text)
	}
	c.run(t, 0, "list", "pages")
}

// A repository of Forgejo or GitLab is fetched with git. bump follows its releases.
func TestNewAppBeginsWithAReleaseOfForgejoOrGitLab(t *testing.T) {
	host, push := hub(t)
	push("base:1")
	for name, start := range map[string]func(testing.TB) *forgetest.Forge{"forgejo": forgetest.Forgejo, "gitlab": forgetest.GitLab} {
		forge := start(t)
		c := newNotes(t, forge, host+"/base:1")
		c.flags = []string{"--allow-local-inputs"}
		c.run(t, 0, "new", "notes", "--from", forge.URL+"/suite/notes")
		text := c.read(t, "apps/notes/default.nix")
		for _, want := range []string{`version = "1.1.0";`, `git = "` + forge.URL + `/suite/notes";`, `rev = "`, `forge = "` + name + `";`, `hash = "sha256-`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s:\n%s", name, want, text)
			}
		}
		c.run(t, 0, "bump", "notes", "--check")
	}
}

// An image without a source becomes an app whose Containerfile, in the catalogue, only names
// the image.
func TestNewAppOfAnImageIsBuilt(t *testing.T) {
	testkit.Require(t, "buildah")
	host, _ := hub(t)
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{
		ExposedPorts: map[string]struct{}{"8080/tcp": {}}, User: "1001", Cmd: []string{"/x"},
		Labels: map[string]string{"org.opencontainers.image.version": "v2.1.0", "org.opencontainers.image.description": "A \"${web}\""},
	}})
	if err == nil {
		image, err = mutate.AppendLayers(image, mustLayer(t))
	}
	reference, nameErr := name.ParseReference(host + "/ada/web:latest")
	if err != nil || nameErr != nil {
		t.Fatal(err, nameErr)
	}
	if err := remote.Write(reference, image); err != nil {
		t.Fatal(err)
	}
	c := catalogue{dir: libre.Catalogue(t, nil, "x86_64-linux")}
	made := c.run(t, 0, "new", "web", "--image", host+"/ada/web:latest")
	if made.stdout != "apps/web/default.nix\napps/web/src/web/Containerfile\n" {
		t.Errorf("new:\n%s%s", made.stdout, made.stderr)
	}
	text := c.read(t, "apps/web/default.nix")
	for _, want := range []string{`version = "2.1.0";`, `source.path = ./src;`, `ports.http = 8080;`, `description = "A \"\${web}\"";`, `"` + host + `/ada/web:latest" = "sha256:`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	registries := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(registries, fmt.Appendf(nil, "[[registry]]\nlocation = %q\ninsecure = true\n", host), 0o644); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "CONTAINERS_REGISTRIES_CONF="+registries)
	c.run(t, 0, "build", "web/web/default")
}

func mustLayer(t *testing.T) v1.Layer {
	t.Helper()
	layer, err := random.Layer(100, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	return layer
}
