package site

import (
	"fmt"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// changesView is what changed since the release before.
type changesView struct {
	*compare.Comparison
	Sections []changeSection
	Size     *compare.SizeDelta // of all images in sum; nil if it is not known
	Fixed    int                // vulnerabilities
	New      int
	Scanned  bool
	Notes    []compare.Note // plain text
}

type changeSection struct {
	Title string
	Rows  []compare.Row
	Sum   int
	More  int // rows that are left out
}

const (
	mostChangeBytes = 8_000  // of a section's rows
	mostNoteBytes   = 16_000 // of upstream's notes on all versions
)

// shownSections are those with a table. The versions are in the heading, and the sizes in
// the summary.
var shownSections = []compare.Section{
	compare.DescriptionSection, compare.ImageSection, compare.PackageSection, compare.LicenseSection, compare.VulnerabilitySection,
}

func newChangesView(c *compare.Comparison, l *language) *changesView {
	view := &changesView{Comparison: c, Scanned: true}
	rows := c.Rows(l.size)
	for _, section := range shownSections {
		s := changeSection{Title: section.Title()}
		for _, row := range rows {
			if row.Section == section {
				s.Rows = append(s.Rows, shortRow(row))
			}
		}
		if s.Sum = len(s.Rows); s.Sum > 0 {
			s.Rows, s.More = fitting(s.Rows, mostChangeBytes, func(r compare.Row) []string {
				return []string{r.Component, r.Change, r.Name, r.From, r.To}
			})
			view.Sections = append(view.Sections, s)
		}
	}
	for _, d := range c.Components {
		view.add(&d)
	}
	for _, note := range c.Notes {
		view.Notes = append(view.Notes, compare.Note{Version: text.Name(note.Version), Page: note.Page, Text: text.Clip(text.Plain(note.Text), mostNoteBytes/8)})
	}
	view.Notes, _ = fitting(view.Notes, mostNoteBytes, func(n compare.Note) []string { return []string{n.Page, n.Text} })
	return view
}

func (v *changesView) add(d *compare.ComponentDelta) {
	if d.Size != nil {
		if v.Size == nil {
			v.Size = &compare.SizeDelta{}
		}
		v.Size.From, v.Size.To, v.Size.Fetch = v.Size.From+d.Size.From, v.Size.To+d.Size.To, v.Size.Fetch+d.Size.Fetch
	}
	if d.Vulnerabilities == nil {
		v.Scanned = false
		return
	}
	v.Fixed += len(d.Vulnerabilities.Fixed)
	v.New += len(d.Vulnerabilities.New)
}

// longDigest is cut to what tells digests apart.
var longDigest = lazyregexp.New(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

func shortRow(row compare.Row) compare.Row {
	for _, cell := range []*string{&row.Component, &row.Change, &row.Name, &row.From, &row.To} {
		*cell = text.Short(longDigest().ReplaceAllString(*cell, "$1"), mostOfCell)
	}
	return row
}

// Upgraded says in a sentence, a label, whether the upgrade is allowed.
func (v *changesView) Upgraded() string {
	switch u := v.Upgrade; {
	case u.Direction == "same":
		return "Only the package version changed: no migration."
	case u.Verdict == compare.Refused:
		return "This upgrade is not possible in one step."
	case u.Migration == "automatic":
		return "The data is migrated automatically."
	case u.Migration == "manual":
		return "The operator migrates the data."
	case u.Migration == "none":
		return "No migration."
	}
	return "The definition does not say how the data is migrated."
}

// Command prints the comparison in full.
func (v *changesView) Command(signer string) string {
	return fmt.Sprintf("libre diff %s %s %s", v.From.Name, v.To.Name, signer)
}
