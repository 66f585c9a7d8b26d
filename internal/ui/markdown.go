package ui

import (
	"io"
	"strings"
)

// Summarize makes w get each table from now on too, as Markdown.
func (u *UI) Summarize(w io.Writer) { u.summary = w }

// Summary writes a table for the summary alone; Table and NoteTable do so too.
func (u *UI) Summary(t Table) {
	if u.summary == nil || len(t.Rows) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	io.WriteString(u.summary, t.Markdown())
}

// Markdown is the table for a page of a forge, uncut, with an empty line behind it.
// What a cell says stays text.
// https://github.github.com/gfm/#tables-extension-
func (t Table) Markdown() string {
	var b strings.Builder
	write := func(row []string, text func(string) string) {
		for _, cell := range row {
			b.WriteString("| " + text(cell) + " ")
		}
		b.WriteString("|\n")
	}
	write(t.Header, EscapeMarkdown)
	write(t.Header, func(string) string { return "---" })
	for _, row := range t.Rows {
		write(row, EscapeMarkdown)
	}
	return b.String() + "\n"
}

// markdownMarks are what means something within a line of Markdown or of a table.
// https://spec.commonmark.org/0.31.2/#backslash-escapes
var markdownMarks = func() *strings.Replacer {
	pairs := []string{"&", "&amp;", "<", "&lt;", ">", "&gt;"}
	for _, mark := range "\\`*_~[]|$" {
		pairs = append(pairs, string(mark), `\`+string(mark))
	}
	return strings.NewReplacer(pairs...)
}()

// EscapeMarkdown makes outside text one line of Markdown that is read as it was:
// no markup, no HTML, no cell of a table ends in it. What a forge links by itself
// (addresses, @names, #numbers) it still links.
func EscapeMarkdown(s string) string { return markdownMarks.Replace(cleanWord(s)) }
