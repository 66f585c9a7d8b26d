package ui

import (
	"io"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// Summarize also writes all following tables to w, as Markdown.
func (u *UI) Summarize(w io.Writer) { u.summary = w }

// Summary writes a table to the summary only. Table writes to it, too.
func (u *UI) Summary(t Table) {
	if u.summary == nil || len(t.Rows) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	io.WriteString(u.summary, t.Markdown())
}

// SummaryText writes a paragraph to the summary only.
func (u *UI) SummaryText(line string) {
	if u.summary != nil {
		io.WriteString(u.summary, text.Markdown(line)+"\n\n")
	}
}

// SummaryLog writes the last lines of a log to the summary only, folded.
// https://github.github.com/gfm/#fenced-code-blocks
func (u *UI) SummaryLog(heading string, lines []string) {
	if u.summary == nil || len(lines) < 2 {
		return
	}
	content := text.Output(strings.Join(lines, "\n"))
	fence := "```"
	for strings.Contains(content, fence) {
		fence += "`"
	}
	io.WriteString(u.summary, "<details><summary>"+text.Markdown(heading)+"</summary>\n\n"+fence+"\n"+content+"\n"+fence+"\n\n</details>\n\n")
}

// PrintMarkdown writes Markdown to stdout. Its texts must be escaped already. It keeps the
// zero-width spaces that make them harmless on a forge.
func (u *UI) PrintMarkdown(text string) error { return u.result([]byte(text)) }

// Markdown returns the complete table for a page of a forge, followed by an empty line. Cells
// are escaped.
// https://github.github.com/gfm/#tables-extension-
func (t Table) Markdown() string {
	var b strings.Builder
	write := func(row []string, shown func(string) string) {
		for _, cell := range row {
			b.WriteString("| " + shown(cell) + " ")
		}
		b.WriteString("|\n")
	}
	escape := t.Escape
	if escape == nil {
		escape = text.Markdown
	}
	write(t.Header, escape)
	write(t.Header, func(string) string { return "---" })
	for _, row := range t.Rows {
		write(row, escape)
	}
	return b.String() + "\n"
}
