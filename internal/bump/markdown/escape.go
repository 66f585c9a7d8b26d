package markdown

import "github.com/libresh/libre/internal/text"

// maxItem is the greatest length of a text in Markdown, in characters.
const maxItem = 400

// Escape is [text.Markdown] of at most 400 characters, and does nothing on a forge.
func Escape(item string) string {
	return Defuse(text.Markdown(text.Short(item, maxItem)))
}
