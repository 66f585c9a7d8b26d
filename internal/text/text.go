// Package text makes texts that others wrote safe to show.
package text

import (
	"net/url"
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

// Short is Line, cut to so many characters.
func Short(text string, most int) string {
	line := Line(text)
	if runes := []rune(line); len(runes) > most {
		line = strings.TrimRight(string(runes[:most-1]), " ") + "…"
	}
	return line
}

// PublicURL is the address of a repository or a file that may be shown to everybody:
// without user, password, query and fragment. What is on this machine has none.
func PublicURL(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		if _, rest, found := strings.Cut(address, "@"); found && !strings.Contains(rest, "@") {
			return "ssh://" + strings.Replace(rest, ":", "/", 1) // user@host:path
		}
		return ""
	}
	parsed.User, parsed.RawQuery, parsed.Fragment = nil, "", ""
	return parsed.String()
}
