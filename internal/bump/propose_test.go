package bump

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

const ourToken = "libre-secret-token"

// desk is a clone of a catalogue that is in a folder of a forge's repository.
type desk struct {
	t           *testing.T
	forge       *forgetest.Forge
	repo        *forgetest.Repo
	dir         string // the clone
	catalogue   string
	environment map[string]string
	trace       string // file with all that git runs
	before      []byte // the app's file on main
}

// flavours runs a test on both kinds of forge.
func flavours(t *testing.T, test func(t *testing.T, d *desk)) {
	for name, start := range map[string]func(testing.TB) *forgetest.Forge{"GitHub": forgetest.GitHub, "Forgejo": forgetest.Forgejo} {
		t.Run(name, func(t *testing.T) { test(t, newDesk(t, start(t))) })
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
	d.environment["GITHUB_TOKEN"], d.environment["FORGEJO_TOKEN"] = ourToken, ourToken
	return d
}

// ownGit keeps the user's settings out.
func ownGit(t *testing.T) {
	t.Helper()
	forgetest.Require(t, "git")
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

// proposer is what a new run of libre begins with.
func (d *desk) proposer() (*Proposer, error) {
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
	return NewProposer(d.t.Context(), repository, ProposerConfig{
		Client: client, Getenv: getenv,
		Token: func(place *url.URL) string {
			if "http://"+place.Host != d.forge.URL {
				return ""
			}
			return d.environment["GITHUB_TOKEN"]
		},
	})
}

func (d *desk) mustProposer() *Proposer {
	d.t.Helper()
	p, err := d.proposer()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// docs proposes another version of docs.
func (d *desk) docs(version string) *Proposal {
	return &Proposal{
		Name: "docs", Title: "docs: 5.4.0 -> " + version, Body: "| App |\n", Message: "https://example.org/compare/v5.4.0...v" + version,
		Apps:   map[string]string{"docs": version + "-1"},
		Before: map[string][]byte{"apps/docs/default.nix": d.before},
		After:  map[string][]byte{"apps/docs/default.nix": definition(version)},
	}
}

// propose is a run of libre that proposes something.
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

// writes are the requests since the last call that change something.
func (d *desk) writes() []string {
	var found []string
	for _, r := range d.forge.Requests() {
		if r.Method != "GET" && !strings.HasSuffix(r.Path, "/git-upload-pack") {
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

// state is all of a clone that proposing must not touch.
func (d *desk) state() string {
	index, err := os.ReadFile(filepath.Join(d.dir, ".git/index"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, missing := os.Stat(filepath.Join(d.dir, ".git/FETCH_HEAD"))
	return fmt.Sprintf("%x\n%s\n%s\n%s\n%v", index, d.git(d.dir, "for-each-ref", "refs/heads", "refs/tags"), d.git(d.dir, "symbolic-ref", "HEAD"),
		d.git(d.dir, "status", "--porcelain"), missing)
}

func TestPullRequestIsFollowedThrough(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		for name, content := range map[string]string{"cat/flake.nix": "{ changed = 1; }\n", "staged": "staged\n", "cat/new": "new\n"} {
			if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d.git(d.dir, "add", "staged")
		before := d.state()

		d.propose(d.docs("5.4.1"), Opened, 1)
		pull := d.pull(1)
		if pull.Title != "docs: 5.4.0 -> 5.4.1" || pull.Head != "libre/docs" || pull.Base != "main" || !slices.Equal(pull.Labels, []string{"libre"}) ||
			pull.Body != "| App |\n\n<!-- libre: docs 5.4.1-1 -->\n" {
			t.Errorf("%+v", pull)
		}
		if now := d.state(); now != before {
			t.Errorf("the clone was changed:\n%s\n%s", before, now)
		}
		if changed := d.git(d.repo.Dir, "diff", "--name-status", "main", "libre/docs"); changed != "M\tcat/apps/docs/default.nix" {
			t.Error(changed)
		}
		if parent := d.at("libre/docs^"); parent != d.at("main") {
			t.Error("the commit is not on main")
		}
		if message := d.git(d.repo.Dir, "show", "--no-patch", "--format=%an <%ae>%n%s%n%b", "libre/docs"); !strings.HasPrefix(message,
			"libre <libre@example.org>\ndocs: 5.4.0 -> 5.4.1\nhttps://example.org/compare/v5.4.0...v5.4.1\n\nLibre-Change: ") {
			t.Error(message)
		}

		d.writes()
		d.propose(d.docs("5.4.1"), Unchanged, 1)
		if writes := d.writes(); len(writes) > 0 {
			t.Errorf("a second run writes: %q", writes)
		}

		d.propose(d.docs("5.4.2"), Updated, 1)
		if pull := d.pull(1); pull.Title != "docs: 5.4.0 -> 5.4.2" || !strings.Contains(pull.Body, "docs 5.4.2-1") {
			t.Errorf("%+v", pull)
		}
		d.repo.Commit(map[string]string{"other": "1"})
		d.propose(d.docs("5.4.2"), Updated, 1)
		if d.at("libre/docs^") != d.at("main") || d.git(d.repo.Dir, "show", "libre/docs:cat/apps/docs/default.nix")+"\n" != string(definition("5.4.2")) {
			t.Error("the branch did not follow main")
		}

		closed, err := d.mustProposer().Withdraw(t.Context(), map[string]string{"docs": "5.4.2-1", "meet": "1.0-1"})
		if err != nil || len(closed) != 1 || closed[0].Kind != Closed || closed[0].Number != 1 {
			t.Fatalf("%v, %v", closed, err)
		}
		pull = d.pull(1)
		if pull.State != "closed" || !slices.Equal(pull.Comments, []string{"Not needed any more: main has docs 5.4.2-1, and there is nothing to propose."}) {
			t.Errorf("%+v", pull)
		}
		if refs := d.git(d.repo.Dir, "for-each-ref", "--format=%(refname)"); refs != "refs/heads/main" {
			t.Errorf("branches are left: %s", refs)
		}

		d.propose(d.docs("5.4.2"), Opened, 2) // what libre closed is open to it
		d.repo.ClosePull(2, false)            // a person does not want it
		d.writes()
		d.propose(d.docs("5.4.2"), Declined, 2)
		if writes := d.writes(); len(writes) > 0 {
			t.Errorf("what was declined is written: %q", writes)
		}
		d.propose(d.docs("5.4.3"), Opened, 3)

		theirs := d.repo.CommitTo("libre/docs", map[string]string{"cat/apps/docs/fix.patch": "-a\n+b\n"})
		d.propose(d.docs("5.4.4"), Occupied, 3)
		left, err := d.mustProposer().Withdraw(t.Context(), map[string]string{"docs": "5.4.4-1"})
		if err != nil || len(left) != 1 || left[0].Kind != Occupied {
			t.Errorf("%v, %v", left, err)
		}
		if d.at("libre/docs") != theirs || d.pull(3).State != "open" {
			t.Error("what a person pushed was not left alone")
		}

		d.repo.ClosePull(3, true)
		d.before = definition("5.4.3")
		d.propose(d.docs("5.4.4"), Opened, 4) // main has all that was on the branch
		if d.at("libre/docs^") != d.at("main") {
			t.Error("the branch was not begun again")
		}
		if now := d.state(); now != before {
			t.Errorf("the clone was changed:\n%s\n%s", before, now)
		}
		d.checkSecrecy()
	})
}

// checkSecrecy looks for the token in all that git ran.
func (d *desk) checkSecrecy(texts ...string) {
	d.t.Helper()
	trace, err := os.ReadFile(d.trace)
	if err != nil {
		d.t.Fatal(err)
	}
	if !bytes.Contains(trace, []byte("git push --quiet")) || !bytes.Contains(trace, []byte("libre()")) {
		d.t.Error("the trace is not of a push with a credential helper")
	}
	for _, text := range append(texts, string(trace)) {
		if strings.Contains(text, ourToken) {
			d.t.Errorf("the token shows:\n%s", text)
		}
	}
	for _, file := range []string{".git/config", "../gitconfig"} {
		if content, err := os.ReadFile(filepath.Join(d.dir, file)); err == nil && bytes.Contains(content, []byte(ourToken)) {
			d.t.Errorf("the token is in %s", file)
		}
	}
}

// What is merged already, or in a later main, is not proposed; what somebody else
// changed meanwhile is not undone.
func TestProposeAgainstTheBase(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.propose(d.docs("5.4.1"), Opened, 1)
		d.repo.Commit(map[string]string{"cat/apps/docs/default.nix": string(definition("5.4.1"))})
		d.propose(d.docs("5.4.1"), Closed, 1)
		d.propose(d.docs("5.4.1"), Needless, 0)

		d.repo.Commit(map[string]string{"cat/apps/docs/default.nix": string(definition("5.4.1")) + "# by hand\n"})
		d.writes()
		_, err := d.mustProposer().Propose(t.Context(), d.docs("5.4.2"))
		var stale *StaleError
		const want = "proposing docs: apps/docs/default.nix is not as main of origin has it: commit and push, or git pull, then run the same command again"
		if !errors.As(err, &stale) || err.Error() != want {
			t.Errorf("%v, expected\n%s", err, want)
		}
		if writes := d.writes(); len(writes) > 0 {
			t.Errorf("%q", writes)
		}
	})
}

// Files appear, go away, and keep their modes.
func TestProposeFiles(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	d.git(d.dir, "pull", "--quiet", d.repo.Dir, "main")
	d.git(d.dir, "update-index", "--chmod=+x", "cat/apps/docs/run.sh")
	d.git(d.dir, "commit", "--quiet", "--message=mode")
	d.git(d.dir, "push", "--quiet", d.repo.Dir, "HEAD:main")
	change := d.docs("5.4.1")
	change.Before["apps/docs/run.sh"] = []byte("#!/bin/sh\n")
	change.After["apps/docs/run.sh"] = []byte("#!/bin/sh\nexit\n")
	change.After["apps/docs/new file.nix"] = []byte("{ }\n")
	change.Before["apps/meet/default.nix"] = definition("1.0")
	change.After["apps/meet/default.nix"] = nil
	d.propose(change, Opened, 1)
	const want = ":100644 100644 M apps/docs/default.nix\n:000000 100644 A apps/docs/new file.nix\n" +
		":100755 100755 M apps/docs/run.sh\n:100644 000000 D apps/meet/default.nix"
	raw := d.git(d.repo.Dir, "diff-tree", "-r", "--relative=cat/", "main", "libre/docs")
	var lines []string
	for line := range strings.Lines(raw) {
		fields := strings.Fields(line)
		lines = append(lines, fields[0]+" "+fields[1]+" "+fields[4]+" "+strings.TrimSpace(strings.SplitN(line, "\t", 2)[1]))
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

// A group has one pull request, and an app never two.
func TestProposeGroups(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		group := d.docs("5.4.1")
		group.Name, group.Title, group.Apps = "lasuite", "lasuite: 2 apps", map[string]string{"docs": "5.4.1-1", "meet": "1.1-1"}
		group.Before["apps/meet/default.nix"], group.After["apps/meet/default.nix"] = definition("1.0"), definition("1.1")

		d.propose(d.docs("5.4.1"), Opened, 1)
		d.propose(group, Opened, 2)
		if pull := d.pull(1); pull.State != "closed" || !slices.Equal(pull.Comments, []string{"Replaced by #2."}) {
			t.Errorf("%+v", pull)
		}
		d.propose(d.docs("5.4.2"), Covered, 2)
		d.propose(group, Unchanged, 2)

		one, err := d.mustProposer().Withdraw(t.Context(), map[string]string{"docs": "5.4.1-1"})
		if err != nil || len(one) != 0 {
			t.Errorf("meet is left to do: %v, %v", one, err)
		}
		both, err := d.mustProposer().Withdraw(t.Context(), map[string]string{"docs": "5.4.1-1", "meet": "1.1-1"})
		if err != nil || len(both) != 1 || both[0].Kind != Closed {
			t.Errorf("%v, %v", both, err)
		}
		d.propose(d.docs("5.4.1"), Opened, 3) // libre itself closed the first one

		d.repo.CommitTo("libre/docs", map[string]string{"mine": "1"})
		d.propose(group, Occupied, 3)
	})
}

// Several proposals of one run know of each other.
func TestProposeInOneRun(t *testing.T) {
	d := newDesk(t, forgetest.Forgejo(t))
	p := d.mustProposer()
	for _, want := range []OutcomeKind{Opened, Unchanged} {
		got, err := p.Propose(t.Context(), d.docs("5.4.1"))
		if err != nil || got.Kind != want || got.Number != 1 {
			t.Fatalf("%s, %v, expected %s #1", got, err, want)
		}
	}
	if got, err := p.Propose(t.Context(), d.docs("5.4.2")); err != nil || got.Kind != Updated {
		t.Errorf("%s, %v", got, err)
	}
}

// What a person made of libre's commit is theirs.
func TestCommitsOfOthers(t *testing.T) {
	for name, change := range map[string]func(d *desk){
		"amended": func(d *desk) {
			d.git(d.dir, "checkout", "--quiet", "--detach", "ours")
			os.WriteFile(filepath.Join(d.dir, "fix"), []byte("1"), 0o644)
			d.git(d.dir, "add", "fix")
			d.git(d.dir, "commit", "--quiet", "--amend", "--no-edit")
		},
		"rebased": func(d *desk) {
			d.git(d.dir, "checkout", "--quiet", "-B", "theirs", "main")
			os.WriteFile(filepath.Join(d.dir, "fix"), []byte("1"), 0o644)
			d.git(d.dir, "add", "fix")
			d.git(d.dir, "commit", "--quiet", "--message=theirs")
			d.git(d.dir, "cherry-pick", "ours")
		},
		"merged": func(d *desk) {
			d.git(d.dir, "checkout", "--quiet", "--detach", "ours")
			main := d.repo.Commit(map[string]string{"other": "1"})
			d.git(d.dir, "pull", "--quiet", "--no-rebase", "--no-edit", d.repo.Dir, main)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, forgetest.GitHub(t))
			d.propose(d.docs("5.4.1"), Opened, 1)
			d.git(d.dir, "fetch", "--quiet", d.repo.Dir, "libre/docs:ours")
			change(d)
			d.git(d.dir, "push", "--quiet", "--force", d.repo.Dir, "HEAD:libre/docs")
			theirs := d.at("libre/docs")
			if got := d.propose(d.docs("5.4.2"), Occupied, 1); !strings.Contains(got.String(), "it has commits that are not libre's") {
				t.Error(got)
			}
			if d.at("libre/docs") != theirs {
				t.Error("it was overwritten")
			}
		})
	}
}

// A branch that is pushed to between a look and a push keeps what was pushed.
func TestPushIsALease(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		first := d.mustProposer()
		theirs := d.repo.CommitTo("libre/docs", map[string]string{"mine": "1"})
		_, err := first.Propose(t.Context(), d.docs("5.4.1"))
		const want = "pushing libre/docs: somebody else pushed to it meanwhile: run the same command again"
		if err == nil || err.Error() != want {
			t.Errorf("%v, expected\n%s", err, want)
		}
		if d.at("libre/docs") != theirs || len(d.repo.Pulls()) != 0 {
			t.Error("it was overwritten")
		}
	})
}

// A pull request of a fork, whose branches and text are anybody's, is none of ours.
func TestForksAreStrangers(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.forge.SetFault(func(r *httpRequest) *forgetest.Fault {
			if r.Method != "GET" || !strings.HasSuffix(r.URL.Path, "/pulls") {
				return nil
			}
			return &forgetest.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"},
				Body: `[{"number": 9, "state": "open", "title": "x", "body": "<!-- libre: docs 5.4.1-1 -->", "base": {"ref": "main"},
					"head": {"ref": "libre/docs", "repo": {"full_name": "mallory/catalogue"}}},
					{"number": 8, "state": "open", "title": "x", "body": "", "head": {"ref": "libre/docs", "repo": null}}]`}
		})
		d.propose(d.docs("5.4.1"), Opened, 1)
	})
}

func TestProposeRefusals(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		host := strings.TrimPrefix(d.forge.URL, "http://")
		propose := func() error {
			p, err := d.proposer()
			if err == nil {
				_, err = p.Propose(t.Context(), d.docs("5.4.1"))
			}
			return err
		}
		answer := func(method, part string, status int, body string) func(*httpRequest) *forgetest.Fault {
			return func(r *httpRequest) *forgetest.Fault {
				if r.Method != method || !strings.Contains(r.URL.Path+"?"+r.URL.RawQuery, part) {
					return nil
				}
				return &forgetest.Fault{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: body}
			}
		}
		invalid := `{"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "\u001b[31mA pull request already exists\nfor it"}]}`
		if d.environment["FORGEJO_SERVER_URL"] != "" {
			invalid = `{"message": "Validation Failed: \u001b[31mA pull request already exists\nfor it"}`
		}
		const rights = ": the token needs the right to write contents and pull requests of coop/catalogue"
		for _, test := range []struct {
			name  string
			fault func(*httpRequest) *forgetest.Fault
			want  string
			is    any
		}{
			{"listing", answer("GET", "/pulls", 403, `{"message": "Resource not accessible, `+ourToken+`"}`),
				"listing the pull requests of coop/catalogue: " + host + " answers 403 Forbidden: Resource not accessible, …" + rights, new(*upstream.CredentialError)},
			{"private", answer("GET", "/pulls", 404, `{"message": "Not Found"}`),
				"listing the pull requests of coop/catalogue: " + host + " answers 404 Not Found: Not Found: there is no coop/catalogue, or the token may not see it", nil},
			{"push", answer("GET", "service=git-receive-pack", 403, "no"),
				"pushing libre/docs: git push: fatal: unable to access '" + d.forge.URL + "/coop/catalogue.git/': The requested URL returned error: 403: the token, or the key, needs the right to push", new(*upstream.CredentialError)},
			{"invalid", answer("POST", "/pulls", 422, invalid),
				"opening a pull request for libre/docs: " + host + " answers 422 Unprocessable Entity: Validation Failed: A pull request already exists for it", nil},
			{"no pull requests", answer("POST", "/pulls", 403, `{"message": "GitHub Actions is not permitted to create or approve pull requests."}`),
				"opening a pull request for libre/docs: " + host + " answers 403 Forbidden: GitHub Actions is not permitted to create or approve pull requests." + rights, new(*upstream.CredentialError)},
			{"limit", func(r *httpRequest) *forgetest.Fault {
				if !strings.HasSuffix(r.URL.Path, "/pulls") {
					return nil
				}
				return &forgetest.Fault{Status: 429, Header: map[string]string{"Retry-After": "7200"}}
			}, "", new(*upstream.LimitError)},
		} {
			t.Run(test.name, func(t *testing.T) {
				d.forge.SetFault(test.fault)
				err := propose()
				if err == nil || test.want != "" && err.Error() != test.want {
					t.Fatalf("%v, expected\n%s", err, test.want)
				}
				if test.is != nil && !errors.As(err, test.is) {
					t.Errorf("%v is no %T", err, test.is)
				}
				if strings.ContainsAny(err.Error(), "\n\x1b") {
					t.Errorf("not one line: %q", err)
				}
				d.checkSecrecyOf(err.Error())
			})
		}
		d.forge.SetFault(nil)
		d.propose(d.docs("5.4.1"), Opened, 1) // what did not come to its end goes on
	})
}

func (d *desk) checkSecrecyOf(text string) {
	d.t.Helper()
	if strings.Contains(text, ourToken) {
		d.t.Errorf("the token shows: %s", text)
	}
}

// GitHub's quota is used up.
func TestProposeQuota(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	d.forge.SetQuota(0, time.Now().Add(time.Hour))
	_, err := d.proposer()
	var limit *upstream.LimitError
	if !errors.As(err, &limit) || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// Without a token, and with one that may only read.
func TestProposeWithoutRights(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.forge.AddToken("reader", false)
		for _, token := range []string{"", "reader", "unknown"} {
			d.environment["GITHUB_TOKEN"], d.environment["FORGEJO_TOKEN"] = token, token
			p, err := d.proposer()
			if err == nil {
				_, err = p.Propose(t.Context(), d.docs("5.4.1"))
			}
			var refused *upstream.CredentialError
			if !errors.As(err, &refused) || strings.Contains(err.Error(), "\n") || token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("token %q: %v", token, err)
			}
		}
	})
}

// What actions/checkout leaves in the configuration is used, and once.
func TestProposeWithPersistedCredential(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	d.forge.AddToken("persisted", true)
	d.git(d.dir, "config", "http."+d.forge.URL+"/.extraheader", "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46cGVyc2lzdGVk")
	d.forge.Requests()
	d.propose(d.docs("5.4.1"), Opened, 1)
	tokens := map[string]bool{}
	for _, r := range d.forge.Requests() {
		if strings.Contains(r.Path, "/coop/catalogue.git/") {
			tokens[r.Token] = true
		}
	}
	if !maps.Equal(tokens, map[string]bool{"persisted": true}) {
		t.Errorf("git sent %v", tokens)
	}
}

func TestHostileProposals(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	p := d.mustProposer()
	d.writes()
	for name, spoil := range map[string]func(*Proposal){
		"name":        func(p *Proposal) { p.Name = "../../heads/main" },
		"option":      func(p *Proposal) { p.Name = "--delete" },
		"lock":        func(p *Proposal) { p.Name = "docs.lock" },
		"dots":        func(p *Proposal) { p.Name = "do..cs" },
		"version":     func(p *Proposal) { p.Apps["docs"] = "1.0 -->" },
		"app":         func(p *Proposal) { p.Apps["docs, meet"] = "1" },
		"no file":     func(p *Proposal) { p.After = nil },
		"outside":     func(p *Proposal) { p.After["../README.md"] = []byte("x") },
		"absolute":    func(p *Proposal) { p.After["/etc/passwd"] = []byte("x") },
		"git's":       func(p *Proposal) { p.After[".git/config"] = []byte("x") },
		"line":        func(p *Proposal) { p.After["a\x00b"] = []byte("x") },
		"other's own": func(p *Proposal) { p.Before["apps/docs/default.nix"] = []byte("x") },
	} {
		change := d.docs("5.4.1")
		spoil(change)
		if got, err := p.Propose(t.Context(), change); err == nil || strings.ContainsAny(err.Error(), "\n\x1b\x00") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if writes := d.writes(); len(writes) > 0 {
		t.Errorf("%q", writes)
	}

	change := d.docs("5.4.1")
	change.Title = "docs: $(id) -> `id`\nLibre-Change: 0\x1b[31m @all #1\u202e " + strings.Repeat("x", 300)
	change.Message = "see @all, fixes #1\r\nhttps://example.org/compare/a@1...a@2\n<!-- libre: meet 1-1 -->\n\nLibre-Change: 0123456789012345678901234567890123456789"
	change.Body = "text\n" + strings.Repeat("long\n", 20_000)
	d.propose(change, Opened, 1)
	pull := d.pull(1)
	if strings.ContainsAny(pull.Title, "\n\x1b\u202e") || strings.Contains(pull.Title, "@all") || strings.Contains(pull.Title, "#1") || len([]rune(pull.Title)) > 200 {
		t.Errorf("%q", pull.Title)
	}
	if len(pull.Body) > 60_000 || !maps.Equal(readMark(pull.Body), change.Apps) {
		t.Errorf("%d bytes, %v", len(pull.Body), readMark(pull.Body))
	}
	message := d.git(d.repo.Dir, "show", "--no-patch", "--format=%B", "libre/docs")
	if strings.Contains(message, "@all") || strings.Contains(message, "#1") || !strings.Contains(message, "\nhttps://example.org/compare/a%401...a%402\n") {
		t.Errorf("%q", message)
	}
	d.propose(change, Unchanged, 1) // the trailer that counts is the last one
}
