package bump

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

const fixedPage = "# Notes\nhello\nend, checked\nversion 1.0.0\n"

// fixed is upstream with a fix on main that no release has.
func fixed(t *testing.T, repo *forgetest.Repo) string {
	t.Helper()
	files := upstreamFiles("1.0.0")
	files["page.txt"] = fixedPage
	return repo.Commit(files)
}

// A commit of the source's repository, by the digits of its ID: the whole way.
func TestPatchOfACommit(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	id := fixed(t, repo)
	before := c.read(t, "apps/notes/default.nix")

	o := c.run(t, 0, "patch", "notes", id[:9], "--fixes", "CVE-2026-1234", "--dry-run")
	if !strings.Contains(o.stdout, "+++ b/apps/notes/patches/CVE-2026-1234.patch") || c.read(t, "apps/notes/default.nix") != before {
		t.Errorf("the dry run prints\n%s", o.stdout)
	}
	o = c.run(t, 0, "patch", "notes", id[:9], "--fixes", "CVE-2026-1234", "--json")
	var result struct {
		Outcome string
		Patch   struct{ File, Commit, Origin string }
		Files   []string
	}
	if err := json.Unmarshal([]byte(o.stdout), &result); err != nil {
		t.Fatal(err)
	}
	if result.Outcome != "patched" || result.Patch.Commit != id || result.Patch.Origin != strings.TrimSuffix(repo.CloneURL(), ".git")+"/commit/"+id || len(result.Files) != 2 {
		t.Errorf("%+v", result)
	}
	after := c.read(t, "apps/notes/default.nix")
	want := strings.Replace(before, "packageVersion = 3", "packageVersion = 4", 1)
	want = strings.Replace(want, "[ ./greeting.patch ]", `[ ./greeting.patch { file = ./patches/CVE-2026-1234.patch; fixes = [ "CVE-2026-1234" ]; origin = "`+result.Patch.Origin+`"; } ]`, 1)
	if after != want {
		t.Errorf("the definition is\n%s\nwant\n%s", after, want)
	}
	if text := c.read(t, "apps/notes/patches/CVE-2026-1234.patch"); !strings.Contains(text, "+end, checked\n") || !strings.Contains(text, "From: Upstream <upstream@example.org>\n") {
		t.Errorf("the patch is\n%s", text)
	}
	o = c.run(t, 1, "patch", "notes", id, "--fixes", "CVE-2026-1234")
	if !strings.Contains(o.stderr, "apps/notes/patches/CVE-2026-1234.patch fixes CVE-2026-1234 already") {
		t.Error(o.stderr)
	}
}
