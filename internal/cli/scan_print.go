package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
)

// print prints a report in the format that is asked for, and sums it up on stderr.
func (s *scanner) print(report *scan.Report) error {
	if s.options.format != "markdown" { // it has the database and the sum itself
		s.Notef("%s", report.Database.Describe(time.Now()))
		defer func() { s.Notef("%s", sum(report)) }()
	}
	s.noteUnmatched(report)
	open, settled := findingTables(report)
	s.Summary(failedTable(report))
	var err error
	switch {
	case s.options.json:
		err = s.JSON(report)
	case s.options.format == "sarif":
		err = s.JSON(scan.SARIF(report, version))
	case s.options.format == "cyclonedx-vdr":
		var document []byte
		if document, err = scan.VDR(report, version); err == nil {
			err = s.JSON(json.RawMessage(document))
		}
	case s.options.format == "markdown":
		err = s.PrintMarkdown(scanMarkdown(report, open, settled))
	default:
		return s.printTables(open, settled)
	}
	s.Summary(open)
	s.Summary(settled)
	return err
}

func (s *scanner) printTables(open, settled ui.Table) error {
	if len(open.Rows) > 0 {
		if err := s.Table(open); err != nil {
			return err
		}
	}
	if len(settled.Rows) > 0 {
		s.Notef("settled by patches and statements:")
		if err := s.Table(settled); err != nil {
			return err
		}
	}
	return nil
}

// noteUnmatched names components that no database can have, so that nobody takes them for
// free of vulnerabilities.
func (s *scanner) noteUnmatched(report *scan.Report) {
	for _, image := range report.Images {
		if n := len(image.Unmatched); n > 0 {
			s.Notef("%s: %d of %d components have no version or no known ecosystem, so no database can have them: %s",
				image.Root, n, image.Components, text.Enumerate(slices.Compact(slices.Sorted(slices.Values(image.Unmatched))), ", ", 10))
		}
	}
}

var findingHeader = []string{"SEVERITY", "VULNERABILITY", "COMPONENT", "FIXED IN", "EPSS", "WAY", "ANSWER"}

// findingTables have the findings that need something, and those that are settled. Findings
// of several platforms that read the same are one row.
func findingTables(report *scan.Report) (open, settled ui.Table) {
	for _, table := range []*ui.Table{&open, &settled} {
		*table = ui.Table{Header: findingHeader, Sentences: []int{1, 2, 3, 5, 6}, Style: severityStyle, Escape: markdown.Escape}
	}
	seen := map[string]bool{}
	for _, image := range report.Images {
		for _, finding := range image.Findings {
			row := findingRow(&finding)
			key := strings.Join(row, "\x00")
			if seen[key] {
				continue
			}
			seen[key] = true
			if finding.Settled() {
				settled.Rows = append(settled.Rows, row)
			} else {
				open.Rows = append(open.Rows, row)
			}
		}
	}
	return open, settled
}

// failedTable names what could not be scanned.
func failedTable(report *scan.Report) ui.Table {
	table := ui.Table{Header: []string{"NOT KNOWN"}, Escape: markdown.Escape}
	for _, failure := range report.Failed {
		table.Rows = append(table.Rows, []string{failure})
	}
	return table
}

func severityStyle(column int, cell string) ui.Style {
	switch {
	case column == 0 && (cell == "critical" || cell == "high"), column == 4 && strings.HasPrefix(cell, "KEV"):
		return ui.Error
	case column == 0 && cell == "medium":
		return ui.Warn
	}
	return ui.None
}

func findingRow(f *scan.Finding) []string {
	component := strings.TrimSpace(f.Component.Name + " " + f.Component.Version)
	if f.Component.By == scan.ByName {
		component += " (by name)"
	}
	answer := ""
	if f.Answer != nil {
		answer = f.Answer.Says
		if f.Answer.Place != "" && f.Answer.Patch == "" {
			answer += ", " + f.Answer.Place
		}
	}
	return []string{string(f.Severity), f.Vulnerability.Name(), component, fixedIn(f), epss(f), f.WayText(), answer}
}

func fixedIn(f *scan.Finding) string {
	switch {
	case f.Fixable():
		return strings.Join(f.FixedIn, ", ")
	case f.FixState == "wont-fix":
		return "won't fix"
	case f.FixState == "not-fixed":
		return "no version"
	}
	return "unknown"
}

func epss(f *scan.Finding) string {
	text := ""
	switch {
	case f.EPSS == 0:
	case f.EPSS < 0.001:
		text = "<0.1%"
	default:
		text = fmt.Sprintf("%.1f%%", f.EPSS*100)
	}
	if f.KEV {
		text = strings.TrimSpace("KEV " + text)
	}
	return text
}

// sum counts vulnerabilities. It counts settled ones separately.
func sum(report *scan.Report) string {
	names := map[string]bool{}
	for _, image := range report.Images {
		names[image.Name] = true
	}
	if len(names) == 0 && len(report.Failed) > 0 {
		return "nothing was scanned"
	}
	open := report.Tally(func(f *scan.Finding) bool { return !f.Settled() })
	where := ui.Count(len(names), "image")
	if open.Images > 0 && open.Images < len(names) {
		where = fmt.Sprintf("%d of %s", open.Images, where)
	}
	said := countVulnerabilities(open.Vulnerabilities) + " in " + where
	separator := ": "
	for _, severity := range scan.Severities {
		if n := open.BySeverity[severity]; n > 0 {
			said += fmt.Sprintf("%s%d %s", separator, n, severity)
			separator = ", "
		}
	}
	if settled := report.Tally((*scan.Finding).Settled); settled.Vulnerabilities > 0 {
		said += fmt.Sprintf("; %d settled", settled.Vulnerabilities)
	}
	if len(report.Failed) > 0 {
		said += "; some images were not scanned"
	}
	return said
}

func scanMarkdown(report *scan.Report, open, settled ui.Table) string {
	var b strings.Builder
	b.WriteString(markdown.Escape(sum(report)) + "\n\n")
	if failed := failedTable(report); len(failed.Rows) > 0 {
		b.WriteString(failed.Markdown())
	}
	if len(open.Rows) > 0 {
		b.WriteString(open.Markdown())
	}
	if len(settled.Rows) > 0 {
		b.WriteString("Settled by patches and statements:\n\n" + settled.Markdown())
	}
	return b.String() + markdown.Escape(report.Database.Describe(time.Now())) + "\n"
}
