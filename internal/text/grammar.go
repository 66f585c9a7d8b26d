package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Harmful reports whether a character must not be shown: a control character, one that
// changes the writing direction, or one that nobody sees. Newlines and tabs count. The
// joiners that scripts and emoji need, and selectors of a glyph, do not.
func Harmful(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r == '\u200c', r == '\u200d': // zero-width non-joiner and joiner
		return false
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // seen, such as U+06DD
		return false
	case r >= 0xe0000 && r <= 0xe0fff: // tags and more selectors: text that nobody sees
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// isSafe reports whether strip has nothing to do. It knows ASCII only.
func isSafe(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\t' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}

// strip drops escape sequences and harmful characters, except newlines and tabs. What is
// no UTF-8 becomes U+FFFD, one for each run of bytes; this comes first, so that what is
// dropped does not join bytes to another character.
func strip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var b strings.Builder
	b.Grow(len(text))
	for text != "" {
		if n := escapeSequence(text); n > 0 {
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == '\u2028', r == '\u2029': // separators of lines and paragraphs
			b.WriteByte(' ')
		case r == '\n', r == '\t', !Harmful(r):
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// escapeSequence returns the length of the escape sequence at the start of a text, 0 if
// there is none. A newline ends every sequence.
// Sources: ECMA-48, and https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
func escapeSequence(text string) int {
	kind, at := introducer(text)
	switch {
	case at == 0:
		return 0
	case kind == '[': // CSI: parameters, then one final byte
		return final(text, skip(text, at, 0x20, 0x3f), 0x40)
	case strings.IndexByte("]P_^X", kind) >= 0: // OSC, DCS, APC, PM, SOS
		return stringEnd(text, at)
	case kind >= 0x20 && kind <= 0x2f: // such as ESC ( B: intermediates, then one final byte
		return final(text, skip(text, at, 0x20, 0x2f), 0x30)
	case kind >= 0x30 && kind <= 0x7e: // such as ESC c
		return at
	}
	return 1 // ESC before something that is no sequence
}

// introducer reads what begins an escape sequence: ESC and a byte, or a C1 character,
// U+0080 to U+009F, which stands for ESC and a byte of 0x40 to 0x5F. at is where the rest
// begins, 0 if there is no sequence. kind is 0 where nothing follows.
func introducer(text string) (kind byte, at int) {
	switch {
	case text[0] == '\x1b' && len(text) == 1:
		return 0, 1
	case text[0] == '\x1b':
		return text[1], 2
	case text[0] == '\xc2' && len(text) > 1 && text[1] >= 0x80 && text[1] <= 0x9f:
		return text[1] - 0x40, 2
	}
	return 0, 0
}

// skip returns the first place from at on whose byte is not in a range.
func skip(text string, at int, from, to byte) int {
	for at < len(text) && text[at] >= from && text[at] <= to {
		at++
	}
	return at
}

// final returns the place behind a final byte, which is from up to 0x7E.
func final(text string, at int, from byte) int {
	if at < len(text) && text[at] >= from && text[at] <= 0x7e {
		at++
	}
	return at
}

// stringEnd returns the place behind a control string: behind BEL or ST, or at the end of
// the line, as a terminal swallows one that does not end.
func stringEnd(text string, at int) int {
	for ; at < len(text) && text[at] != '\n'; at++ {
		switch rest := text[at:]; {
		case rest[0] == '\a':
			return at + 1
		case strings.HasPrefix(rest, "\x1b\\"), strings.HasPrefix(rest, "\u009c"):
			return at + 2
		}
	}
	return at
}
