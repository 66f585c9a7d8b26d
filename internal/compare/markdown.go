package compare

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
)

// mostRows is the largest number of rows of a section in Markdown.
const mostRows = 40

// IsPlain reports whether only the versions differ.
func (c *Comparison) IsPlain() bool {
	return len(c.Description) == 0 && len(c.Components) == 0 && c.Upgrade.Verdict == Allowed && c.Upgrade.Migration == ""
}

// Markdown returns the comparison for a page of a forge: a list of what matters, then a folded
// table for each section, then upstream's notes. Texts from outside are escaped, so that they
// have no effect there. A table has at most 40 rows. room limits the size in bytes; parts that
// do not fit are counted, not shown. 0 means no limit.
func (c *Comparison) Markdown(size Size, room int) string {
	var b strings.Builder
	for _, line := range c.Summary(size) {
		b.WriteString("- " + markdown.Escape(line) + "\n")
	}
	b.WriteString("\n")
	rows := c.Rows(size)
	left := 0
	for _, section := range Sections[1:] { // the summary shows the versions
		text := c.sectionMarkdown(section, rows)
		if room > 0 && b.Len()+len(text) > room-100 { // a hundred for the last line
			left++
			continue
		}
		b.WriteString(text)
	}
	if notes := c.notesMarkdown(); room == 0 || b.Len()+len(notes) <= room-100 {
		b.WriteString(notes)
	} else {
		left++
	}
	if left > 0 {
		fmt.Fprintf(&b, "Left out because it is too long: %d parts. `libre diff` shows them.\n\n", left)
	}
	return b.String()
}

func (c *Comparison) sectionMarkdown(section Section, all []Row) string {
	var rows []Row
	named := len(c.Components) > 1
	for _, row := range all {
		if row.Section == section {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<details>\n<summary>%s: %d</summary>\n\n", section.Title(), len(rows))
	line := func(cells ...string) {
		if !named {
			cells = cells[1:]
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line("Component", "Change", "Name", "From", "To")
	line("---", "---", "---", "---", "---")
	for _, row := range rows[:min(len(rows), mostRows)] {
		line(markdown.Escape(row.Component), markdown.Escape(row.Change), markdown.Escape(row.Name), markdown.Escape(row.From), markdown.Escape(row.To))
	}
	if more := len(rows) - mostRows; more > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", more)
	}
	b.WriteString("\n</details>\n\n")
	return b.String()
}

// notesMarkdown returns upstream's notes, folded.
func (c *Comparison) notesMarkdown() string {
	if len(c.Notes) == 0 {
		return ""
	}
	return fmt.Sprintf("<details>\n<summary>Upstream's notes: %d</summary>\n\n%s</details>\n\n", len(c.Notes), c.NotesText())
}

// NotesText returns upstream's notes as Markdown that has no effect on a forge.
func (c *Comparison) NotesText() string {
	var notes []markdown.Note
	for _, note := range c.Notes {
		notes = append(notes, markdown.Note(note))
	}
	return markdown.Notes(notes, "")
}
