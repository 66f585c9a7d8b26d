package bump

import (
	"io"
	"log"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	inmemory "github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// One command finds the hash of the source, of outputs that are made from it, and of sources in
// a package, and changes nothing else.
func TestHashesAreFilledInOneCommand(t *testing.T) {
	c, _ := suite(t, forgetest.GitHub(t))
	text := c.read(t, "apps/notes/default.nix")
	text = regexp.MustCompile(`hash(es.deps)? = "sha256-[AB]*="`).ReplaceAllString(text, `hash$1 = ""`)
	text = strings.Replace(text, "{ inherit source deps; }",
		`{ inherit source deps; more = pkgs.runCommand "more" { inherit deps; outputHash = ""; outputHashMode = "recursive"; } "cp -r $deps $out"; }`, 1)
	c.write(t, "apps/notes/default.nix", text)

	diff := c.run(t, 0, "hash", "notes", "--dry-run")
	if got := strings.Count(diff.stdout, "\n+ "); got != 3 || c.read(t, "apps/notes/default.nix") != text {
		t.Errorf("hash --dry-run changes %d lines:\n%s", got, diff.stdout)
	}
	got := c.run(t, 0, "hash", "notes")
	for _, want := range []string{"notes\tsource.hash\tsha256-", "notes\thashes.deps\tsha256-", "notes\tapps/notes/default.nix:21.outputHash\tsha256-"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("hash lacks %q:\n%s", want, got.stdout)
		}
	}
	after := c.read(t, "apps/notes/default.nix")
	if empty := regexp.MustCompile(`"sha256-[^"]{43}="`); empty.ReplaceAllString(after, `""`) != text {
		t.Errorf("more than hashes changed:\n%s", after)
	}
	c.run(t, 0, "build", "notes")
	if again := c.run(t, 0, "hash", "notes"); again.stdout != "" || again.stderr != "notes: hashing\nnotes: all hashes are right\n" || c.read(t, "apps/notes/default.nix") != after {
		t.Errorf("hash again:\n%s%s", again.stdout, again.stderr)
	}
}

// A build prints the command that finds the hashes, and finds them itself if asked.
func TestBuildFillsHashes(t *testing.T) {
	c, _ := suite(t, forgetest.GitHub(t))
	failed := c.run(t, 3, "build", "notes")
	if !strings.Contains(failed.stderr, "\n  next: libre hash notes\n") {
		t.Errorf("build:\n%s", failed.stderr)
	}
	built := c.run(t, 0, "build", "notes", "--fix-hashes")
	if !strings.Contains(built.stderr, "notes: source.hash is sha256-") || !strings.Contains(built.stdout, "notes-web-lyon:1.0.0-3@sha256:") {
		t.Errorf("build --fix-hashes:\n%s%s", built.stdout, built.stderr)
	}
}

// A wrong hash of a release is corrected with a warning, and a tag of another commit than
// the definition's is refused.
func TestReplacedReleaseIsNotedByHash(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	c.run(t, 0, "hash", "notes")
	before := c.read(t, "apps/notes/default.nix")
	was := regexp.MustCompile(`sha256-[^"]*`).FindString(before)
	files := upstreamFiles("1.0.0")
	files["backdoor.txt"] = "open\n"
	commit := repo.Commit(files)
	repo.Tag("v1.0.0", commit)
	refused := c.run(t, 3, "hash", "notes")
	if !strings.Contains(refused.stderr, "v1.0.0 is commit "+commit+", but source.commit is ") || c.read(t, "apps/notes/default.nix") != before {
		t.Errorf("a moved tag:\n%s", refused.stderr)
	}
	c.write(t, "apps/notes/default.nix", regexp.MustCompile(`commit = "[0-9a-f]*";`).ReplaceAllString(before, ""))
	noted := c.run(t, 0, "hash", "notes")
	if !strings.Contains(noted.stderr, "warning: notes: source.hash was "+was+": if it was right for v1.0.0, upstream has replaced that release") {
		t.Errorf("without a commit:\n%s", noted.stderr)
	}
}

// A published release keeps its content, so new hashes need a new package version.
func TestHashesOfAPublishedReleaseRaiseThePackageVersion(t *testing.T) {
	c, _ := suite(t, forgetest.GitHub(t))
	c = c.publishes(t)
	c.run(t, 0, "hash", "notes")
	if text := c.read(t, "apps/notes/default.nix"); !strings.Contains(text, "packageVersion = 3;") {
		t.Errorf("never published:\n%s", text)
	}
	c.run(t, 0, "push", "notes")
	text := c.read(t, "apps/notes/default.nix")
	wrong := regexp.MustCompile(`deps = "sha256-[^"]*"`).ReplaceAllString(text, `deps = "sha256-CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="`)
	c.write(t, "apps/notes/default.nix", wrong)
	c.run(t, 0, "hash", "notes")
	if got := c.read(t, "apps/notes/default.nix"); got != strings.Replace(text, "packageVersion = 3;", "packageVersion = 4;", 1) {
		t.Errorf("published:\n%s", got)
	}
}

// publishes returns the catalogue with a key and a registry.
func (c catalogue) publishes(t *testing.T) catalogue {
	t.Helper()
	server := httptest.NewServer(inmemory.New(inmemory.Logger(log.New(io.Discard, "", 0)), inmemory.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	c.write(t, "libre.yaml", "registry: "+strings.TrimPrefix(server.URL, "http://")+"/suite\nsign: {key: cosign.key}\n")
	c.env = append(c.env, "COSIGN_PASSWORD=x")
	c.run(t, 0, "keygen")
	return c
}
