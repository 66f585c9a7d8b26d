package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes outside text (a child's output, an upstream's tag, an error from
// a registry) safe for a terminal: escape sequences, control characters,
// overrides of the writing direction and invisible characters are dropped, and
// what is no UTF-8 is replaced. Newlines and tabs stay. Of a line that a program
// wrote over and over with carriage returns, the last state stays.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:]
		lines[i] = cleanLine(line)
	}
	return strings.Join(lines, "\n")
}

// cleanWord is Clean for what must stay on one line.
func cleanWord(s string) string {
	return strings.TrimSpace(strings.NewReplacer("\n", " ", "\t", " ").Replace(Clean(s)))
}

func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\t' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}

func cleanLine(line string) string {
	var b strings.Builder
	for line != "" {
		if n := escapeSequence(line); n > 0 {
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(line)
		switch {
		case r == '\u2028', r == '\u2029': // line and paragraph separator
			b.WriteByte(' ')
		case r == '\t' || !harmful(r):
			b.WriteRune(r) // U+FFFD for what is no UTF-8
		}
		line = line[n:]
	}
	return b.String()
}

// harmful tells characters that steer a terminal, or that make text look like
// another one.
func harmful(r rune) bool {
	switch {
	case unicode.IsControl(r):
		return true
	case r == '\u061c', r == '\u200e', r == '\u200f', // marks of direction
		r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069': // overrides and isolates
		return true
	case r == '\u200b', r == '\u2060', r == '\ufeff', r == '\u00ad', // invisible
		r >= 0xe0000 && r <= 0xe007f: // tags: text that no one sees
		return true
	}
	return false
}

// escapeSequence gives the length of the escape sequence that a line begins
// with, 0 if there is none. Forms: ECMA-48, and xterm's
// https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
func escapeSequence(line string) int {
	var kind byte
	var at int
	switch {
	case line[0] == '\x1b' && len(line) == 1:
		return 1
	case line[0] == '\x1b':
		kind, at = line[1], 2
	case line[0] == '\xc2' && len(line) > 1 && line[1] >= 0x80 && line[1] <= 0x9f:
		// The same introducers as one C1 character: U+009B is ESC [.
		kind, at = line[1]-0x40, 2
		if !strings.ContainsRune("[]P_^X", rune(kind)) {
			return 2
		}
	default:
		return 0
	}
	switch {
	case kind == '[': // CSI: parameters, then one final byte
		for at < len(line) && line[at] >= 0x20 && line[at] <= 0x3f {
			at++
		}
		if at < len(line) && line[at] >= 0x40 && line[at] <= 0x7e {
			at++
		}
		return at
	case strings.IndexByte("]P_^X", kind) >= 0: // OSC, DCS and other strings: up to BEL or ST
		for at < len(line) {
			rest := line[at:]
			switch {
			case rest[0] == '\a':
				return at + 1
			case strings.HasPrefix(rest, "\x1b\\"), strings.HasPrefix(rest, "\u009c"):
				return at + 2
			}
			at++
		}
		return at // not ended in this line: a terminal would swallow it as well
	case kind >= 0x20 && kind <= 0x2f: // e.g. ESC ( B: intermediates, then one final byte
		for at < len(line) && line[at] >= 0x20 && line[at] <= 0x2f {
			at++
		}
		if at < len(line) && line[at] >= 0x30 && line[at] <= 0x7e {
			at++
		}
		return at
	case kind >= 0x30 && kind <= 0x7e: // e.g. ESC c
		return 2
	}
	return 1 // ESC before something that is no sequence
}
