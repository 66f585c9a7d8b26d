package propose

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

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
		if pull.State != "closed" || !slices.Equal(pull.Comments, []string{"No longer needed: main has docs 5.4.2-1, and there is nothing to propose."}) {
			t.Errorf("%+v", pull)
		}
		if refs := d.git(d.repo.Dir, "for-each-ref", "--format=%(refname)"); refs != "refs/heads/main" {
			t.Errorf("branches are left: %s", refs)
		}

		d.propose(d.docs("5.4.2"), Opened, 2) // libre may open again what it closed
		d.repo.ClosePull(2, false)            // a person rejects it
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
		d.propose(d.docs("5.4.4"), Opened, 4) // main has everything that was on the branch
		if d.at("libre/docs^") != d.at("main") {
			t.Error("the branch was not begun again")
		}
		if now := d.state(); now != before {
			t.Errorf("the clone was changed:\n%s\n%s", before, now)
		}
		d.checkSecrecy()
	})
}

// A proposal that is merged already, or in a later main, is not made. Changes that others made
// meanwhile are not undone.
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
		const want = "proposing docs: apps/docs/default.nix differs from main of origin: commit and push, or git pull, then run the same command again"
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

// A group has one pull request, and an app never has two.
func TestProposeGroups(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		group := d.docs("5.4.1")
		group.Name, group.Title, group.Apps = "lasuite", "lasuite: 2 apps", map[string]string{"docs": "5.4.1-1", "meet": "1.1-1"}
		group.Before["apps/meet/default.nix"], group.After["apps/meet/default.nix"] = definition("1.0"), definition("1.1")

		d.propose(d.docs("5.4.1"), Opened, 1)
		d.propose(group, Opened, 2)
		if pull := d.pull(1); pull.State != "closed" || !slices.Equal(pull.Comments, []string{d.words("Replaced by #2.")}) {
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

// Proposals of one run know about each other.
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

// A commit of libre's that a person changed belongs to that person.
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

// If somebody pushes to a branch after it was read, their commits stay.
func TestPushIsALease(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		first := d.mustProposer()
		theirs := d.repo.CommitTo("libre/docs", map[string]string{"mine": "1"})
		_, err := first.Propose(t.Context(), d.docs("5.4.1"))
		const want = "pushing libre/docs: somebody pushed to it in the meantime: run the same command again"
		if err == nil || err.Error() != want {
			t.Errorf("%v, expected\n%s", err, want)
		}
		if d.at("libre/docs") != theirs || len(d.repo.Pulls()) != 0 {
			t.Error("it was overwritten")
		}
	})
}

// A pull request from a fork is never libre's, because its branches and text may be anybody's.
func TestForksAreStrangers(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.forge.SetFault(func(r *http.Request) *forgetest.Fault {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, d.words("/pulls")) {
				return nil
			}
			if d.isGitLab() {
				return &forgetest.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"},
					Body: `[{"iid": 9, "state": "opened", "title": "x", "description": "<!-- libre: docs 5.4.1-1 -->", "source_branch": "libre/docs",
						"target_branch": "main", "source_project_id": 7, "target_project_id": 1},
						{"iid": 8, "state": "opened", "title": "x", "description": null, "source_branch": "libre/docs", "source_project_id": null, "target_project_id": 1}]`}
			}
			return &forgetest.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"},
				Body: `[{"number": 9, "state": "open", "title": "x", "body": "<!-- libre: docs 5.4.1-1 -->", "base": {"ref": "main"},
					"head": {"ref": "libre/docs", "repo": {"full_name": "mallory/catalogue"}}},
					{"number": 8, "state": "open", "title": "x", "body": "", "head": {"ref": "libre/docs", "repo": null}}]`}
		})
		d.propose(d.docs("5.4.1"), Opened, 1)
	})
}

// The clone has no history, as actions/checkout makes it.
func TestProposeFromShallowClone(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	location := d.git(d.dir, "remote", "get-url", "origin")
	d.dir = filepath.Join(t.TempDir(), "shallow")
	d.git(".", "clone", "--quiet", "--depth=1", "--config=user.name=libre", "--config=user.email=libre@example.org", "file://"+d.repo.Dir, d.dir)
	d.git(d.dir, "remote", "set-url", "origin", location)
	d.catalogue = filepath.Join(d.dir, "cat")
	d.repo.Commit(map[string]string{"other": "1"})
	d.repo.Commit(map[string]string{"other": "2"})
	d.propose(d.docs("5.4.1"), Opened, 1)
	d.propose(d.docs("5.4.1"), Unchanged, 1)
	if changed := d.git(d.repo.Dir, "diff", "--name-status", "main", "libre/docs"); changed != "M\tcat/apps/docs/default.nix" {
		t.Error(changed)
	}
}
