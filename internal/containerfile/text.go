package containerfile

import (
	"regexp"
	"strings"
	"unicode"
)

// escapes matches terminal control sequences: CSI, OSC and two-byte ones
// (ECMA-48).
var escapes = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|[@-Z\\\\^_])")

// clean makes a line of a child's output safe to show: no control sequences,
// no control characters, and of a line that was overwritten ("\r") only what
// was seen last.
func clean(line string) string {
	line = strings.TrimRight(line, "\r\n")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	line = escapes.ReplaceAllString(strings.ToValidUTF8(line, "\uFFFD"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, line)
}

// oneLine joins the lines of a message.
func oneLine(s string) string {
	var words []string
	for _, l := range strings.Split(s, "\n") {
		if l = strings.TrimSpace(clean(l)); l != "" {
			words = append(words, l)
		}
	}
	return strings.Join(words, " ")
}
