package bump

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// If a commit fails, the next run makes it.
func TestCommitThatFailsIsMadeByTheNextRun(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	c.git(t, "config", "user.name", "Ada")
	c.git(t, "config", "user.email", "ada@example.org")
	before := c.files(t)
	hook := filepath.Join(c.dir, ".git", "hooks", "pre-commit")
	script := func(text string) {
		if err := os.WriteFile(hook, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	script("echo '# formatted' >>" + definition + "; echo no ticket >&2; exit 1\n")
	failed := c.run(t, 3, "bump", "notes", "--commit")
	if !strings.Contains(failed.stderr, "notes: committing notes: git commit: no ticket; nothing was changed: fix that, and run the same command again\n") {
		t.Errorf("stderr:\n%s", failed.stderr)
	}
	if status := c.git(t, "status", "--porcelain"); status != "" || c.files(t)[definition] != before[definition] {
		t.Errorf("it left behind: %s", status)
	}

	// The run is killed between the edit and the commit, so it cannot undo the edit.
	started := filepath.Join(libre.TempDir(t), "started")
	script("touch " + started + "; sleep 60\n")
	cmd := libre.Command(c.dir, "bump", "notes", "--commit")
	cmd.Env = append(cmd.Env, c.env...)
	p, err := testkit.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := testkit.Eventually(func() error { _, err := os.Stat(started); return err }); err != nil {
		t.Error(err)
	}
	if err := p.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	script("exit 0\n")
	if err := os.Remove(filepath.Join(c.dir, ".git", "index.lock")); err != nil {
		t.Error(err)
	}
	for _, mode := range []string{"--commit", "--check"} {
		code := map[string]int{"--commit": 3, "--check": 0}[mode]
		if left := c.run(t, code, "bump", "notes", mode); !strings.Contains(left.stderr, definition+" has an uncommitted update") {
			t.Errorf("%s:\n%s%s", mode, left.stdout, left.stderr)
		}
	}
	c.git(t, "restore", definition)

	// The run is in a hook, whose git variables name another repository.
	other := t.TempDir()
	c.git(t, "init", "--quiet", other)
	c.env = append(c.env, "GIT_DIR="+other+"/.git", "GIT_WORK_TREE="+other, "GIT_INDEX_FILE="+other+"/.git/index", "GIT_PREFIX=",
		"GIT_OBJECT_DIRECTORY="+other+"/.git/objects", "GIT_NAMESPACE=x", "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.dir),
		"GIT_CONFIG_PARAMETERS='core.worktree="+other+"'")
	if list := c.run(t, 0, "list"); !strings.Contains(list.stdout, "notes") {
		t.Errorf("list: %s", list.stdout)
	}
	if done := c.run(t, 0, "bump", "notes", "--commit"); done.stdout != "notes\t1.0.0-3\t1.1.0-1\tbumped\n" {
		t.Errorf("%s%s", done.stdout, done.stderr)
	}
	if log := c.git(t, "log", "-1", "--format=%s"); log != "notes: 1.0.0 -> 1.1.0\n" || c.git(t, "status", "--porcelain") != "" {
		t.Errorf("the commit: %s", log)
	}
	c.run(t, 0, "build", "notes")
}

// A failed commit of one app does not prevent those of the next apps.
func TestFailedCommitHoldsNoOtherAppBack(t *testing.T) {
	testkit.Require(t, "nix", "git")
	apps := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		apps[name+"/default.nix"] = fmt.Sprintf(`{ mkApp, pkgs, ... }: mkApp { name = "%[1]s"; version = "1"; packageVersion = 1;
  hashes.out = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  components.web.package = { hashes, ... }: pkgs.runCommand "web" { outputHash = hashes.out; outputHashMode = "recursive"; } "mkdir $out; echo %[1]s > $out/x";
}
`, name)
	}
	c := catalogue{dir: libre.Catalogue(t, apps, "x86_64-linux"), env: []string{"XDG_CONFIG_HOME=" + t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null"}}
	c.git(t, "config", "user.name", "Ada")
	c.git(t, "config", "user.email", "ada@example.org")
	c.commit(t, "A catalogue")
	hook := filepath.Join(c.dir, ".git", "hooks", "pre-commit")
	script := "#!/bin/sh\ngit diff --cached --name-only | grep -q apps/b || exit 0\necho no ticket for b >&2\nexit 1\n"
	if err := os.WriteFile(hook, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "GIT_TRACE=1", "GIT_TRACE2=1") // adds git's trace to the hook's output
	got := c.run(t, 3, "bump", "--repack", "--all", "--commit")
	if want := "a\t1-1\t1-2\trepacked\nb\t1-1\t1-2\tfailed\nc\t1-1\t1-2\trepacked\n"; got.stdout != want {
		t.Errorf("%s\nexpected %s", got.stdout, want)
	}
	if !strings.Contains(got.stderr, "error: b: committing b: git commit: no ticket for b; ") {
		t.Errorf("stderr:\n%s", got.stderr)
	}
	if log := c.git(t, "log", "-2", "--format=%s"); log != "c: 1-1 -> 1-2\na: 1-1 -> 1-2\n" || c.git(t, "status", "--porcelain") != "" {
		t.Errorf("commits:\n%s", log)
	}

	// A run that stops before it reaches an app has done nothing for it.
	env := c.env
	c.run(t, 0, "list") // evaluated once, so that later runs need no disk space for that
	c.env = append(c.env, "TMPDIR="+filepath.Join(c.dir, "nowhere"))
	if got := c.run(t, 1, "bump", "--repack", "a", "c"); got.stdout != "a\t1-2\t1-3\tfailed\nc\t1-2\t1-3\tfailed\n" {
		t.Errorf("without room for a copy: %s%s", got.stdout, got.stderr)
	}
	c.env = env

	// Hashes that were found but never committed.
	if got := c.run(t, 0, "bump", "--hashes-only", "a"); got.stdout != "a\t1-2\t1-3\trepacked\n" {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	for mode, code := range map[string]int{"--commit": 3, "--json": 0} {
		if left := c.run(t, code, "bump", "--hashes-only", "a", mode); !strings.Contains(left.stderr, "apps/a/default.nix has an uncommitted update") {
			t.Errorf("%s: %s%s", mode, left.stdout, left.stderr)
		}
	}
}
