// Package bump tests updating from end to end: the built program, real git and real Nix,
// with a test forge over HTTP and the real Go module proxy.
package bump

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

// catalogue is a folder with a flake.
type catalogue struct {
	dir   string
	env   []string
	flags []string // for every command
}

// outcome is the result of a run of libre.
type outcome struct {
	args           []string
	code           int
	stdout, stderr string
}

func (c catalogue) run(t testing.TB, code int, args ...string) outcome {
	t.Helper()
	cmd := libre.Command(c.dir, append(c.flags[:len(c.flags):len(c.flags)], args...)...)
	cmd.Env = append(cmd.Env, c.env...)
	stdout, stderr, _ := testkit.Output(cmd)
	o := outcome{args, cmd.ProcessState.ExitCode(), stdout, stderr}
	if o.code != code {
		t.Fatalf("libre %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), o.code, code, stdout, stderr)
	}
	return o
}

func (c catalogue) git(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", c.dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
	stdout, stderr, err := testkit.Output(cmd)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

func (c catalogue) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (c catalogue) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// notes is an app on a forge, with a patch, a substitution in a variant, and one dependent
// hash of an output that is made from the source.
const notes = `# Notes.
{ mkApp, pkgs, substituteSource, ... }:
mkApp rec {
  name = "notes"; # the version below is upstream's
  version = "1.0.0"; packageVersion = 3;
  source = {
    github = "suite/notes";
    tag = "v${version}";
    hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    commit = "%[2]s";
    date = "2020-01-01";
    archive = "%[1]s/suite/notes/archive/refs/tags/v${version}.tar.gz";
    describe = true;
  };
  hashes.deps = "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
  patches = [ ./greeting.patch ];
  components.web.package = { source, hashes, ... }:
    let
      deps = pkgs.runCommand "deps" { inherit source; outputHash = hashes.deps; outputHashMode = "recursive"; } "mkdir $out; cp $source/deps.txt $out";
    in
    pkgs.runCommand "notes-${version}" { inherit source deps; } "mkdir -p $out/site; cp $source/page.txt $source/theme.txt $out/site; cp $deps/deps.txt $out";
  variants.lyon = app: substituteSource app { "theme.txt" = { "blue" = "red"; }; };
}
`

const greetingPatch = `--- a/page.txt
+++ b/page.txt
@@ -1,3 +1,3 @@
 # Notes
-hello
+bonjour
 end
`

// upstreamFiles returns the source of one version of notes.
func upstreamFiles(version string) map[string]string {
	return map[string]string{
		"page.txt":  "# Notes\nhello\nend\nversion " + version + "\n",
		"theme.txt": "the colour is blue\n",
		"deps.txt":  "deps of " + version + "\n",
		"LICENSE":   "MIT License\n",
	}
}

// suite returns a catalogue with notes, and a forge that has released notes 1.0.0.
func suite(t testing.TB, forge *forgetest.Forge) (catalogue, *forgetest.Repo) {
	t.Helper()
	testkit.Require(t, "nix", "git", "patch")
	repo := forge.AddRepo("suite/notes")
	commit := repo.Commit(upstreamFiles("1.0.0"))
	repo.Tag("v1.0.0", commit)
	c := catalogue{dir: libre.Catalogue(t, map[string]string{
		"notes/default.nix":    fmt.Sprintf(notes, forge.URL, commit),
		"notes/greeting.patch": greetingPatch,
	}, "x86_64-linux")}
	for name, value := range forge.Environment() {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, "XDG_CONFIG_HOME="+t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null")
	c.git(t, "commit", "--quiet", "-m", "A catalogue")
	return c, repo
}

func release(repo *forgetest.Repo, version, text string) string {
	commit := repo.Commit(upstreamFiles(version))
	repo.Tag("v"+version, commit)
	repo.AddRelease(forgetest.Release{Tag: "v" + version, Name: version, Notes: text, Date: time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)})
	return commit
}

// With a new version exactly the literals change, all hashes are right, and the new source
// is built.
func TestNewVersionChangesItsLiteralsOnly(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	before := c.read(t, "apps/notes/default.nix")
	c.run(t, 0, "bump", "notes", "--check") // 1.0.0 is the newest
	commit := release(repo, "1.1.0", "better")
	repo.Tag("v1.2.0-rc.1", commit)

	outdated := c.run(t, 10, "bump", "--all", "--check")
	if outdated.stdout != "notes\t1.0.0-3\t1.1.0-1\toutdated\n" {
		t.Errorf("bump --check:\n%s", outdated.stdout)
	}
	explained := c.run(t, 0, "bump", "notes", "--explain")
	for _, want := range []string{"v1.1.0\t1.1.0\t2026-10-05\tchosen\n", "v1.2.0-rc.1\t1.2.0-rc.1\t", "v1.0.0\t1.0.0\t\tcurrent\n"} {
		if !strings.Contains(explained.stdout, want) {
			t.Errorf("bump --explain lacks %q:\n%s", want, explained.stdout)
		}
	}
	diff := c.run(t, 0, "bump", "notes", "--dry-run")
	if !strings.Contains(diff.stdout, "+  version = \"1.1.0\"; packageVersion = 1;\n") || c.read(t, "apps/notes/default.nix") != before {
		t.Errorf("bump --dry-run:\n%s", diff.stdout)
	}

	got := c.run(t, 0, "bump", "notes")
	if got.stdout != "notes\t1.0.0-3\t1.1.0-1\tbumped\n" {
		t.Errorf("bump:\n%s", got.stdout)
	}
	after := c.read(t, "apps/notes/default.nix")
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	changed := map[int]string{}
	for i := range was {
		if was[i] != is[i] {
			changed[i+1] = is[i]
		}
	}
	if len(was) != len(is) || len(changed) != 5 || changed[5] != `  version = "1.1.0"; packageVersion = 1;` ||
		changed[10] != `    commit = "`+commit+`";` || changed[11] != `    date = "2026-10-05";` {
		t.Errorf("changed lines: %v", changed)
	}
	c.run(t, 0, "build", "notes") // hashes and patches are right
	if page := fileOf(t, c, "notes-web-lyon:1.1.0-1", "site/theme.txt"); page != "the colour is red\n" {
		t.Errorf("the variant's theme: %q", page)
	}
	if page := fileOf(t, c, "notes-web-default:1.1.0-1", "site/page.txt"); page != "# Notes\nbonjour\nend\nversion 1.1.0\n" {
		t.Errorf("the page: %q", page)
	}
	again := c.run(t, 0, "bump", "notes")
	if again.stdout != "notes\t1.1.0-1\t1.1.0-1\tup to date\n" || c.read(t, "apps/notes/default.nix") != after {
		t.Errorf("bump again:\n%s", again.stdout)
	}

	// Upstream moves the tag: the version stays, the package version changes.
	moved := repo.Commit(map[string]string{"page.txt": "# Notes\nhello\nend\nversion 1.1.0, again\n"})
	repo.Tag("v1.1.0", moved)
	said := c.run(t, 0, "bump", "notes")
	if said.stdout != "notes\t1.1.0-1\t1.1.0-2\trepacked\n" || !strings.Contains(said.stderr, "v1.1.0") {
		t.Errorf("a moved tag:\n%s%s", said.stdout, said.stderr)
	}
	c.run(t, 0, "bump", "--repack", "notes")
	if text := c.read(t, "apps/notes/default.nix"); !strings.Contains(text, `version = "1.1.0"; packageVersion = 3;`) {
		t.Errorf("after --repack:\n%s", text)
	}
}

// fileOf returns a file of a built image.
func fileOf(t *testing.T, c catalogue, refName, name string) string {
	t.Helper()
	testkit.Require(t, "skopeo")
	dir := libre.TempDir(t)
	libre.Tool(t, "skopeo", "copy", "--quiet", "oci:"+filepath.Join(c.dir, "dist")+":"+refName, "dir:"+dir)
	blobs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		listing, err := exec.Command("tar", "-tzf", blob).Output()
		if err != nil {
			continue
		}
		for entry := range strings.Lines(string(listing)) {
			entry = strings.TrimSpace(entry)
			if !strings.HasSuffix(entry, "/"+name) {
				continue
			}
			return libre.Tool(t, "tar", "-xzOf", blob, entry)
		}
	}
	t.Fatalf("%s has no %s", refName, name)
	return ""
}

// After a failure every file is unchanged, and the error is one line.
func TestFailedBumpLeavesEveryFile(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	before := c.read(t, "apps/notes/default.nix")
	fail := func(what, want string, code int) {
		t.Helper()
		got := c.run(t, code, "bump", "notes")
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%s: lacks %q:\n%s", what, want, got.stderr)
		}
		if c.read(t, "apps/notes/default.nix") != before {
			t.Errorf("%s: the definition was changed", what)
		}
		if status := c.git(t, "status", "--porcelain"); status != "" {
			t.Errorf("%s: left behind: %s", what, status)
		}
	}
	// a patch that no longer applies, and a text that is missing
	files := upstreamFiles("1.1.0")
	files["page.txt"] = "# Notes\nhi\nend\n"
	repo.Tag("v1.1.0", repo.Commit(files))
	fail("a patch", "patch apps/notes/greeting.patch no longer applies", 3)
	files = upstreamFiles("1.2.0")
	files["theme.txt"] = "the colour is green\n"
	repo.Tag("v1.2.0", repo.Commit(files))
	fail("a substitution", `theme.txt (variant lyon) no longer applies`, 3)
	files = upstreamFiles("1.3.0")
	files["page.txt"] = "# Notes\nbonjour\nend\n"
	repo.Tag("v1.3.0", repo.Commit(files))
	fail("a patch that is upstream", "patch apps/notes/greeting.patch is already upstream: --drop-applied removes it", 3)

	// an output that cannot be built, so its hash cannot be found
	files = upstreamFiles("1.4.0")
	delete(files, "deps.txt")
	repo.Tag("v1.4.0", repo.Commit(map[string]string{"page.txt": files["page.txt"], "deps.txt": ""}))
	c.write(t, "apps/notes/default.nix", strings.Replace(before, "cp $source/deps.txt", "cp $source/none.txt", 1))
	before = c.read(t, "apps/notes/default.nix")
	c.git(t, "commit", "--quiet", "-am", "x")
	fail("a hash that no build tells", "building deps", 3)
}

// A patch that upstream has applied is dropped with --drop-applied, and so is its file, unless
// another definition names it. All of it is in the commit, or nothing.
func TestDropAppliedRemovesPatchesUpstreamHas(t *testing.T) {
	const patch = "apps/notes/greeting.patch"
	for _, test := range []struct {
		name  string
		keeps bool
		args  []string
	}{
		{"the file too", false, []string{"--build"}},
		{"the file too, in a commit", false, []string{"--commit"}},
		{"what another file names", true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, repo := suite(t, forgetest.GitHub(t))
			c.env = append(c.env, "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
			files := upstreamFiles("1.1.0")
			files["page.txt"] = "# Notes\nbonjour\nend\n"
			repo.Tag("v1.1.0", repo.Commit(files))
			if test.keeps {
				c.write(t, "shared.nix", "[ ./apps/notes/greeting.patch ]\n")
				c.git(t, "add", "shared.nix")
				c.git(t, "commit", "--quiet", "-m", "Share the patch")
			}
			shown := c.run(t, 0, "bump", "notes", "--drop-applied", "--dry-run")
			if strings.Contains(shown.stdout, "--- a/"+patch) == test.keeps || c.read(t, patch) == "" {
				t.Errorf("a dry run prints:\n%s", shown.stdout)
			}
			c.run(t, 0, append([]string{"bump", "notes", "--drop-applied"}, test.args...)...)
			if text := c.read(t, "apps/notes/default.nix"); strings.Contains(text, "greeting.patch") {
				t.Errorf("the patch is still there:\n%s", text)
			}
			if _, err := os.Stat(filepath.Join(c.dir, patch)); (err == nil) != test.keeps {
				t.Errorf("its file: %v", err)
			}
			if slices.Contains(test.args, "--commit") {
				if status := libre.Tool(t, "git", "-C", c.dir, "status", "--porcelain", "--untracked-files=no"); status != "" {
					t.Errorf("not in the commit:\n%s", status)
				}
			}
		})
	}
}

// Names from outside are data: they are never run, and never written or printed unchecked.
func TestHostileTagsAreDataOnly(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	marker := filepath.Join(t.TempDir(), "marker")
	names := []string{`v9.0";`, "v9.$(touch " + marker + ")", "v9.`touch " + marker + "`", `v9.${builtins.readFile "/etc/passwd"}`,
		"../..", "v9." + strings.Repeat("9", 10_000), "v9.\x1b[31m0", "v9.\u202e0", "-v9.0.0"}
	tags := []forgetest.Tag{{Name: "v1.0.0", Commit: strings.Repeat("a", 40)}}
	for _, name := range names {
		tags = append(tags, forgetest.Tag{Name: name, Commit: strings.Repeat("b", 40)})
	}
	repo.SetTags(tags)
	before := c.read(t, "apps/notes/default.nix")
	for _, args := range [][]string{{"bump", "notes", "--explain"}, {"bump", "notes", "--check"}} {
		got := c.run(t, 0, args...)
		if strings.ContainsAny(got.stdout+got.stderr, "\x1b\u202e") || len(got.stdout) > 20_000 {
			t.Errorf("printed: %q", got.stdout)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a tag was run")
	}
	if c.read(t, "apps/notes/default.nix") != before {
		t.Error("the definition was changed")
	}
}

// If the forge cannot be reached, the error is one line and nothing changes.
func TestUnreachableForgeIsOneLine(t *testing.T) {
	c, _ := suite(t, forgetest.GitHub(t))
	before := c.read(t, "apps/notes/default.nix")
	c.env = append(c.env, "GITHUB_SERVER_URL=http://127.0.0.1:1", "GITHUB_API_URL=http://127.0.0.1:1/api/v3", "GITHUB_GRAPHQL_URL=http://127.0.0.1:1/api/graphql")
	got := c.run(t, 3, "bump", "notes")
	lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "connection refused") {
		t.Errorf("stderr:\n%s", got.stderr)
	}
	if c.read(t, "apps/notes/default.nix") != before {
		t.Error("the definition was changed")
	}
}
