package bumptest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// canary is the token of private sources: nobody but their servers may see it.
const canary = "c4n4ry-0f-private-sources"

// watchSecrets looks at all processes until the end of the test: the canary is in no
// argument, and in no environment but those of libre, of git, and of what is named.
func watchSecrets(t *testing.T, mayHaveIt ...string) {
	t.Helper()
	began := time.Now()
	ended, done := make(chan struct{}), make(chan struct{})
	var lock sync.Mutex
	seen := map[string]bool{}
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range files {
				line, _ := os.ReadFile(file)
				environment, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
				name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
				lock.Lock()
				if bytes.Contains(line, []byte(canary)) {
					seen["argument of "+string(line)] = true
				}
				if bytes.Contains(environment, []byte(canary)) && !regexp.MustCompile(`^(libre|git|sh$|\S+\.test)`).Match(name) && !slices.Contains(mayHaveIt, strings.TrimSpace(string(name))) {
					seen["environment of "+string(name)] = true
				}
				lock.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		<-done
		for where := range seen {
			t.Errorf("the token is an %s", where)
		}
		noSecrets(t, libre.Dir)
		entries, err := os.ReadDir("/nix/store")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil && time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix()).After(began) {
				noSecrets(t, filepath.Join("/nix/store", entry.Name()))
			}
		}
	})
}

// noSecrets looks for the canary in files.
func noSecrets(t *testing.T, root string) {
	t.Helper()
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, ".test") {
			return nil
		}
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(canary)) {
			t.Errorf("the token is in %s", path)
		}
		return nil
	})
}

// private is a source that needs a login, and how that is given.
type private struct {
	name   string
	source string // in place of notes' own, with %[1]s for the forge, %[2]s for the commit
	login  func(t *testing.T, c *catalogue, forge *forgetest.Forge)
	hint   string // to who has none
}

func netrc(t *testing.T, c *catalogue, forge *forgetest.Forge) {
	t.Helper()
	home := t.TempDir()
	text := fmt.Sprintf("# ours\nmachine other.example login a password b\nmachine %s\n  login ada\n  password %s\n", "127.0.0.1", canary)
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "HOME="+home)
}

// Sources that need a login are found, hashed, built and checked with the one that the
// user has; without it every command says how to give one. Nix and what it builds never
// see it.
func TestPrivateSources(t *testing.T) {
	variable := func(name string) func(*testing.T, *catalogue, *forgetest.Forge) {
		return func(_ *testing.T, c *catalogue, _ *forgetest.Forge) { c.env = append(c.env, name+"="+canary) }
	}
	const hash = `hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";`
	github := `github = "suite/notes"; tag = "v${version}"; commit = "%[2]s"; ` + hash
	git := `git = "%[1]s/suite/notes.git"; tag = "v${version}"; rev = "%[2]s"; ` + hash
	for _, private := range []private{
		{"github, GITHUB_TOKEN", github, variable("GITHUB_TOKEN"), "set GITHUB_TOKEN or use gh auth login"},
		{"github, NIX_CONFIG", github, func(t *testing.T, c *catalogue, forge *forgetest.Forge) {
			c.env = append(c.env, "NIX_CONFIG=substitute = false\naccess-tokens = other.example=x "+strings.TrimPrefix(forge.URL, "http://")+"="+canary)
		}, "set GITHUB_TOKEN or use gh auth login"},
		{"git, nix.conf", git, func(t *testing.T, c *catalogue, forge *forgetest.Forge) {
			config := t.TempDir()
			text := "access-tokens = other.example=x\nextra-access-tokens = 127.0.0.1/suite=" + canary + " # ours\n"
			if err := errors.Join(os.Mkdir(filepath.Join(config, "nix"), 0o700), os.WriteFile(filepath.Join(config, "nix/nix.conf"), []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
			c.env = append(c.env, "XDG_CONFIG_HOME="+config)
		}, "write machine 127.0.0.1 login USER password TOKEN into ~/.netrc"},
		{"git, .netrc", git, netrc, "write machine 127.0.0.1 login USER password TOKEN into ~/.netrc"},
		{"git of Forgejo, FORGEJO_TOKEN", git + ` forge = "forgejo";`, variable("FORGEJO_TOKEN"), "machine 127.0.0.1"},
		{"archive, .netrc", github + ` archive = "%[1]s/suite/notes/archive/refs/tags/v${version}.tar.gz";`, netrc, "set GITHUB_TOKEN or use gh auth login"},
	} {
		t.Run(private.name, func(t *testing.T) {
			forge := forgetest.GitHub(t)
			if strings.Contains(private.name, "Forgejo") {
				forge = forgetest.Forgejo(t)
			}
			c, repo := suite(t, forge)
			files := upstreamFiles("1.0.1")
			files["case.txt"] = private.name // Nix finds a commit that it has seen, whatever the URL is
			commit := repo.Commit(files)
			repo.Tag("v1.0.1", commit)
			repo.SetPrivate()
			forge.AddToken(canary, false)
			text := c.read(t, "apps/notes/default.nix")
			from, to := strings.Index(text, "source = {"), strings.Index(text, "};")
			text = text[:from] + "source = { " + fmt.Sprintf(private.source, forge.URL, commit) + " " + text[to:]
			c.write(t, "apps/notes/default.nix", text)
			if strings.HasPrefix(private.name, "git") && !strings.HasPrefix(private.name, "github") {
				c.env = slices.DeleteFunc(c.env, func(s string) bool { return strings.HasPrefix(s, "GITHUB_") })
			} else {
				c.write(t, "flake.nix", strings.Replace(c.read(t, "flake.nix"), "inherit nixpkgs;", fmt.Sprintf("inherit nixpkgs; githubServer = %q;", forge.URL), 1))
			}
			c.commit(t, "private")

			c.env = append(c.env, "HOME="+t.TempDir())
			for _, command := range [][]string{{"bump", "notes", "--check"}, {"build", "notes"}} {
				if got := c.fails(t, command...); !strings.Contains(got.stderr, private.hint) {
					t.Errorf("libre %s without a login does not say %q:\n%s", strings.Join(command, " "), private.hint, got.stderr)
				}
			}
			if private.name == "github, NIX_CONFIG" {
				watchSecrets(t, "nix", "nix-instantiate") // to which that variable is given
			} else {
				watchSecrets(t)
			}
			private.login(t, &c, forge)
			if got := c.run(t, 0, "bump", "notes", "--build"); !strings.Contains(got.stdout, "1.0.1-1\tbumped\n") || strings.Contains(got.stderr+got.stdout, canary) {
				t.Errorf("bump:\n%s%s", got.stdout, got.stderr)
			}
			if page := fileOf(t, c, "notes-web-default:1.0.1-1", "site/page.txt"); !strings.Contains(page, "version 1.0.1") {
				t.Errorf("the page: %q", page)
			}
		})
	}
}

// fails runs libre where it must fail.
func (c catalogue) fails(t testing.TB, args ...string) outcome {
	t.Helper()
	cmd := libre.Command(c.dir, args...)
	cmd.Env = append(cmd.Env, c.env...)
	stdout, stderr, _ := testkit.Output(cmd)
	if cmd.ProcessState.ExitCode() <= 0 {
		t.Errorf("libre %s does not fail", strings.Join(args, " "))
	}
	return outcome{args, cmd.ProcessState.ExitCode(), stdout, stderr}
}
