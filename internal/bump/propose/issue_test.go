package propose

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// report reports findings in docs in a new run of libre.
func (d *desk) report(want OutcomeKind, number int, findings ...string) {
	d.t.Helper()
	d.reportOf(Report{App: "docs", Findings: findings, Body: "| ID |\n| --- |\n"}, want, number)
}

func (d *desk) reportOf(r Report, want OutcomeKind, number int) {
	d.t.Helper()
	repository, config := d.config()
	tracker, err := NewTracker(d.t.Context(), repository, config)
	if err != nil {
		d.t.Fatal(err)
	}
	got, err := tracker.Report(d.t.Context(), r)
	if err != nil {
		d.t.Fatal(err)
	}
	if got.Kind != want || got.Number != number {
		d.t.Fatalf("%s, expected %s #%d", got, want, number)
	}
}

func (d *desk) issue(number int) forgetest.Pull {
	d.t.Helper()
	for _, issue := range d.repo.Issues() {
		if issue.Number == number {
			return issue
		}
	}
	d.t.Fatalf("there is no issue #%d", number)
	return forgetest.Pull{}
}

func TestOneIssuePerAppFollowsItsFindings(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.report(Needless, 0)
		d.propose(d.docs("5.4.1"), Opened, 1) // a pull request is not an issue
		first := 2
		if d.isGitLab() { // GitLab numbers them separately
			first = 1
		}
		d.report(Opened, first, "CVE-2026-1")
		issue := d.issue(first)
		if issue.Title != "docs: CVE-2026-1" || !slices.Equal(issue.Labels, []string{"libre"}) ||
			issue.Body != "| ID |\n| --- |\n\n<!-- libre scan: docs CVE-2026-1 -->\n" {
			t.Errorf("%+v", issue)
		}

		d.writes()
		d.report(Unchanged, first, "CVE-2026-1")
		if writes := d.writes(); len(writes) > 0 {
			t.Errorf("a second run writes: %q", writes)
		}

		d.report(Updated, first, "CVE-2026-1", "CVE-2026-2", "GHSA-a")
		issue = d.issue(first)
		if issue.Title != "docs: 3 vulnerabilities" || !slices.Equal(issue.Comments, []string{"New: CVE-2026-2, GHSA-a."}) {
			t.Errorf("%+v", issue)
		}
		d.report(Updated, first, "CVE-2026-2")
		if issue = d.issue(first); len(issue.Comments) != 1 {
			t.Errorf("a finding that is gone is announced: %q", issue.Comments)
		}

		d.report(Closed, first)
		if issue = d.issue(first); issue.State != "closed" || len(issue.Comments) != 2 {
			t.Errorf("%+v", issue)
		}
		d.report(Needless, 0)
		d.report(Opened, first+1, "CVE-2026-2") // an issue that libre closed is opened again
	})
}

func TestIssueThatAPersonClosedStaysClosed(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.report(Opened, 1, "CVE-2026-1", "CVE-2026-2")
		d.repo.ClosePull(1, false)
		d.report(Declined, 1, "CVE-2026-1")
		d.report(Opened, 2, "CVE-2026-1", "CVE-2026-3")
	})
}

// If an image could not be read, no finding counts as gone.
func TestPartialReportClosesNothing(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.report(Opened, 1, "CVE-2026-1", "CVE-2026-2")
		d.reportOf(Report{App: "docs", Partial: true}, Unchanged, 1)
		d.reportOf(Report{App: "docs", Partial: true, Findings: []string{"CVE-2026-3"}}, Updated, 1)
		if issue := d.issue(1); !strings.Contains(issue.Body, "docs CVE-2026-1 CVE-2026-2 CVE-2026-3 -->") {
			t.Errorf("%+v", issue)
		}
		d.report(Updated, 1, "CVE-2026-3")
	})
}

// Other issues may have the label, and a text that looks like the mark.
func TestIssueOfOthersIsLeftAlone(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.report(Opened, 1, "CVE-2026-1")
		repository, config := d.config()
		tracker, err := NewTracker(t.Context(), repository, config)
		if err != nil {
			t.Fatal(err)
		}
		other, err := tracker.Report(t.Context(), Report{App: "meet", Findings: []string{"CVE-2026-1"}, Body: "> <!-- libre scan: docs CVE-2026-9 -->\n"})
		if err != nil || other.Kind != Opened {
			t.Fatalf("%s, %v", other, err)
		}
		d.report(Unchanged, 1, "CVE-2026-1")
		d.report(Closed, 1)
		if issue := d.issue(other.Number); issue.State != "open" {
			t.Errorf("%+v", issue)
		}
	})
}

func TestIssuesWithoutTheRightToWrite(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.forge.AddToken("reader", false)
		d.report(Opened, 1, "CVE-2026-1")
		d.setToken("reader")
		repository, config := d.config()
		tracker, err := NewTracker(t.Context(), repository, config)
		if err == nil {
			_, err = tracker.Report(t.Context(), Report{App: "docs", Findings: []string{"CVE-2026-2"}})
		}
		if err == nil || !strings.Contains(err.Error(), d.words("the token needs write access to issues of coop/catalogue")) || !strings.Contains(err.Error(), http.StatusText(http.StatusForbidden)) {
			t.Errorf("got %v", err)
		}
		d.checkSecrecyOf(err.Error())
	})
}
