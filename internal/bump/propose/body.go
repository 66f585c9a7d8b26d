package propose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/outside"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// AppReport is what a pull request tells its reviewer of one app. All texts may be
// from outside, Notes apart, which are Markdown as outside.Notes gives them.
type AppReport struct {
	App, From, To string // versions as in tags: 5.4.1-1
	Links         upstream.Links
	Warnings      []string
	Findings      []string // what a reviewer would look for
	Changes       []string // what became of the catalogue's own changes
	Checked       []string // what was checked, such as "the source's hash is new"
	Notes         string
}

const (
	maxBody    = 60_000 // bytes; GitHub takes 65,536 characters
	maxReports = 45_000 // bytes until which apps are told of in full, before notes
	maxItems   = 60     // of a list
)

// PullBody is the body of a pull request for some apps, Markdown of at most 60,000
// bytes: versions with links, then for each app warnings, what a reviewer would look
// for, what became of the catalogue's own changes and what was checked, then
// upstream's notes.
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
		b.WriteString("Not all is told here: it would be too long. `libre bump --dry-run` tells it.\n\n")
	}
	for _, report := range reports {
		if report.Notes == "" {
			continue
		}
		notes := fmt.Sprintf("<details>\n<summary>Notes of %s</summary>\n\n%s\n\n</details>\n\n", summaryText(report.App), strings.TrimRight(report.Notes, "\n"))
		if b.Len()+len(notes) > maxBody-200 {
			b.WriteString("Notes of further apps are left out: they are behind the links above.\n")
			break
		}
		b.WriteString(notes)
	}
	return b.String()
}

func (r AppReport) row() string {
	var links []string
	for _, link := range []struct{ text, address string }{{"release", r.Links.Release}, {"changes", r.Links.Compare}} {
		if page := outside.PageURL(link.address); page != "" {
			links = append(links, "["+link.text+"]("+page+")")
		}
	}
	return fmt.Sprintf("| %s | %s | **%s** | %s |\n", outside.Markdown(r.App), outside.Markdown(r.From), outside.Markdown(r.To), strings.Join(links, " · "))
}

// section is what is told of an app, under its name where there are several.
func (r AppReport) section(named bool) string {
	var b strings.Builder
	for _, part := range []struct {
		heading string
		lines   []string
	}{{"Warnings", r.Warnings}, {"To look at", r.Findings}, {"Changes of ours", r.Changes}, {"Checked", r.Checked}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "**%s**\n\n%s\n", part.heading, List(part.lines))
		}
	}
	if named && b.Len() > 0 {
		return "### " + outside.Markdown(r.App) + "\n\n" + b.String()
	}
	return b.String()
}

// List is a list of texts from outside, in Markdown.
func List(lines []string) string {
	var b strings.Builder
	for _, line := range lines[:min(len(lines), maxItems)] {
		b.WriteString("- " + outside.Markdown(line) + "\n")
	}
	if more := len(lines) - maxItems; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

// summaryText is a name between tags of HTML, where Markdown is not read.
func summaryText(name string) string {
	return string(slices.DeleteFunc([]rune(text.Line(name)), func(r rune) bool { return strings.ContainsRune("<>&@#", r) }))
}
