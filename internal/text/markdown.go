package text

import "strings"

// markdownMarks are the marks that mean something in a line of Markdown, in a cell of a
// table or in HTML. A backslash in front makes each of them plain text.
// https://spec.commonmark.org/0.31.2/#backslash-escapes
var markdownMarks = func() *strings.Replacer {
	var pairs []string
	for _, mark := range "\\`*_~[]<>&|$#" {
		pairs = append(pairs, string(mark), `\`+string(mark))
	}
	return strings.NewReplacer(pairs...)
}()

// Markdown makes a text one line of Markdown that reads as the text does: no markup, no
// HTML, no end of a table's cell. A forge still links addresses, @names and #numbers.
func Markdown(text string) string { return markdownMarks.Replace(Line(text)) }
