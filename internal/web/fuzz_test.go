package web

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/libresh/libre/internal/text"
)

// FuzzSaid reads the body of a refusal. The result is one safe, short line.
func FuzzSaid(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, line := range []string{Said(body), Refusal(403, body)} {
			if len(line) > 4<<10 || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r == '\n' || text.Harmful(r) }) {
				t.Errorf("%q", line)
			}
		}
	})
}
