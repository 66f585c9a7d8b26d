package bump

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// A pull request describes the effects of an update on those who run the app: by the
// definition, and by the images if libre builds them.
func TestPullRequestsCompare(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	forge.AddToken("t0ken", true)
	home := forge.AddRepo("coop/catalogue")
	c.git(t, "remote", "add", "origin", home.CloneURL())
	mine := strings.Replace(home.CloneURL(), "://", "://x:t0ken@", 1)
	c.env = append(c.env, "GITHUB_TOKEN=t0ken", "GIT_AUTHOR_NAME=Bot", "GIT_AUTHOR_EMAIL=bot@example.org", "GIT_COMMITTER_NAME=Bot", "GIT_COMMITTER_EMAIL=bot@example.org", "COSIGN_PASSWORD=")
	c.run(t, 0, "keygen", "--output", "cosign")
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer server.Close()
	c.write(t, "libre.yaml", "forge: github\nregistry: "+strings.TrimPrefix(server.URL, "http://")+"/coop\nsign:\n  key: "+c.dir+"/cosign.key\n")
	c.write(t, "apps/notes/default.nix", strings.Replace(c.read(t, "apps/notes/default.nix"), "patches = ", "migration = { kind = \"automatic\"; minFrom = \"1.0.5\"; };\n  patches = ", 1))
	c.git(t, "commit", "--quiet", "-am", "A migration")
	c.git(t, "push", "--quiet", "--force", mine, "HEAD:main")

	release(repo, "1.1.0", "better")
	c.run(t, 0, "bump", "--all", "--pr")
	body := home.Pulls()[0].Body
	if !strings.Contains(body, "**What changes for those who run it**") || !strings.Contains(body, "upgrade refused: 1.1.0 upgrades from 1.0.5 or later") {
		t.Errorf("by the definition:\n%s", body)
	}

	c.run(t, 0, "bump", "notes", "--commit")
	c.git(t, "push", "--quiet", mine, "HEAD:main")
	release(repo, "1.1.1", "even better")
	c.run(t, 0, "bump", "--all", "--pr", "--build")
	if body = home.Pulls()[0].Body; !strings.Contains(body, "the images are not compared with a published release: ") || !strings.Contains(body, "has no release to compare with") {
		t.Errorf("nothing is published:\n%s", body)
	}

	c.run(t, 0, "push", "notes/web/default")
	release(repo, "1.2.0", "best")
	before := c.read(t, "apps/notes/default.nix")
	c.run(t, 0, "bump", "--all", "--pr", "--build")
	body = home.Pulls()[0].Body
	for _, want := range []string{
		"notes/default 1.1.0-1 → 1.2.0-1: another app version", "upgrade allowed from 1.0.5 or later; migration: automatic",
		"an upgrade fetches ", "<summary>Packages: ", "| changed | notes (application) | 1.1.0 | 1.2.0 |", "<summary>Size: ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("by the images, it lacks %q:\n%s", want, body)
		}
	}
	if _, err := os.Stat(c.dir + "/dist/index.json"); err == nil && strings.Contains(c.read(t, "dist/index.json"), "1.2.0-1") {
		t.Error("--pr left the image of a proposal in dist")
	}
	if c.read(t, "apps/notes/default.nix") != before {
		t.Error("--pr changed the catalogue")
	}

	c.run(t, 0, "bump", "notes", "--commit")
	working := c.run(t, 0, "diff", "notes", "--json")
	c.run(t, 0, "push", "notes/web/default")
	operator := catalogue{dir: t.TempDir(), env: c.env}
	record := strings.TrimPrefix(server.URL, "http://") + "/coop/notes-default:"
	published := operator.run(t, 0, "diff", record+"1.1.0-1", record+"1.2.0-1", "--key", c.dir+"/cosign.pub", "--json")
	for _, out := range []outcome{working, published} {
		var got compare.Comparison
		if err := json.Unmarshal([]byte(out.stdout), &got); err != nil {
			t.Fatal(err)
		}
		var notes []string
		for _, note := range got.Notes {
			notes = append(notes, note.Version+": "+note.Text)
		}
		if want := []string{"1.2.0: best", "1.1.1: even better"}; !slices.Equal(notes, want) {
			t.Errorf("%q: upstream's notes: %q, want %q\n%s", out.args, notes, want, out.stderr)
		}
	}
	forge.SetFault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: http.StatusNotFound} })
	silent := c.run(t, 0, "diff", "notes", "1.1.0-1", "-o", "markdown")
	if !strings.Contains(silent.stderr, "warning: upstream's notes are not read: ") || !strings.Contains(silent.stdout, "| changed | notes (application) | 1.1.0 | 1.2.0 |") {
		t.Errorf("without the forge:\n%s%s", silent.stdout, silent.stderr)
	}
}
