package bump

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// A repository without a forge's archives is fetched with git.
func TestRepositoryWithoutAForgeIsFetchedByGit(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	c.flags = []string{"--allow-local-inputs"} // the repository is on this machine
	c.fetchByGit(t, repo, strings.Repeat("0", 40))
	files := upstreamFiles("1.1.0")
	files[".gitattributes"] = "LICENSE export-ignore\n"
	commit := repo.Commit(files)
	repo.Tag("v1.1.0", commit)
	c.run(t, 0, "bump", "notes", "--build")
	if text := c.read(t, "apps/notes/default.nix"); !strings.Contains(text, `rev = "`+commit+`"`) || !strings.Contains(text, `version = "1.1.0"`) {
		t.Errorf("bumped:\n%s", text)
	}
}

// fetchByGit changes the source of notes to a repository on this machine.
func (c catalogue) fetchByGit(t *testing.T, repo *forgetest.Repo, commit string) {
	t.Helper()
	text := ""
	for line := range strings.Lines(c.read(t, "apps/notes/default.nix")) {
		switch {
		case strings.Contains(line, "github ="):
			text += fmt.Sprintf("    git = %q; rev = %q;\n", "file://"+repo.Dir, commit)
		case !strings.Contains(line, "commit =") && !strings.Contains(line, "archive ="):
			text += line
		}
	}
	c.write(t, "apps/notes/default.nix", text)
}

// A catalogue follows an Enterprise server, and Nix fetches from there, too.
func TestEnterpriseServerIsFollowed(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	text := ""
	for line := range strings.Lines(c.read(t, "apps/notes/default.nix")) {
		if !strings.Contains(line, "archive =") {
			text += line
		}
	}
	c.write(t, "apps/notes/default.nix", text)
	c.write(t, "flake.nix", strings.Replace(c.read(t, "flake.nix"), "inherit nixpkgs;", fmt.Sprintf("inherit nixpkgs; githubServer = %q;", forge.URL), 1))
	release(repo, "1.1.0", "better")
	if got := c.run(t, 0, "bump", "notes", "--build"); !strings.HasPrefix(got.stdout, "notes\t1.0.0-3\t1.1.0-1\tbumped\n") {
		t.Errorf("bump:\n%s", got.stdout)
	}
	if page := fileOf(t, c, "notes-web-default:1.1.0-1", "site/page.txt"); !strings.Contains(page, "version 1.1.0") {
		t.Errorf("the page: %q", page)
	}
}
