package newapp

import (
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

var (
	readmeName   = lazyregexp.New(`(?i)^readme(\.md|\.markdown|\.rst|\.txt)?$`)
	markdownLink = lazyregexp.New(`!?\[([^\]\n]*)\]\([^)\n]*\)`)
	isProse      = lazyregexp.New(`\A[\pL"'*_\x60]`)
	underlined   = lazyregexp.New(`\A[=~-]{3,}\z`)
)

// readReadme takes the first sentence of the README as a description, unless there is one.
func (f *Findings) readReadme(t *tree) {
	names := t.find(readmeName())
	if f.description != "" || len(names) == 0 || depth(names[0]) > 1 {
		return
	}
	lines := strings.Split(string(t.read(names[0])), "\n")
	for i, line := range lines {
		line = strings.TrimSpace(markdownLink().ReplaceAllString(line, "$1"))
		heading := i+1 < len(lines) && underlined().MatchString(strings.TrimSpace(lines[i+1]))
		if heading || !isProse().MatchString(line) || strings.Count(line, " ") < 2 {
			continue
		}
		line = strings.NewReplacer("**", "", "__", "", "`", "").Replace(line)
		sentence, _, _ := strings.Cut(line, ". ")
		f.describe(strings.TrimSuffix(text.Short(sentence, 120), "."))
		f.guessed("the description is the first sentence of %s", text.Name(names[0]))
		return
	}
}
