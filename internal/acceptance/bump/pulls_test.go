package bump

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// Pull requests are opened, kept, updated to a newer version, and closed when nothing is
// left to do.
func TestPullRequestsAreOpenedUpdatedAndClosed(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *forgetest.Forge{"github": forgetest.GitHub, "forgejo": forgetest.Forgejo, "gitlab": forgetest.GitLab} {
		t.Run(name, func(t *testing.T) {
			forge := start(t)
			c, repo := suite(t, forge)
			if name != "github" {
				text := strings.ReplaceAll(c.read(t, "apps/notes/default.nix"), `github = "suite/notes";`, fmt.Sprintf(`git = %q; rev = %q; forge = %q;`, repo.CloneURL(), strings.Repeat("0", 40), name))
				lines := strings.Split(text, "\n")
				text = ""
				for _, line := range lines {
					if !strings.Contains(line, "commit =") && !strings.Contains(line, "archive =") {
						text += line + "\n"
					}
				}
				c.write(t, "apps/notes/default.nix", text)
				c.git(t, "commit", "--quiet", "-am", name)
			}
			forge.AddToken("t0ken", true)
			home := forge.AddRepo("coop/catalogue")
			c.git(t, "remote", "add", "origin", home.CloneURL())
			mine := strings.Replace(home.CloneURL(), "://", "://x:t0ken@", 1)
			c.git(t, "push", "--quiet", "--force", mine, "HEAD:main")
			c.env = append(c.env, "GITHUB_TOKEN=t0ken", "FORGEJO_TOKEN=t0ken", "GITLAB_TOKEN=t0ken", "GIT_AUTHOR_NAME=Bot", "GIT_AUTHOR_EMAIL=bot@example.org",
				"GIT_COMMITTER_NAME=Bot", "GIT_COMMITTER_EMAIL=bot@example.org")
			c.write(t, "libre.yaml", "forge: "+name+"\n")

			release(repo, "1.1.0", "thanks @ada for #12")
			before := c.read(t, "apps/notes/default.nix")
			opened := c.run(t, 0, "bump", "--all", "--pr")
			pulls := home.Pulls()
			if len(pulls) != 1 || pulls[0].Title != "notes: 1.0.0 -> 1.1.0" || pulls[0].Head != "libre/notes" || !strings.Contains(opened.stderr, "libre/notes: opened") {
				t.Fatalf("pull requests: %+v\n%s", pulls, opened.stderr)
			}
			if strings.Contains(pulls[0].Body, "@ada") || strings.Contains(pulls[0].Body, "#12") || !strings.Contains(pulls[0].Body, "1.1.0") {
				t.Errorf("its body:\n%s", pulls[0].Body)
			}
			if c.read(t, "apps/notes/default.nix") != before {
				t.Error("--pr changed the catalogue")
			}
			if again := c.run(t, 0, "bump", "--all", "--pr"); !strings.Contains(again.stderr, "libre/notes: unchanged") || len(home.Pulls()) != 1 {
				t.Errorf("again:\n%s", again.stderr)
			}
			release(repo, "1.2.0", "more")
			c.run(t, 0, "bump", "--all", "--pr")
			if pulls = home.Pulls(); len(pulls) != 1 || pulls[0].Title != "notes: 1.0.0 -> 1.2.0" {
				t.Errorf("a second release: %+v", pulls)
			}
			proposed := libre.Tool(t, "git", "-C", home.Dir, "show", "libre/notes:apps/notes/default.nix")
			if !strings.Contains(proposed, `version = "1.2.0"; packageVersion = 1;`) {
				t.Errorf("proposed:\n%s", proposed)
			}
			// After the merge, nothing is left to propose.
			c.git(t, "fetch", "--quiet", mine, "libre/notes")
			c.git(t, "reset", "--quiet", "--hard", "FETCH_HEAD")
			c.git(t, "push", "--quiet", mine, "HEAD:main")
			closed := c.run(t, 0, "bump", "--all", "--pr")
			if pulls = home.Pulls(); pulls[0].State != "closed" || !strings.Contains(closed.stdout, "up to date") {
				t.Errorf("after the merge: %+v\n%s", pulls, closed.stderr)
			}
			// A rebuild has a pull request of its own, which is not needless because there is no
			// new version.
			c.run(t, 0, "bump", "--repack", "notes", "--pr")
			c.run(t, 0, "bump", "--all", "--pr")
			if pulls = home.Pulls(); len(pulls) != 2 || pulls[1].Head != "libre/notes-repack" || pulls[1].State != "open" {
				t.Errorf("a rebuild: %+v", pulls)
			}
			for _, o := range []outcome{opened, closed} {
				if strings.Contains(o.stdout+o.stderr, "t0ken") {
					t.Error("the token was printed")
				}
			}
		})
	}
}

// --commit makes one commit for each app, and keeps other changes uncommitted.
func TestCommitIsOneAnAppAndLeavesOtherWork(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	c.write(t, "README.md", "work in progress\n")
	c.git(t, "add", "README.md")
	c.env = append(c.env, "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	c.run(t, 0, "bump", "notes", "--commit")
	if log := c.git(t, "log", "-1", "--format=%s", "--name-only"); !strings.HasPrefix(log, "notes: 1.0.0 -> 1.1.0\n") || strings.Contains(log, "README") {
		t.Errorf("the commit:\n%s", log)
	}
	if status := c.git(t, "status", "--porcelain"); status != "A  README.md\n" {
		t.Errorf("what was staged before: %q", status)
	}
}
