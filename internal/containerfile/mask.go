package containerfile

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// masked is what stands in a log for a value that it must not have.
const masked = "***"

// shortest is how long a value is at least to be masked: a shorter one is in any log.
const shortest = 4

// shortestLine is how long a line of a secret of several lines is at least to be masked
// by itself: that a file has a "{" is no secret.
const shortestLine = 6

// mask replaces values, each of their lines, and what encodings in use make of them.
type mask struct {
	replacer *strings.Replacer // nil: nothing is to be masked
	longest  int               // of what is replaced, in bytes
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
	// A Replacer takes the first that fits: the longest.
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
