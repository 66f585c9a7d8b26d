package bump

import (
	"fmt"
	"slices"
	"strings"
)

// AppReport is what a pull request tells its reviewer of one app.
type AppReport struct {
	*Result
	Notes   string   // from Notes
	Checked []string // what was checked, such as "the source's hash is new"
}

const (
	maxBody    = 60_000 // bytes; GitHub takes 65,536 characters
	maxReports = 45_000 // bytes until which apps are told of in full, before notes
	maxItems   = 60     // of a list
	maxItem    = 400    // characters
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
		if page := pageURL(link.address); page != "" {
			links = append(links, "["+link.text+"]("+page+")")
		}
	}
	return fmt.Sprintf("| %s | %s | **%s** | %s |\n", markdownText(r.App), markdownText(r.From.String()), markdownText(r.To.String()), strings.Join(links, " · "))
}

// section is what is told of an app, under its name where there are several.
func (r AppReport) section(named bool) string {
	var findings, proofs []string
	for _, finding := range r.Findings {
		findings = append(findings, string(finding.Kind)+": "+finding.String())
	}
	for _, proof := range r.Proofs {
		proofs = append(proofs, proof.String())
	}
	var b strings.Builder
	for _, part := range []struct {
		heading string
		lines   []string
	}{{"Warnings", r.Warnings}, {"To look at", findings}, {"Changes of ours", proofs}, {"Checked", r.Checked}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "**%s**\n\n%s\n", part.heading, markdownList(part.lines))
		}
	}
	if named && b.Len() > 0 {
		return "### " + markdownText(r.App) + "\n\n" + b.String()
	}
	return b.String()
}

func markdownList(lines []string) string {
	var b strings.Builder
	for _, line := range lines[:min(len(lines), maxItems)] {
		b.WriteString("- " + markdownText(line) + "\n")
	}
	if more := len(lines) - maxItems; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

// markdownMarks are what means something in a line of Markdown: any of ASCII's
// punctuation may have a backslash in front.
// https://spec.commonmark.org/0.31.2/#backslash-escapes
var markdownMarks = func() *strings.Replacer {
	var pairs []string
	for _, mark := range "\\`*_~[]<>&|$#" {
		pairs = append(pairs, string(mark), `\`+string(mark))
	}
	return strings.NewReplacer(pairs...)
}()

// markdownText makes outside text one line of Markdown that reads as it was, and
// does nothing on a forge.
func markdownText(text string) string {
	return Defuse(markdownMarks.Replace(clip(plainLine(text), maxItem)))
}

// summaryText is a name between tags of HTML, where Markdown is not read.
func summaryText(name string) string {
	return string(slices.DeleteFunc([]rune(plainLine(name)), func(r rune) bool { return strings.ContainsRune("<>&@#", r) }))
}
