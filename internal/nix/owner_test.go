package nix

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// In a checkout of another user, as in CI containers, nix reports only git's exit code, and its
// error does not name the folder.
func TestRepositoriesOfAnotherUserAreNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files to another user needs root")
	}
	n := requireNix(t)
	home := t.TempDir()
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": home, "GIT_CONFIG_GLOBAL": filepath.Join(home, "gitconfig"), "SUDO_UID": ""} {
		t.Setenv(name, value)
	}
	run := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	repository := func() string {
		dir := writeCatalogue(t, one(server))
		run(dir, "git", "init", "--quiet")
		run(dir, "git", "add", "--all")
		run(dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message=x")
		return dir
	}
	whole, folder, linked := repository(), t.TempDir(), repository()
	run(folder, "git", "init", "--quiet")
	run(folder, "cp", "-r", whole+"/apps", whole+"/flake.nix", whole+"/flake.lock", ".")
	below := filepath.Join(folder, "deploy")
	run(folder, "mkdir", "deploy")
	run(folder, "mv", "apps", "flake.nix", "flake.lock", "deploy")
	run(folder, "git", "add", "--all")
	worktree := filepath.Join(t.TempDir(), "tree")
	run(linked, "git", "worktree", "add", "--quiet", "--detach", worktree)
	for _, c := range []struct{ name, dir, owned, fix string }{
		{"the repository", whole, whole, whole},
		{"a folder of it", below, folder, folder},
		{"a worktree", worktree, worktree, worktree},
	} {
		run(c.owned, "chown", "-R", "12345:12345", ".")
		for _, request := range []Request{{Patterns: catalog.All}, {Patterns: catalog.All, Systems: []string{"x86_64-linux"}}} {
			catalogue, err := n.OpenCatalogue(context.Background(), c.dir, HostPackageName)
			if err != nil {
				t.Fatal(err)
			}
			_, err = catalogue.Evaluate(context.Background(), request)
			if want := "git config --global --add safe.directory " + c.fix; err == nil || fault.Fix(err) != want {
				t.Errorf("%s: %v, expected %s", c.name, err, want)
			}
		}
		run("/", "git", "config", "--global", "--add", "safe.directory", c.fix)
		catalogue, err := n.OpenCatalogue(context.Background(), c.dir, HostPackageName)
		if err == nil {
			_, err = catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All})
		}
		if err != nil {
			t.Errorf("%s, once that was typed: %v", c.name, err)
		}
	}
}

func TestErrorsOfGitCarryItsOwnLastLine(t *testing.T) {
	n := requireNix(t)
	n.AllowLocalInputs = true
	where := filepath.Join(t.TempDir(), "nowhere")
	_, err := n.GitHash(context.Background(), "file://"+where, strings.Repeat("1", 40))
	if err == nil || !strings.Contains(err.Error(), "does not appear to be a git repository") && !strings.Contains(err.Error(), "Could not read from remote repository") {
		t.Error(err)
	}
}

// If git cannot read a repository, the error has git's message, not only the exit code that Nix
// reports.
func TestRepositoriesThatGitCannotReadAreExplained(t *testing.T) {
	n := requireNix(t)
	n.AllowLocalInputs = true // otherwise libre runs git to find local inputs, and git reports the error then
	for _, broken := range []struct {
		name, file, text string
		want             []string // git's words, or libgit2's
	}{
		{"environment", "", "x", []string{"bogus count", "command-line config"}}, // libgit2 does not read it
		{"settings", ".git/config", "garbage[", []string{"bad config line 1", "invalid configuration key"}},
		{"index", ".git/index", "garbage", []string{"index file smaller than expected", "failed to read index"}},
		{"extension", ".git/config", "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tfoo = x\n", []string{"unknown repository extension", "unsupported extension"}},
	} {
		t.Run(broken.name, func(t *testing.T) {
			dir := writeCatalogue(t, one(server))
			inGit(t, dir, ".")
			if out, err := exec.Command("git", "-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message=x").CombinedOutput(); err != nil {
				t.Fatal(string(out))
			}
			if broken.file == "" {
				t.Setenv("GIT_CONFIG_COUNT", broken.text)
			} else if err := os.WriteFile(filepath.Join(dir, broken.file), []byte(broken.text), 0o644); err != nil {
				t.Fatal(err)
			}
			catalogue, err := n.OpenCatalogue(context.Background(), dir, Nixpkgs)
			if err == nil {
				_, err = catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All})
			}
			if err == nil || !strings.Contains(err.Error(), broken.want[0]) && !strings.Contains(err.Error(), broken.want[1]) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, expected %s", err, broken.want)
			}
		})
	}
}
