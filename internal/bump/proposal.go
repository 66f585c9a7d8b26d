package bump

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/bump/review"
)

// Propose makes the proposal for some apps' updates, on a branch with the name. It reads
// the notes of all versions between.
func (b *Bumper) Propose(ctx context.Context, name string, results []*Result) (*propose.Proposal, error) {
	p := &propose.Proposal{Name: name, Apps: map[string]string{}, Before: map[string][]byte{}, After: map[string][]byte{}}
	var titles []string
	var reports []propose.AppReport
	for _, result := range results {
		titles = append(titles, result.title())
		p.Message += result.message()
		p.Apps[result.ProposalName()] = result.To.String()
		for file, content := range result.After {
			if _, edited := p.Before[file]; !edited {
				p.Before[file] = result.Before[file]
			}
			p.After[file] = content
		}
		notes, err := result.notes(ctx)
		if err != nil {
			return nil, err
		}
		reports = append(reports, result.report(notes))
	}
	p.Title = strings.Join(titles, ", ")
	p.Body = propose.PullBody(reports)
	return p, nil
}

// report returns the description of the update of one app in a pull request.
func (r *Result) report(notes string) propose.AppReport {
	report := propose.AppReport{
		App: r.App, From: r.From.String(), To: r.To.String(), Links: r.Links,
		Warnings: r.Warnings, Checked: r.checked(), Comparison: r.Comparison, Notes: notes,
	}
	for _, finding := range r.Findings {
		report.Findings = append(report.Findings, string(finding.Kind)+": "+finding.String())
	}
	for _, check := range r.PatchChecks {
		report.Changes = append(report.Changes, check.String())
	}
	return report
}

// ProposalName is the name of an app's pull request: the app's. A patch and a rebuild
// have one of their own, which updates of the app neither replace nor close:
// docs-CVE-2026-1234, docs-repack, docs-hashes.
func (r *Result) ProposalName() string {
	switch {
	case r.rebuild != "":
		return r.App + "-" + r.rebuild
	case r.Patch == nil:
		return r.App
	}
	return r.App + "-" + strings.TrimSuffix(path.Base(r.Patch.File), ".patch")
}

// title is docs: 5.4.0 -> 5.4.1, with package versions if only these differ; for a patch
// docs: fix CVE-2026-1234 (5.4.0-1 -> 5.4.0-2).
func (r *Result) title() string {
	if r.Patch != nil {
		what := strings.Join(r.Patch.Fixes, ", ")
		if r.Patch.Variant != "" {
			what += " in variant " + r.Patch.Variant
		}
		return fmt.Sprintf("%s: fix %s (%s -> %s)", r.App, what, r.From, r.To)
	}
	if r.From.Version == r.To.Version {
		return fmt.Sprintf("%s: %s -> %s", r.App, r.From, r.To)
	}
	return fmt.Sprintf("%s: %s -> %s", r.App, r.From.Version, r.To.Version)
}

// message returns a commit message with the links of one app.
func (r *Result) message() string {
	text := ""
	links := []string{r.Links.Compare, r.Links.Release}
	if r.Patch != nil {
		links = []string{r.Patch.Origin}
	}
	for _, link := range links {
		if link != "" {
			text += link + "\n"
		}
	}
	return text
}

// checked lists the checks that the update passed.
func (r *Result) checked() []string {
	all := []string{"the catalogue evaluates, and changed only as planned"}
	hashes := 0
	for _, edit := range r.Edits {
		switch {
		case edit.Attribute == "source.hash":
			all = append(all, "the source has another hash than before")
		case strings.HasPrefix(edit.Attribute, "hashes."):
			hashes++
		}
	}
	if hashes > 0 {
		all = append(all, fmt.Sprintf("dependent hashes, found by building: %d", hashes))
	}
	applied := 0
	for _, check := range r.PatchChecks {
		if check.Verdict != review.Dropped {
			applied++
		}
	}
	if applied > 0 {
		all = append(all, fmt.Sprintf("our changes apply to the source: %d", applied))
	}
	return all
}

// InputsName replaces the app's name for the catalogue's inputs.
const InputsName = "inputs"

// Proposal makes the proposal for updated inputs.
func (i *Inputs) Proposal() *propose.Proposal {
	var changes []string
	for _, edit := range i.Changed {
		changes = append(changes, fmt.Sprintf("%s: %s -> %s", edit.Attribute, edit.Old, edit.New))
	}
	sum := sha256.Sum256([]byte(strings.Join(changes, "\n")))
	var reports []propose.AppReport
	for _, result := range i.Apps {
		reports = append(reports, result.report(""))
	}
	p := &propose.Proposal{
		Name: InputsName, Title: "Update inputs", Before: i.Before, After: i.After,
		Message: strings.Join(changes, "\n") + "\n",
		Apps:    map[string]string{InputsName: hex.EncodeToString(sum[:6])},
	}
	p.Body = propose.List(changes) + "\n" + propose.PullBody(reports)
	return p
}

// Settled returns the names of proposals that are not needed, with the versions of their apps.
func Settled(results []*Result) map[string]string {
	settled := map[string]string{}
	for _, r := range results {
		if r.Err == nil && !r.Outdated() {
			settled[r.ProposalName()] = r.From.String()
		}
	}
	return settled
}
