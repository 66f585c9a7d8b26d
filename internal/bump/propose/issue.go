package propose

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// issue is an issue of a repository.
type issue struct {
	number      int
	url         string
	title, body string
}

// Report is the content of an issue about an app: what is found in its images now.
type Report struct {
	App      string
	Findings []string // IDs of the vulnerabilities, sorted; none closes the issue
	Body     string   // Markdown; safe, and without HTML
	Partial  bool     // something could not be read, so what was reported may still be there
}

// Tracker keeps one issue per app in the repository of origin. An invisible line in the issue's
// body has the reported findings. Tracker is not safe for concurrent use.
type Tracker struct {
	forge        forge
	open, closed []issue
}

// NewTracker reads the issues with libre's label, once for all reports.
func NewTracker(ctx context.Context, repository *Repository, config ProposerConfig) (*Tracker, error) {
	opened, _, err := openForge(ctx, repository, config, "issues")
	if err != nil {
		return nil, err
	}
	t := &Tracker{forge: opened}
	if t.open, err = t.forge.issues(ctx, "open"); err == nil {
		t.closed, err = t.forge.issues(ctx, "closed")
	}
	return t, err
}

// IssueOutcome is the result for the issue of an app.
type IssueOutcome struct {
	App    string      `json:"app"`
	Kind   OutcomeKind `json:"kind"`
	Number int         `json:"number,omitempty"` // of the issue, 0 for none
	URL    string      `json:"url,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

func (o IssueOutcome) String() string { return describeOutcome(o.App, o.Kind, o.URL, o.Reason) }

// Report opens or updates the issue of an app. If there are new findings, a comment names them.
// Without findings it closes the issue. If a person closed the issue, it stays closed until
// there is a finding that it does not have.
func (t *Tracker) Report(ctx context.Context, r Report) (IssueOutcome, error) {
	mine := findIssue(t.open, r.App)
	if r.Partial && mine != nil {
		r.Findings = append(r.Findings, newFindings(readFindings(mine.body), r.Findings)...)
		slices.Sort(r.Findings)
	}
	if len(r.Findings) == 0 {
		if mine == nil {
			return IssueOutcome{App: r.App, Kind: Needless}, nil
		}
		return t.close(ctx, r, *mine)
	}
	wanted := issue{title: r.title(), body: r.marked()}
	if mine == nil {
		if closed := findIssue(t.closed, r.App); closed != nil && !strings.Contains(closed.body, closedMark) &&
			len(newFindings(r.Findings, readFindings(closed.body))) == 0 {
			return IssueOutcome{r.App, Declined, closed.number, closed.url, "it was closed; only another finding opens one"}, nil
		}
		err := t.forge.createIssue(ctx, &wanted)
		return IssueOutcome{App: r.App, Kind: Opened, Number: wanted.number, URL: wanted.url}, err
	}
	wanted.number, wanted.url = mine.number, mine.url
	reported := readFindings(mine.body)
	if slices.Equal(reported, r.Findings) {
		return IssueOutcome{App: r.App, Kind: Unchanged, Number: mine.number, URL: mine.url}, nil
	}
	comment := ""
	if added := newFindings(r.Findings, reported); len(added) > 0 {
		comment = "New: " + markdown.Escape(text.Enumerate(added, ", ", 20)) + "."
	}
	err := t.forge.editIssue(ctx, wanted, "open", comment)
	return IssueOutcome{App: r.App, Kind: Updated, Number: wanted.number, URL: wanted.url}, err
}

func (t *Tracker) close(ctx context.Context, r Report, mine issue) (IssueOutcome, error) {
	mine.body = strings.TrimRight(mine.body, "\r\n") + "\n" + closedMark + "\n"
	err := t.forge.editIssue(ctx, mine, "closed", "Nothing is found any more.")
	return IssueOutcome{App: r.App, Kind: Closed, Number: mine.number, URL: mine.url}, err
}

func (r Report) title() string {
	if len(r.Findings) == 1 {
		return fmt.Sprintf("%s: %s", r.App, r.Findings[0])
	}
	return fmt.Sprintf("%s: %d vulnerabilities", r.App, len(r.Findings))
}

// findingsLine matches the line that marks an issue as libre's: the app, then its findings.
// HTML comments are removed from outside text.
var findingsLine = lazyregexp.New(`(?m)^<!-- libre scan: ([0-9A-Za-z._-]+)((?: [0-9A-Za-z._-]+)*) -->\r?$`)

func (r Report) marked() string {
	line := fmt.Sprintf("<!-- libre scan: %s -->", strings.Join(append([]string{r.App}, r.Findings...), " "))
	return cutBody(r.Body, len(line)) + "\n\n" + line + "\n"
}

// readFindings returns the findings that an issue reports.
func readFindings(body string) []string {
	match := findingsLine().FindStringSubmatch(body)
	if match == nil {
		return nil
	}
	return strings.Fields(match[2])
}

// findIssue returns the first issue about an app, or nil if there is none.
func findIssue(all []issue, app string) *issue {
	for _, one := range all {
		if match := findingsLine().FindStringSubmatch(one.body); match != nil && match[1] == app {
			return &one
		}
	}
	return nil
}

// newFindings lists the findings that were not reported before.
func newFindings(findings, reported []string) (added []string) {
	for _, id := range findings {
		if !slices.Contains(reported, id) {
			added = append(added, id)
		}
	}
	return added
}
