package outside

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// Enumerate joins the first limit texts, and counts the others.
func Enumerate(texts []string, separator string, limit int) string {
	if more := len(texts) - limit; more > 0 {
		texts = append(texts[:limit:limit], fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, separator)
}

// maxItem is the greatest length of a text in Markdown, in characters.
const maxItem = 400

// Markdown is [text.Markdown] of at most 400 characters, and does nothing on a forge.
func Markdown(item string) string {
	return Defuse(text.Markdown(text.Short(item, maxItem)))
}
