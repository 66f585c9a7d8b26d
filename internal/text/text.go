// Package text makes texts that others wrote safe to show.
package text

import (
	"regexp"
	"strings"
	"unicode"
)

// escape is an escape sequence of a terminal (ECMA-48): CSI, OSC to its end, or ESC
// alone.
var escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))?`)

// Plain makes a text valid UTF-8 without escape sequences, control characters,
// overrides of the direction and characters that nobody sees. Newlines and tabs
// stay.
func Plain(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r', r == '\u2028', r == '\u2029':
			return '\n'
		case r == '\n', r == '\t', r == '\u200d': // the last one joins emoji
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, escape.ReplaceAllString(text, ""))
}

// Line is Plain on one line.
func Line(text string) string {
	return strings.Join(strings.Fields(Plain(text)), " ")
}
