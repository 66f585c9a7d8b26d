package outside

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/libresh/libre/internal/text"
)

// maxShown is the length, in characters, up to which outside text is shown.
const maxShown = 80

// Shorten cuts outside text for people. What it may contain is for the printer.
func Shorten(text string) string {
	if len(text) > 4*maxShown {
		text = text[:4*maxShown]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown-1]) + "…"
}

// Clip cuts a text to so many characters.
func Clip(text string, most int) string {
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return text
}

// Enumerate joins texts, and counts those beyond limit.
func Enumerate(texts []string, separator string, limit int) string {
	if more := len(texts) - limit; more > 0 {
		texts = append(texts[:limit:limit], fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, separator)
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

// Markdown makes an item of outside text one line of Markdown that reads as it was, and
// does nothing on a forge.
func Markdown(item string) string {
	return Defuse(markdownMarks.Replace(Clip(text.Line(item), maxItem)))
}

// maxItem is the most characters of a text in Markdown.
const maxItem = 400
