package bump

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

const fixedTheme = "the colour is blue, checked\n"

// fixed commits a fix on upstream's main that is in no release.
func fixed(t *testing.T, repo *forgetest.Repo) string {
	t.Helper()
	files := upstreamFiles("1.0.0")
	files["theme.txt"] = fixedTheme
	return repo.Commit(files)
}

// A commit of the source's repository is added by the digits of its ID, through all steps.
func TestPatchOfACommit(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	id := fixed(t, repo)
	before := c.read(t, "apps/notes/default.nix")

	o := c.run(t, 0, "patch", "notes", id[:9], "--fixes", "CVE-2026-1234", "--dry-run")
	if !strings.Contains(o.stdout, "+++ b/apps/notes/patches/CVE-2026-1234.patch") || c.read(t, "apps/notes/default.nix") != before {
		t.Errorf("the dry run prints\n%s", o.stdout)
	}
	o = c.run(t, 0, "patch", "notes", "--commit", id[:9], "--fixes", "CVE-2026-1234", "--json")
	if log := c.git(t, "log", "-1", "--format=%s"); log != "A catalogue\n" {
		t.Errorf("--commit DIGITS commits %s", log)
	}
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
	if text := c.read(t, "apps/notes/patches/CVE-2026-1234.patch"); !strings.Contains(text, "+the colour is blue, checked\n") || !strings.Contains(text, "From: Upstream <upstream@example.org>\n") {
		t.Errorf("the patch is\n%s", text)
	}
	o = c.run(t, 1, "patch", "notes", id, "--fixes", "CVE-2026-1234")
	if !strings.Contains(o.stderr, "apps/notes/patches/CVE-2026-1234.patch fixes CVE-2026-1234 already") {
		t.Error(o.stderr)
	}
}

// A refused patch changes nothing, and the reason is one line.
func TestPatchRefusesAndChangesNothing(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	page := strings.TrimSuffix(repo.CloneURL(), ".git")
	files := upstreamFiles("1.0.0")
	files["theme.txt"] = fixedTheme
	fork := repo.CommitToFork(files)
	other := forge.AddRepo("suite/other").Commit(map[string]string{"page.txt": "x\n"})
	onMain := fixed(t, repo)
	write := func(name, text string) string {
		c.write(t, name, text)
		return name
	}
	section := func(file, lines string) string { return "--- a/" + file + "\n+++ b/" + file + "\n" + lines }
	status := c.git(t, "status", "--porcelain", "--ignored")
	before := c.read(t, "apps/notes/default.nix")
	for _, test := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"a fork's commit", 1, []string{fork[:12]}, "no branch and no tag of " + page + " leads to commit " + fork[:12] + ": forges serve the commits of forks under the same address; read it, and add --allow-unreachable if you trust it"},
		{"a fork's commit by its page", 1, []string{page + "/commit/" + fork}, "no branch and no tag of " + page + " leads to commit " + fork},
		{"a pull request", 1, []string{page + "/pull/1.patch"}, "no branch and no tag of the source's repository leads to it"},
		{"another repository", 1, []string{forge.URL + "/suite/other/commit/" + other + ".patch"}, "it is a commit of another repository than " + page + ", the source's; read it, and add --allow-unreachable if you trust it"},
		{"no such commit", 1, []string{strings.Repeat("0", 40)}, "no branch and no tag of"},
		{"a private host", 1, []string{"https://127.0.0.1:1/fix.patch"}, "127.0.0.1:1 is at the private address 127.0.0.1; download it yourself, and give the file"},
		{"a private host by name", 1, []string{"https://localhost:1/fix.patch"}, "localhost:1 is at the private address"},
		{"http", 1, []string{"http://patches.example/fix.patch"}, "expected an https URL: anybody on the way can change what comes over http"},
		{"a password", 1, []string{"https://ada:secret@patches.example/fix.patch"}, "it has a user name or a password"},
		{"no such file", 1, []string{"none.patch"}, "none.patch: no such file or directory"},
		{"a hunk", 1, []string{write("hunk.patch", section("page.txt", "@@ -1,3 +1,3 @@\n # Notes\n-good morning\n+bonsoir\n end\n")+section("theme.txt", "@@ -1 +1 @@\n-the colour is blue\n+the colour is BLUE\n"))},
			`the patch does not apply to the source of notes 1.0.0: page.txt @@ -1,3 +1,3 @@: no line "good morning"; nothing was changed`},
		{"no such file in the source", 1, []string{write("gone.patch", section("gone.txt", "@@ -1 +1 @@\n-a\n+b\n"))}, "gone.txt: the source has no such file; nothing was changed"},
		{"in the way of a variant", 1, []string{write("theme.patch", section("theme.txt", "@@ -1 +1 @@\n-the colour is blue\n+the colour is green\n"))}, `with the patch, substitution in theme.txt (variant lyon) no longer applies: the text "blue" is gone`},
		{"after another patch", 1, []string{write("hello.patch", section("page.txt", "@@ -1,3 +1,3 @@\n # Notes\n-hello\n+hello there\n end\n"))}, `no line "hello"`},
		{"with other context", 1, []string{write("context.patch", section("page.txt", "@@ -1,4 +1,4 @@\n # Notes\n hello\n-end\n+end, checked\n version 1.0.0\n"))}, "only if some of its context is ignored, which busybox' patch does not do: nothing was changed; write it anew for this source"},
		{"upstream has it", 1, []string{write("has.patch", section("deps.txt", "@@ -1 +1 @@\n-deps\n+deps of 1.0.0\n"))}, "the source of notes 1.0.0 has the patch already: nothing was changed"},
		{"a link", 1, []string{write("link.patch", "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n")}, "l: it is a symbolic link, which a patch must not change"},
		{"no such variant", 1, []string{onMain, "--variant", "paris"}, "apps/notes: no variant paris, expected one of lyon"},
		{"a built-in variant", 1, []string{onMain, "--variant", "debug"}, "variant debug is built in: a patch without --variant is for all variants"},
		{"a hostile ID", 2, []string{onMain, "--fixes", "../../x"}, `vulnerability "../../x": expected an ID like CVE-2026-1234`},
		{"no patch", 2, nil, "expected an app and a patch"},
	} {
		args := append([]string{"patch", "notes"}, test.args...)
		if !strings.Contains(strings.Join(args, " "), "--fixes") {
			args = append(args, "--fixes", "CVE-2026-1234")
		}
		o := c.run(t, test.code, args...)
		if !strings.Contains(o.stderr, test.want) || strings.Contains(o.stderr, "secret") || o.stdout != "" {
			t.Errorf("%s: want %q\n%s%s", test.name, test.want, o.stdout, o.stderr)
		}
	}
	for _, name := range []string{"hunk.patch", "gone.patch", "theme.patch", "hello.patch", "has.patch", "context.patch", "link.patch"} {
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			t.Error(err)
		}
	}
	if now := c.git(t, "status", "--porcelain", "--ignored"); now != status || c.read(t, "apps/notes/default.nix") != before {
		t.Errorf("left behind: %s", now)
	}

	c.run(t, 2, "patch", "none", onMain, "--fixes", "CVE-2026-1234")
	o := c.run(t, 0, "patch", "notes", fork[:12], "--fixes", "CVE-2026-1234", "--allow-unreachable", "--dry-run")
	if !strings.Contains(o.stdout, "+++ b/apps/notes/patches/CVE-2026-1234.patch") || !strings.Contains(o.stdout, page+"/commit/"+fork+`"`) || !strings.Contains(o.stderr, "leads to commit "+fork[:12]+": anybody may have written it") {
		t.Errorf("allowed:\n%s%s", o.stdout, o.stderr)
	}
}

// A patch is committed only with its own files, and gets a separate pull request.
func TestPatchIsCommittedAndProposed(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	id := fixed(t, repo)
	forge.AddToken("t0ken", true)
	home := forge.AddRepo("coop/catalogue")
	mine := strings.Replace(home.CloneURL(), "://", "://x:t0ken@", 1)
	c.git(t, "remote", "add", "origin", home.CloneURL())
	c.git(t, "push", "--quiet", "--force", mine, "HEAD:main")
	c.env = append(c.env, "GITHUB_TOKEN=t0ken", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")

	opened := c.run(t, 0, "patch", "notes", id, "--fixes", "CVE-2026-1234", "--pr")
	pulls := home.Pulls()
	if len(pulls) != 1 || pulls[0].Title != "notes: fix CVE-2026-1234 (1.0.0-3 -> 1.0.0-4)" || pulls[0].Head != "libre/notes-CVE-2026-1234" {
		t.Fatalf("pull requests: %+v\n%s", pulls, opened.stderr)
	}
	if proposed := libre.Tool(t, "git", "-C", home.Dir, "show", "libre/notes-CVE-2026-1234:apps/notes/patches/CVE-2026-1234.patch"); !strings.Contains(proposed, "+the colour is blue, checked") {
		t.Errorf("proposed:\n%s", proposed)
	}
	if status := c.git(t, "status", "--porcelain"); status != "" {
		t.Errorf("--pr changed the catalogue: %s", status)
	}
	c.run(t, 0, "bump", "--all", "--pr") // the app needs no update, but that does not close the pull request
	if pulls = home.Pulls(); len(pulls) != 1 || pulls[0].State != "open" {
		t.Errorf("after a bump: %+v", pulls)
	}

	c.write(t, "README.md", "work in progress\n")
	c.git(t, "add", "README.md")
	c.run(t, 0, "patch", "notes", id, "--fixes", "CVE-2026-1234", "--commit")
	if log := c.git(t, "log", "-1", "--format=%s%n%b", "--name-only"); !strings.HasPrefix(log, "notes: fix CVE-2026-1234 (1.0.0-3 -> 1.0.0-4)\n"+strings.TrimSuffix(repo.CloneURL(), ".git")+"/commit/"+id+"\n") ||
		!strings.Contains(log, "apps/notes/patches/CVE-2026-1234.patch") || strings.Contains(log, "README") {
		t.Errorf("the commit:\n%s", log)
	}
	if status := c.git(t, "status", "--porcelain"); status != "A  README.md\n" {
		t.Errorf("left behind: %s", status)
	}
}

// The text of a patch file may mention other vulnerabilities. They are only suggestions, and
// are not recorded. If there is no list of patches, one is added. git tracks the new file,
// because Nix would otherwise not see it.
func TestPatchOfAFileProposesWhatItsTextMentions(t *testing.T) {
	c, _ := suite(t, forgetest.GitHub(t))
	text := strings.Replace(c.read(t, "apps/notes/default.nix"), "  patches = [ ./greeting.patch ];\n", "", 1)
	c.write(t, "apps/notes/default.nix", text)
	c.git(t, "commit", "--quiet", "-am", "No patches")
	c.write(t, "fix.patch", "Subject: Fix CVE-2026-0001 \x1b[31mand cve-2026-0002\n\nGHSA-4xqx-pqpj-9fqw is closed by this.\n\n--- a/page.txt\n+++ b/page.txt\n@@ -1,3 +1,3 @@\n # Notes\n-hello\n+hello, checked\n end\n")
	o := c.run(t, 0, "patch", "notes", "fix.patch", "--fixes", "CVE-2026-0001", "--variant", "lyon")
	for _, id := range []string{"CVE-2026-0002", "GHSA-4xqx-pqpj-9fqw"} {
		if !strings.Contains(o.stderr, "the text of the patch mentions "+id+": --fixes "+id+" if the patch fixes it") {
			t.Errorf("%s is not proposed:\n%s", id, o.stderr)
		}
	}
	after := c.read(t, "apps/notes/default.nix")
	if strings.Contains(after, "CVE-2026-0002") || strings.Contains(after, "GHSA") || strings.Contains(o.stderr, "\x1b") {
		t.Errorf("recorded:\n%s\n%s", after, o.stderr)
	}
	want := strings.NewReplacer("substituteSource, ... }", "substituteSource, patchSource, ... }", "packageVersion = 3", "packageVersion = 4",
		`lyon = app: substituteSource app { "theme.txt" = { "blue" = "red"; }; };`,
		`lyon = app: patchSource (substituteSource app { "theme.txt" = { "blue" = "red"; }; }) [ { file = ./patches/CVE-2026-0001-lyon.patch; fixes = [ "CVE-2026-0001" ]; } ];`).Replace(text)
	if after != want {
		t.Errorf("the definition is\n%s\nwant\n%s", after, want)
	}
	o = c.run(t, 1, "patch", "notes", "fix.patch", "--fixes", "CVE-2026-0003", "--dry-run")
	if !strings.Contains(o.stderr, "the patch does what apps/notes/patches/CVE-2026-0001-lyon.patch in variant lyon does: nothing was changed; remove that from the definition first") {
		t.Error(o.stderr)
	}
	if tracked := c.git(t, "ls-files", "apps"); !strings.Contains(tracked, "apps/notes/patches/CVE-2026-0001-lyon.patch") {
		t.Errorf("git sees only\n%s", tracked)
	}
}
