package propose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// AppReport is the part of a pull request about one app. Its texts may come from outside,
// except Comparison, which is Markdown from compare, and Notes, which is Markdown from
// markdown.Notes.
type AppReport struct {
	App, From, To string // versions as in tags: 5.4.1-1
	Links         upstream.Links
	Warnings      []string
	Findings      []string // what a reviewer should look at
	Changes       []string // the state of the catalogue's own changes
	Checked       []string // checks that passed, such as "the source's hash is new"
	Comparison    string   // effects of the update on those who run the app
	Notes         string
}

const (
	maxBody    = 60_000 // bytes; GitHub takes 65,536 characters
	maxReports = 45_000 // bytes for full reports, before the notes
	maxItems   = 60     // of a list

	// MaxComparison is the largest size in bytes of a comparison that fits into the body for one
	// app.
	MaxComparison = 15_000
)

// PullBody returns the body of a pull request for some apps, as Markdown of at most 60,000
// bytes: versions with links; for each app warnings, what a reviewer should look at, the state
// of the catalogue's own changes and passed checks; then comparisons, then upstream's notes.
func PullBody(reports []AppReport) string {
	var b strings.Builder
	b.WriteString("| App | From | To | Upstream |\n| --- | --- | --- | --- |\n")
	left := 0
	for _, report := range reports {
		row := report.row()
		if b.Len()+len(row) > maxReports {
			left++
			continue
		}
		b.WriteString(row)
	}
	b.WriteString("\n")
	for _, report := range reports {
		section := report.section(len(reports) > 1)
		if b.Len()+len(section) > maxReports {
			left++
			continue
		}
		b.WriteString(section)
	}
	if left > 0 {
		b.WriteString("This report is cut. `libre bump --dry-run` shows all of it.\n\n")
	}
	b.WriteString(comparisons(reports, maxReports-b.Len()))
	for _, report := range reports {
		if report.Notes == "" {
			continue
		}
		notes := fmt.Sprintf("<details>\n<summary>Notes of %s</summary>\n\n%s\n\n</details>\n\n", summaryText(report.App), strings.TrimRight(report.Notes, "\n"))
		if b.Len()+len(notes) > maxBody-200 {
			b.WriteString("The notes of further apps are omitted: see the links above.\n")
			break
		}
		b.WriteString(notes)
	}
	return b.String()
}

// comparisons returns the comparisons that fit into room bytes, each under its app's name if
// there are several apps.
func comparisons(reports []AppReport, room int) string {
	var b strings.Builder
	for _, report := range reports {
		if report.Comparison == "" {
			continue
		}
		heading := "**What changes for those who run it**"
		if len(reports) > 1 {
			heading = "**What changes for those who run " + markdown.Escape(report.App) + "**"
		}
		if b.Len()+len(heading)+len(report.Comparison) > room-200 {
			b.WriteString("The comparisons of further apps are omitted: `libre diff` shows them.\n\n")
			break
		}
		fmt.Fprintf(&b, "%s\n\n%s\n\n", heading, strings.TrimRight(report.Comparison, "\n"))
	}
	return b.String()
}

func (r AppReport) row() string {
	var links []string
	for _, link := range []struct{ text, address string }{{"release", r.Links.Release}, {"changes", r.Links.Compare}} {
		if page := markdown.PageURL(link.address); page != "" {
			links = append(links, "["+link.text+"]("+page+")")
		}
	}
	return fmt.Sprintf("| %s | %s | **%s** | %s |\n", markdown.Escape(r.App), markdown.Escape(r.From), markdown.Escape(r.To), strings.Join(links, " · "))
}

// section returns the report on an app, under the app's name if named is true.
func (r AppReport) section(named bool) string {
	var b strings.Builder
	for _, part := range []struct {
		heading string
		lines   []string
	}{{"Warnings", r.Warnings}, {"To review", r.Findings}, {"Our changes", r.Changes}, {"Checked", r.Checked}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "**%s**\n\n%s\n", part.heading, List(part.lines))
		}
	}
	if named && b.Len() > 0 {
		return "### " + markdown.Escape(r.App) + "\n\n" + b.String()
	}
	return b.String()
}

// List returns a Markdown list of texts from outside.
func List(lines []string) string {
	var b strings.Builder
	for _, line := range lines[:min(len(lines), maxItems)] {
		b.WriteString("- " + markdown.Escape(line) + "\n")
	}
	if more := len(lines) - maxItems; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

// summaryText returns a name for use between HTML tags, where Markdown has no effect.
func summaryText(name string) string {
	return string(slices.DeleteFunc([]rune(text.Line(name)), func(r rune) bool { return strings.ContainsRune("<>&@#", r) }))
}
