package propose

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// workplace returns a repository with a catalogue in a folder, without a remote.
func workplace(t *testing.T) (*Repository, string) {
	t.Helper()
	ownGit(t)
	dir := t.TempDir()
	runGit(t, dir, "init", "--quiet", "--initial-branch=main")
	runGit(t, dir, "config", "user.name", "Ada")
	runGit(t, dir, "config", "user.email", "ada@example.org")
	put(t, dir, map[string]string{"cat/apps/docs/default.nix": "1\n", "cat/apps/docs/old.patch": "-\n", "cat/apps/meet/default.nix": "1\n", "README": "1\n"})
	runGit(t, dir, "add", "--all")
	runGit(t, dir, "commit", "--quiet", "--message=first")
	repository, err := OpenRepository(t.Context(), filepath.Join(dir, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	return repository, dir
}

// put writes files; the content "" removes one.
func put(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	for name, content := range contents {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil && content == "" {
			err = os.Remove(path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func docsCommit() *Proposal {
	return &Proposal{
		Name: "docs", Title: "docs: 5.4.0 -> 5.4.1", Message: "# links\nhttps://example.org/compare/v5.4.0...v5.4.1",
		Before: map[string][]byte{"apps/docs/default.nix": []byte("1\n"), "apps/docs/old.patch": []byte("-\n")},
		After:  map[string][]byte{"apps/docs/default.nix": []byte("2\n"), "apps/docs/old.patch": nil, "apps/docs/[a].nix": []byte("{ }\n")},
	}
}

var docsCommitted = map[string]string{"cat/apps/docs/default.nix": "2\n", "cat/apps/docs/old.patch": "", "cat/apps/docs/[a].nix": "{ }\n"}

// Only the proposal's files are committed. Other files that are staged, changed or new stay as
// they are.
func TestCommit(t *testing.T) {
	repository, dir := workplace(t)
	put(t, dir, map[string]string{"README": "2\n", "cat/apps/meet/default.nix": "2\n", "cat/apps/docs/a.nix": "x"})
	runGit(t, dir, "add", "README")
	put(t, dir, map[string]string{"README": "3\n"})
	put(t, dir, map[string]string{".git/hooks/pre-commit": "#!/bin/sh\necho ran >> \"$(git rev-parse --git-dir)/ran\"\n"})
	if err := os.Chmod(filepath.Join(dir, ".git/hooks/pre-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	change := docsCommit()
	if err := repository.CheckCommitted(t.Context(), change.Before); err != nil {
		t.Fatal(err)
	}
	commit, err := repository.Commit(t.Context(), change, filesOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	const want = "Ada <ada@example.org>\ndocs: 5.4.0 -> 5.4.1\n\n# links\nhttps://example.org/compare/v5.4.0...v5.4.1\n\n\n" +
		"A\tcat/apps/docs/[a].nix\nM\tcat/apps/docs/default.nix\nD\tcat/apps/docs/old.patch"
	if got := runGit(t, dir, "show", "--format=%an <%ae>%n%B", "--name-status", "main"); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	if commit != runGit(t, dir, "rev-parse", "main") {
		t.Error(commit)
	}
	const left = "MM README\n M cat/apps/meet/default.nix\n?? cat/apps/docs/a.nix"
	if got := runGit(t, dir, "status", "--porcelain"); got != left {
		t.Errorf("got\n%s\nexpected\n%s", got, left)
	}
	if ran, err := os.ReadFile(filepath.Join(dir, ".git/ran")); err != nil || string(ran) != "ran\n" {
		t.Errorf("hook: %q, %v", ran, err)
	}
}

// filesOf writes the files of docsCommit into the catalogue.
func filesOf(t *testing.T, dir string) Files {
	return Files{
		Install: func() error { put(t, dir, docsCommitted); return nil },
		Restore: func() error {
			put(t, dir, map[string]string{"cat/apps/docs/default.nix": "1\n", "cat/apps/docs/old.patch": "-\n"})
			return os.Remove(filepath.Join(dir, "cat/apps/docs/[a].nix"))
		},
	}
}

// hook installs a shell script as a git hook.
func hook(name, script string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		file := ".git/hooks/" + name
		put(t, dir, map[string]string{file: "#!/bin/sh\n" + script})
		if err := os.Chmod(filepath.Join(dir, file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// If no commit is made, the files and the index stay as they were.
func TestCommitThatFailsChangesNothing(t *testing.T) {
	const again = "; nothing was changed: fix that, and run the same command again"
	settings := func(pairs ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for i := 0; i < len(pairs); i += 2 {
				runGit(t, dir, "config", pairs[i], pairs[i+1])
			}
		}
	}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    string // DIR is the repository
	}{
		{"no author", func(t *testing.T, dir string) {
			runGit(t, dir, "config", "--unset", "user.name")
			runGit(t, dir, "config", "--unset", "user.email")
		}, `git does not know who commits; git config user.name NAME && git config user.email ADDRESS`},
		{"changed by a person", func(t *testing.T, dir string) {
			runGit(t, dir, "update-ref", "refs/heads/main", runGit(t, dir, "commit-tree", "-m", "x", runGit(t, dir, "mktree", "--missing")))
		}, "apps/docs/default.nix has uncommitted changes: commit them first"},
		{"a hook", hook("commit-msg", "echo 'no \033[31mticket' >&2\nexit 1\n"), "committing docs: git commit: no ticket" + again},
		{"a silent hook", hook("pre-commit", "exit 3\n"), "committing docs: git commit: exit status 1, without a message: a hook may have refused it" + again},
		{"a hook that changes files", hook("pre-commit", "echo '# formatted' >>cat/apps/docs/default.nix; git add cat/apps/docs/default.nix; echo formatted; exit 1\n"),
			"committing docs: git commit: formatted" + again},
		{"a hook that prepares a message", hook("prepare-commit-msg", "echo 'no template' >&2; exit 1\n"), "committing docs: git commit: no template" + again},
		{"no signature", settings("commit.gpgSign", "true", "gpg.program", "false"),
			"committing docs: git commit: error: gpg failed to sign the data fatal: failed to write commit object" + again},
		{"no signature by ssh", settings("commit.gpgSign", "true", "gpg.format", "ssh", "user.signingKey", "/nowhere/key"),
			"committing docs: git commit: error: Couldn't load public key /nowhere/key: No such file or directory? fatal: failed to write commit object" + again},
		{"a lock", func(t *testing.T, dir string) { put(t, dir, map[string]string{".git/index.lock": "x"}) },
			"committing docs: the git repository is locked: DIR/.git/index.lock exists; wait until the other git command ends; if none runs: rm DIR/.git/index.lock"},
		{"a locked branch", func(t *testing.T, dir string) { put(t, dir, map[string]string{".git/refs/heads/main.lock": "x"}) },
			"committing docs: the git repository is locked: DIR/.git/refs/heads/main.lock exists; wait until the other git command ends; if none runs: rm DIR/.git/refs/heads/main.lock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository, dir := workplace(t)
			put(t, dir, map[string]string{"README": "2\n", "new": "x\n"})
			runGit(t, dir, "add", "README")
			test.prepare(t, dir)
			state := func() string {
				return runGit(t, dir, "rev-parse", "main") + runGit(t, dir, "diff") + runGit(t, dir, "ls-files", "--stage") + runGit(t, dir, "status", "--porcelain")
			}
			before := state()
			_, err := repository.Commit(t.Context(), docsCommit(), filesOf(t, dir))
			want := strings.ReplaceAll(test.want, "DIR", dir)
			if err == nil || err.Error() != want {
				t.Errorf("%v, expected\n%s", err, want)
			}
			if after := state(); after != before {
				t.Errorf("it changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// Ctrl-C while a hook runs undoes the edit.
func TestCommitThatIsInterruptedChangesNothing(t *testing.T) {
	repository, dir := workplace(t)
	started := filepath.Join(dir, ".git/started")
	hook("pre-commit", "touch "+started+"; sleep 60 & wait\n")(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for range 1000 {
			if _, err := os.Stat(started); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := repository.Commit(ctx, docsCommit(), filesOf(t, dir)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if status := runGit(t, dir, "status", "--porcelain"); status != "" {
		t.Error(status)
	}
}

func TestOpenRepository(t *testing.T) {
	ownGit(t)
	dir := t.TempDir()
	_, err := OpenRepository(t.Context(), dir)
	if want := dir + " is not in a git repository, which --commit and --pr need; git init && git add --all && git commit"; err == nil || err.Error() != want {
		t.Errorf("%v, expected\n%s", err, want)
	}
	repository, _ := workplace(t)
	getenv := func(string) string { return "" }
	_, err = NewProposer(t.Context(), repository, ProposerConfig{Getenv: getenv})
	if err == nil || !strings.HasPrefix(err.Error(), "the repository has no remote origin to propose to: git remote add origin URL (") {
		t.Error(err)
	}
}

// git's conversions when it reads and writes files do not count as differences.
func TestLineEnds(t *testing.T) {
	repository, dir := workplace(t)
	put(t, dir, map[string]string{".gitattributes": "*.nix text eol=crlf\n", "cat/windows.nix": "a\r\nb\r\n"})
	runGit(t, dir, "add", "--all")
	runGit(t, dir, "commit", "--quiet", "--message=line ends")
	change := &Proposal{
		Before: map[string][]byte{"windows.nix": []byte("a\r\nb\r\n")},
		After:  map[string][]byte{"windows.nix": []byte("a\r\nB\r\n")},
	}
	if err := repository.CheckCommitted(t.Context(), change.Before); err != nil {
		t.Error(err)
	}
	tree, err := repository.tree(t.Context(), "HEAD", change)
	if err != nil {
		t.Fatal(err)
	}
	if diff := runGit(t, dir, "diff", "--numstat", "HEAD", tree); diff != "1\t1\tcat/windows.nix" {
		t.Error(diff)
	}
}
