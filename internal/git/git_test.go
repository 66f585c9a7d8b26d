package git

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// repository makes a repository with one commit, without the user's settings.
func repository(t *testing.T) string {
	t.Helper()
	testkit.Require(t, "git")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	dir := t.TempDir()
	write(t, dir, "tracked", "1\n")
	write(t, dir, ".gitignore", "*.key\n")
	for _, arguments := range [][]string{{"init", "--quiet"}, {"add", "--all"}, {"commit", "--quiet", "--message=first"}} {
		do(t, dir, arguments...)
	}
	return dir
}

func do(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	command := Command{Dir: dir, Environment: []string{"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_0=user.name", "GIT_CONFIG_VALUE_0=Ada",
		"GIT_CONFIG_KEY_1=user.email", "GIT_CONFIG_VALUE_1=ada@example.org", "GIT_CONFIG_KEY_2=protocol.file.allow", "GIT_CONFIG_VALUE_2=always"}}
	out, err := command.Run(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestGitUsesItsFolderWhateverTheEnvironmentNames(t *testing.T) {
	dir, other := repository(t), repository(t)
	for name, value := range map[string]string{"GIT_DIR": other + "/.git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other + "/.git/index",
		"GIT_OBJECT_DIRECTORY": other + "/.git/objects", "GIT_CEILING_DIRECTORIES": filepath.Dir(dir), "GIT_NAMESPACE": "x", "GIT_PREFIX": "x/",
		"GIT_CONFIG_PARAMETERS": "'core.worktree=" + other + "'", "GIT_COMMON_DIR": other + "/.git", "GIT_LITERAL_PATHSPECS": "x"} {
		t.Setenv(name, value)
	}
	write(t, dir, "below/x", "")
	top, err := Top(t.Context(), filepath.Join(dir, "below"))
	if err != nil || top != dir {
		t.Errorf("%q, %v", top, err)
	}
}

func TestKnownGitErrorsHaveAFix(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files to another user needs root")
	}
	strange := filepath.Join(repository(t), "..", "a b'c")
	for _, c := range []struct {
		name      string
		prepare   func(dir string) (at string)
		arguments []string
		want, fix string // DIR is the repository
	}{
		{"another user's", func(dir string) string { return owned(t, dir) }, []string{"status"},
			"the repository DIR belongs to another user: git does not trust it", "git config --global --add safe.directory DIR"},
		{"another user's, seen from a folder in it", func(dir string) string { write(t, dir, "a/b", ""); return owned(t, dir) + "/a" }, []string{"log"},
			"the repository DIR belongs to another user: git does not trust it", "git config --global --add safe.directory DIR"},
		{"another user's, with an odd name", func(dir string) string {
			if err := os.Rename(dir, strange); err != nil {
				t.Fatal(err)
			}
			return owned(t, strange)
		}, []string{"ls-files"}, `the repository '` + filepath.Dir(strange) + `/a b'\''c' belongs to another user: git does not trust it`,
			`git config --global --add safe.directory '` + filepath.Dir(strange) + `/a b'\''c'`},
		{"no repository", func(string) string { return t.TempDir() }, []string{"status"}, "not in a git repository", "git init && git add --all"},
		{"a lock", func(dir string) string { write(t, dir, ".git/index.lock", ""); return dir }, []string{"add", "--all"},
			"the git repository is locked: DIR/.git/index.lock exists", "wait until the other git command ends; if none runs: rm DIR/.git/index.lock"},
		{"an error without a fix", func(dir string) string { return dir }, []string{"-c", "a.b=c", "rev-parse", "--verify", "nothing"},
			"git rev-parse: fatal: Needed a single revision", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := repository(t)
			_, err := Command{Dir: c.prepare(dir)}.Run(t.Context(), c.arguments...)
			c.want, c.fix = strings.ReplaceAll(c.want, "DIR", dir), strings.ReplaceAll(c.fix, "DIR", dir)
			if err == nil || fault.Reason(err) != c.want || fault.Fix(err) != c.fix {
				t.Errorf("%v\nexpected %s; %s", err, c.want, c.fix)
			}
			if errors.Is(err, ErrNoRepository) != (c.name == "no repository") {
				t.Errorf("%v: wrong kind of error", err)
			}
		})
	}
}

func owned(t *testing.T, dir string) string {
	t.Helper()
	if out, err := exec.Command("chown", "-R", "12345:12345", dir).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	return dir
}

func TestExplainFindsOwnershipErrorsInOutputOfNix(t *testing.T) {
	for output, fix := range map[string]string{
		// Nix 2.26, which uses libgit2
		"error: opening Git repository \"/srv/cat\": repository path '/srv/cat/' is not owned by current user": "git config --global --add safe.directory /srv/cat",
		// git, run by an older Nix
		"fatal: detected dubious ownership in repository at '/srv/cat'\nTo add an exception for this directory, call:\n\n\tgit config --global --add safe.directory /srv/cat\nerror: program 'git' failed": "git config --global --add safe.directory /srv/cat",
		"error: attribute 'x' missing": "",
	} {
		known := Explain(output)
		if (known == nil) != (fix == "") || known != nil && known.Fix != fix {
			t.Errorf("%s\n%v", output, known)
		}
	}
}

func TestMissingGitIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Output(t.Context(), "/", "status"); err == nil || err.Error() != "git is not installed; apt-get install git" || !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

func TestHookIsBlamedOnlyIfGitRan(t *testing.T) {
	_, err := Output(t.Context(), filepath.Join(t.TempDir(), "none"), "status")
	if err == nil || strings.Contains(err.Error(), "hook") {
		t.Error(err)
	}
}

func TestErrorsKeepTheLastLineButNoSecret(t *testing.T) {
	dir := repository(t)
	command := Command{Dir: dir, Secrets: []string{"tr0ub4dor"}, Hooks: true}
	write(t, dir, ".git/hooks/pre-commit", "#!/bin/sh\nfor i in $(seq 999); do echo $i; done\nprintf 'the pass is tr0ub4dor\\n\\033[31mno ticket\\n' >&2; exit 1\n")
	if err := os.Chmod(filepath.Join(dir, ".git/hooks/pre-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tracked", "2\n")
	_, err := command.Run(t.Context(), "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--all", "--message=x")
	if err == nil || !strings.HasPrefix(err.Error(), "git commit: … ") || !strings.HasSuffix(err.Error(), "the pass is … no ticket") {
		t.Error(err)
	}
}

func TestTrackingOfAFile(t *testing.T) {
	dir, part := repository(t), repository(t)
	do(t, dir, "submodule", "--quiet", "add", part, "part")
	for _, name := range []string{"new", "a [b]*", "made.key", "apps/x/new", "added"} {
		write(t, dir, name, "")
	}
	do(t, dir, "add", "--intent-to-add", "added")
	write(t, dir, "apps/y/tracked", "")
	do(t, dir, "add", "apps/y")
	for _, c := range []struct {
		below, name string
		want        Tracking
		fix         string
	}{
		{"", "tracked", Tracked, ""},
		{"", "added", Tracked, ""},
		{"", "new", Untracked, "git add new"},
		{"", "a [b]*", Untracked, "git add 'a [b]*'"},
		{"", "made.key", Ignored, "git add --force made.key"},
		{"", "apps", Tracked, ""},
		{"", "apps/x", Untracked, "git add apps/x"},
		{"apps", "x/new", Untracked, "git add x/new"},
		{"apps", "y/tracked", Tracked, ""},
		{"", "part/tracked", InSubmodule, ""},
		{"", "nowhere", Untracked, "git add nowhere"},
	} {
		got, err := TrackingOf(t.Context(), filepath.Join(dir, c.below), c.name)
		if err != nil || got != c.want || got.Fix(c.name) != c.fix {
			t.Errorf("%s in %q: %v, %q, %v", c.name, c.below, got, got.Fix(c.name), err)
		}
	}
	if _, err := TrackingOf(t.Context(), t.TempDir(), "x"); !errors.Is(err, ErrNoRepository) {
		t.Error(err)
	}
}
