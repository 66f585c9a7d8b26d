package bump

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// canary is the token of private sources. Only their servers may get it.
var canary = "canary-" + rand.Text()

// watchSecrets watches all processes until the end of the test. The canary must be in no
// argument, and in no environment but those of libre, git and the named programs.
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
				// Its environment is replaced before its name.
				name, err := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
				environment, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
				if err != nil || len(name) == 0 {
					continue // it has ended, so nobody knows which program it was
				}
				lock.Lock()
				if bytes.Contains(line, []byte(canary)) {
					seen["argument of "+string(line)] = true
				}
				if bytes.Contains(environment, []byte(canary)) && !regexp.MustCompile(`^(libre|git|sh\n|\S+\.test)`).Match(name) && !slices.Contains(mayHaveIt, strings.TrimSpace(string(name))) {
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

// noSecrets searches files for the canary.
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

// A private is a source that needs a login, and the way to configure the login.
type private struct {
	name   string
	source string // replaces the source of notes, with %[1]s for the forge, %[2]s for the commit
	login  func(t *testing.T, c *catalogue, forge *forgetest.Forge)
	hint   string // the fix if the login is missing
}

func netrc(t *testing.T, c *catalogue, _ *forgetest.Forge) {
	t.Helper()
	home := t.TempDir()
	text := fmt.Sprintf("# ours\nmachine other.example login a password b\nmachine %s\n  login ada\n  password %s\n", "127.0.0.1", canary)
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "HOME="+home)
}

func nixConf(t *testing.T, c *catalogue, text string) {
	t.Helper()
	config := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(config, "nix"), 0o700), os.WriteFile(filepath.Join(config, "nix/nix.conf"), []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "XDG_CONFIG_HOME="+config)
}

// Sources that need a login are found, hashed, built and checked with the user's login.
// Without it, every command prints how to configure one. Nix and its builds never see it.
func TestPrivateSourcesNeedALoginThatNixNeverSees(t *testing.T) {
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
			nixConf(t, c, "access-tokens = other.example=x\nextra-access-tokens = 127.0.0.1/suite="+canary+" # ours\n")
		}, "write machine 127.0.0.1 login USER password TOKEN into ~/.netrc"},
		{"git, a credential helper", git, func(t *testing.T, c *catalogue, forge *forgetest.Forge) {
			home := t.TempDir()
			login := strings.Replace(forge.URL, "://", "://ada:"+canary+"@", 1) + "\n"
			if err := errors.Join(os.WriteFile(filepath.Join(home, "logins"), []byte(login), 0o600),
				os.WriteFile(filepath.Join(home, "gitconfig"), []byte("[credential]\n\thelper = store --file "+home+"/logins\n"), 0o600)); err != nil {
				t.Fatal(err)
			}
			c.env = append(c.env, "GIT_CONFIG_GLOBAL="+filepath.Join(home, "gitconfig"))
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
			files["case.txt"] = rand.Text() // new content, because Nix fetches nothing twice
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
				if got := c.try(command...); got.code == 0 || !strings.Contains(got.stderr, private.hint) {
					t.Errorf("libre %s without a login does not say %q:\n%s", strings.Join(command, " "), private.hint, got.stderr)
				}
			}
			if private.name == "github, NIX_CONFIG" {
				watchSecrets(t, "nix", "nix-instantiate") // which get that variable
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

// try runs libre, which may fail.
func (c catalogue) try(args ...string) outcome {
	cmd := libre.Command(c.dir, args...)
	cmd.Env = append(cmd.Env, c.env...)
	stdout, stderr, _ := testkit.Output(cmd)
	return outcome{args, cmd.ProcessState.ExitCode(), stdout, stderr}
}

// A word is a source with a Containerfile, and a patch of it.
type word struct {
	archive, hash    string // the archive's path, and its tree's hash
	patch, patchHash string
}

func newWord(t *testing.T) word {
	t.Helper()
	dir, nonce := t.TempDir(), rand.Text()
	tree := filepath.Join(dir, "top")
	if err := errors.Join(os.Mkdir(tree, 0o755), os.WriteFile(filepath.Join(tree, "Containerfile"), []byte("FROM scratch\nCOPY word /data/word\n"), 0o644),
		os.WriteFile(filepath.Join(tree, "word"), []byte("before "+nonce+"\n"), 0o755), os.Symlink("word", filepath.Join(tree, "link"))); err != nil {
		t.Fatal(err)
	}
	w := word{archive: filepath.Join(dir, "source.tar.gz"), patch: "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-before " + nonce + "\n+after\n"}
	libre.Tool(t, "tar", "-czf", w.archive, "-C", dir, "top")
	content, err := os.Open(w.archive)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	source, err := upstream.HashArchive(content, upstream.DefaultArchiveLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	sum := sha256.Sum256([]byte(w.patch))
	w.hash, w.patchHash = source.Hash, "sha256-"+base64.StdEncoding.EncodeToString(sum[:])
	return w
}

// An archive and a patch are on a server that is not a forge and redirects to another host.
// They are the source of a Containerfile, which check fetches, too.
func TestLoginOfAnArchiveStaysAtItsHost(t *testing.T) {
	testkit.Require(t, "buildah", "tar")
	for _, way := range []struct {
		name, path string
		settings   string // of Nix, with %s for the host; "" for .netrc
		allowed    func(*http.Request) bool
		refusal    int
		hint       string
	}{
		{"Basic", "/", "", func(r *http.Request) bool {
			user, password, _ := r.BasicAuth()
			return user == "ada" && password == canary
		},
			http.StatusNotFound, "write machine 127.0.0.1 login USER password TOKEN into ~/.netrc"},
		{"Bearer", "/o/r/-/", "access-tokens = %s=OAuth2:" + canary, func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+canary },
			http.StatusUnauthorized, "set GITLAB_TOKEN, and GITLAB_HOST to http://127.0.0.1:"},
		{"GitLab", "/o/r/-/", "access-tokens = %s/o=PAT:" + canary, func(r *http.Request) bool { return r.Header.Get("Private-Token") == canary },
			http.StatusNotFound, "set GITLAB_TOKEN, and GITLAB_HOST to http://127.0.0.1:"},
	} {
		t.Run(way.name, func(t *testing.T) {
			word := newWord(t)
			storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || r.Header.Get("Private-Token") != "" {
					t.Errorf("another host sees the token: %v", r.Header)
				}
				http.ServeFile(w, r, word.archive)
			}))
			defer storage.Close()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case !way.allowed(r):
					http.Error(w, "no", way.refusal)
				case strings.HasSuffix(r.URL.Path, ".patch"):
					io.WriteString(w, word.patch)
				default:
					http.Redirect(w, r, strings.Replace(storage.URL, "127.0.0.1", "localhost", 1)+"/download?signature="+rand.Text(), http.StatusFound)
				}
			}))
			defer server.Close()
			definition := fmt.Sprintf(`{ mkApp, ... }:
mkApp {
  name = "word"; version = "1.0"; packageVersion = 1;
  source = { url = "%[1]s%[2]sarchive/source.tar.gz"; hash = "%[3]s"; };
  patches = [ { url = "%[1]s%[2]schange.patch"; hash = "%[4]s"; } ];
  components.web.containerfile = "Containerfile";
}
`, server.URL, way.path, word.hash, word.patchHash)
			c := catalogue{dir: libre.Catalogue(t, map[string]string{"word/default.nix": definition}, "x86_64-linux")}
			c.env = append(c.env, "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
			c.write(t, "libre.yaml", "sign: none\n")
			published := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			defer published.Close()
			check := []string{"check", "--to", strings.TrimPrefix(published.URL, "http://")}

			for _, command := range [][]string{{"build", "word"}, check, {"doctor"}} {
				if got := c.try(command...); !strings.Contains(got.stdout+got.stderr, way.hint) {
					t.Errorf("libre %s without a login does not say %q:\n%s%s", command[0], way.hint, got.stdout, got.stderr)
				}
			}
			watchSecrets(t)
			if way.settings == "" {
				netrc(t, &c, nil)
			} else {
				nixConf(t, &c, fmt.Sprintf(way.settings, strings.TrimPrefix(server.URL, "http://")))
			}
			c.write(t, "apps/word/default.nix", strings.Replace(definition, word.hash, "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1))
			if got := c.try("build", "word"); !strings.Contains(got.stderr, "hash mismatch: the definition has sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, the source is "+word.hash) {
				t.Errorf("a wrong hash:\n%s", got.stderr)
			}
			if at, err := nix.SourcePath(word.hash); err != nil || exec.Command("nix-store", "--check-validity", at).Run() == nil {
				t.Errorf("everybody reads what has another hash: %s, %v", at, err)
			}
			c.write(t, "apps/word/default.nix", definition)
			c.run(t, 0, check...)
			c.run(t, 0, "build", "word")
			if text := fileOf(t, c, "word-web-default:1.0-1", "word"); text != "after\n" {
				t.Errorf("the image has %q", text)
			}
			if got := c.try("doctor"); !strings.Contains(got.stdout, "1 of 1 sources of apps can be read") {
				t.Errorf("doctor:\n%s", got.stdout)
			}
		})
	}
}
