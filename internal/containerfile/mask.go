package containerfile

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// masked replaces a secret in a log.
const masked = "***"

// shortest is the length of the shortest value to mask: shorter ones are in any log.
const shortest = 4

// shortestLine is the length of the shortest line to mask on its own in a secret of
// several lines: a "{" is no secret.
const shortestLine = 6

// mask replaces values, each of their lines, and their usual encodings.
type mask struct {
	replacer *strings.Replacer // nil: nothing to mask
	longest  int               // length of the longest replaced text, in bytes
}

func newMask(values []string) mask {
	var words []string
	add := func(word string) {
		quoted, _ := json.Marshal(word)
		for _, form := range []string{
			word, strings.Trim(string(quoted), `"`), url.QueryEscape(word), url.PathEscape(word),
			base64.StdEncoding.EncodeToString([]byte(word)), base64.RawStdEncoding.EncodeToString([]byte(word)), base64.RawURLEncoding.EncodeToString([]byte(word)),
		} {
			if !slices.Contains(words, form) {
				words = append(words, form)
			}
		}
	}
	for _, value := range values {
		value = strings.TrimSpace(value)
		if len(value) < shortest {
			continue
		}
		add(value)
		lines := strings.Split(value, "\n")
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(lines) > 1 && len(line) >= shortestLine {
				add(line)
			}
		}
	}
	if len(words) == 0 {
		return mask{}
	}
	// A Replacer uses the first match, so the longest come first.
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, word := range words {
		pairs = append(pairs, word, masked)
	}
	return mask{strings.NewReplacer(pairs...), len(words[0])}
}

func (m mask) apply(text string) string {
	if m.replacer == nil {
		return text
	}
	return m.replacer.Replace(text)
}
