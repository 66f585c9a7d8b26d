package bumptest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// A commit that fails leaves nothing behind that the next run takes for done.
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
	if !strings.Contains(failed.stderr, "notes: committing notes: git commit: no ticket; nothing is changed: mend that, and run the same command again\n") {
		t.Errorf("stderr:\n%s", failed.stderr)
	}
	if status := c.git(t, "status", "--porcelain"); status != "" || c.files(t)[definition] != before[definition] {
		t.Errorf("it left behind: %s", status)
	}

	// kill -9 between the edit and the commit: no run can take that back.
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
		if left := c.run(t, code, "bump", "notes", mode); !strings.Contains(left.stderr, definition+" has an update that is not committed") {
			t.Errorf("%s:\n%s%s", mode, left.stdout, left.stderr)
		}
	}
	c.git(t, "restore", definition)

	// From inside of a hook, whose git is about another repository.
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
