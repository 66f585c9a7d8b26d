package propose

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

const ourToken = "libre-secret-token"

// desk is a clone of a forge's repository, with the catalogue in a folder.
type desk struct {
	t           *testing.T
	forge       *forgetest.Forge
	repo        *forgetest.Repo
	dir         string // the clone
	catalogue   string
	environment map[string]string
	trace       string // file with all commands that git runs
	before      []byte // the app's file on main
}

// flavours runs a test with each kind of forge.
func flavours(t *testing.T, test func(t *testing.T, d *desk)) {
	for name, start := range map[string]func(testing.TB) *forgetest.Forge{
		"GitHub": forgetest.GitHub, "Forgejo": forgetest.Forgejo, "GitLab": forgetest.GitLab,
	} {
		t.Run(name, func(t *testing.T) { test(t, newDesk(t, start(t))) })
	}
}

func (d *desk) isGitLab() bool { return d.environment["GITLAB_CI"] != "" }

// mergeWords are GitLab's words for pull requests.
var mergeWords = strings.NewReplacer("pull request", "merge request", "/pulls", "/merge_requests", "#2", "!2",
	"write access to contents and pull requests of", "the scope api, and the role Developer in",
	"write access to issues of", "the scope api, and the role Developer in")

// words returns a text in the words of the forge.
func (d *desk) words(text string) string {
	if d.isGitLab() {
		return mergeWords.Replace(text)
	}
	return text
}

// setToken sets the token of all forges.
func (d *desk) setToken(token string) {
	for _, name := range []string{"GITHUB_TOKEN", "FORGEJO_TOKEN", "GITLAB_TOKEN"} {
		d.environment[name] = token
	}
}

func newDesk(t *testing.T, forge *forgetest.Forge) *desk {
	t.Helper()
	ownGit(t)
	repo := forge.AddRepo("coop/catalogue")
	d := &desk{t: t, forge: forge, repo: repo, dir: filepath.Join(t.TempDir(), "clone"), environment: forge.Environment(),
		trace: filepath.Join(t.TempDir(), "trace"), before: definition("5.4.0")}
	repo.Commit(map[string]string{
		"cat/apps/docs/default.nix": string(d.before), "cat/apps/docs/run.sh": "#!/bin/sh\n",
		"cat/apps/meet/default.nix": string(definition("1.0")), "cat/flake.nix": "{ }\n",
	})
	repo.SetPrivate()
	forge.AddToken(ourToken, true)
	d.git(".", "clone", "--quiet", repo.Dir, d.dir)
	d.git(d.dir, "remote", "set-url", "origin", repo.CloneURL())
	d.git(d.dir, "config", "user.name", "libre")
	d.git(d.dir, "config", "user.email", "libre@example.org")
	d.catalogue = filepath.Join(d.dir, "cat")
	d.setToken(ourToken)
	return d
}

// ownGit isolates the test from the user's settings.
func ownGit(t *testing.T) {
	t.Helper()
	testkit.Require(t, "git")
	home := t.TempDir()
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": home, "GIT_CONFIG_GLOBAL": filepath.Join(home, "gitconfig"),
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "0"} {
		t.Setenv(name, value)
	}
}

func definition(version string) []byte {
	return []byte("{ mkApp, ... }:\nmkApp {\n  version = \"" + version + "\";\n  packageVersion = 1;\n}\n")
}

func (d *desk) git(dir string, arguments ...string) string { return runGit(d.t, dir, arguments...) }

func runGit(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, arguments...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", arguments, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// proposer returns the proposer of a new run of libre.
func (d *desk) proposer() (*Proposer, error) {
	repository, config := d.config()
	return NewProposer(d.t.Context(), repository, config)
}

func (d *desk) config() (*Repository, ProposerConfig) {
	d.t.Helper()
	getenv := func(name string) string { return d.environment[name] }
	client, err := upstream.New(upstream.Config{Getenv: getenv})
	if err != nil {
		d.t.Fatal(err)
	}
	repository, err := OpenRepository(d.t.Context(), d.catalogue)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Setenv("GIT_TRACE", d.trace)
	return repository, ProposerConfig{
		Client: client, Getenv: getenv,
		Token: func(place *url.URL) string {
			if "http://"+place.Host != d.forge.URL {
				return ""
			}
			return d.environment["GITHUB_TOKEN"]
		},
	}
}

func (d *desk) mustProposer() *Proposer {
	d.t.Helper()
	p, err := d.proposer()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// docs returns a proposal of another version of docs.
func (d *desk) docs(version string) *Proposal {
	return &Proposal{
		Name: "docs", Title: "docs: 5.4.0 -> " + version, Body: "| App |\n", Message: "https://example.org/compare/v5.4.0...v" + version,
		Apps:   map[string]string{"docs": version + "-1"},
		Before: map[string][]byte{"apps/docs/default.nix": d.before},
		After:  map[string][]byte{"apps/docs/default.nix": definition(version)},
	}
}

// propose makes a proposal in a new run of libre.
func (d *desk) propose(change *Proposal, want OutcomeKind, number int) Outcome {
	d.t.Helper()
	got, err := d.mustProposer().Propose(d.t.Context(), change)
	if err != nil {
		d.t.Fatal(err)
	}
	if got.Kind != want || got.Number != number {
		d.t.Fatalf("%s, expected %s #%d", got, want, number)
	}
	return got
}

// writes returns the changing requests since the last call.
func (d *desk) writes() []string {
	var found []string
	for _, r := range d.forge.Requests() {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.Path, "/git-upload-pack") {
			found = append(found, r.Method+" "+r.Path)
		}
	}
	return found
}

func (d *desk) pull(number int) forgetest.Pull {
	d.t.Helper()
	pulls := d.repo.Pulls()
	if len(pulls) < number {
		d.t.Fatalf("there are %d pull requests, expected at least %d", len(pulls), number)
	}
	return pulls[number-1]
}

func (d *desk) at(reference string) string { return d.git(d.repo.Dir, "rev-parse", reference) }

// state returns everything in a clone that proposing must not change.
func (d *desk) state() string {
	index, err := os.ReadFile(filepath.Join(d.dir, ".git/index"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, missing := os.Stat(filepath.Join(d.dir, ".git/FETCH_HEAD"))
	return fmt.Sprintf("%x\n%s\n%s\n%s\n%v", index, d.git(d.dir, "for-each-ref", "refs/heads", "refs/tags"), d.git(d.dir, "symbolic-ref", "HEAD"),
		d.git(d.dir, "status", "--porcelain"), missing)
}

// checkSecrecy looks for the token in all commands that git ran.
func (d *desk) checkSecrecy() {
	d.t.Helper()
	trace, err := os.ReadFile(d.trace)
	if err != nil {
		d.t.Fatal(err)
	}
	if !bytes.Contains(trace, []byte("git push --quiet")) || !bytes.Contains(trace, []byte("libre()")) {
		d.t.Error("the trace is not of a push with a credential helper")
	}
	d.checkSecrecyOf(string(trace))
	for _, file := range []string{".git/config", "../gitconfig"} {
		if content, err := os.ReadFile(filepath.Join(d.dir, file)); err == nil && bytes.Contains(content, []byte(ourToken)) {
			d.t.Errorf("the token is in %s", file)
		}
	}
}

func (d *desk) checkSecrecyOf(text string) {
	d.t.Helper()
	if strings.Contains(text, ourToken) {
		d.t.Errorf("the token shows: %s", text)
	}
}
