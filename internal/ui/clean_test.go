package ui

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":              "",
		"plain\ttext\n": "plain\ttext\n",
		"Grüße 日本語 👩‍👩‍👧 é":                    "Grüße 日本語 👩‍👩‍👧 é",
		"\x1b[31;1merror:\x1b[0m x":            "error: x",
		"\x1b]0;title\x07a\x1b]8;;u\x1b\\b":    "ab",
		"\x1b]0;never ended\nnext":             "\nnext",
		"\x1bP1$q\x1b\\a\x1b_x\x1b\\b":         "ab",
		"\x1b(Ba\x1bcb\x1b7c\x1b":              "abc",
		"\u009b31mred\u009d0;t\u009cx\u0085":   "redx",
		"\x1b[12":                              "",
		"\x1b\x1b[1mx":                         "x",
		"a\x00\x07\x08\x7fb":                   "ab",
		"10%\r20%\r100%\r\nnext":               "100%\nnext",
		"user\u202etxt.exe\u2066x\u2069\u200e": "usertxt.exex",
		"a\u200bb\ufeffc\U000e0041d":           "abcd",
		"one\u2028two":                         "one two",
		"bad \xff\xc2 bytes\xc2":               "bad \ufffd\ufffd bytes\ufffd",
	} {
		expect(t, in, Clean(in), want)
	}
	expect(t, "word", cleanWord(" a\nb\tc\x1b[0m\n"), "a b c")
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"\x1b[31mx\x1b[0m", "\x1b]0;t\x07", "\u009b1m", "a\rb\nc\u202e", "\x1bP\x1b", "\xc2\x9b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := Clean(s)
		if !utf8.ValidString(clean) {
			t.Errorf("%q is no UTF-8", clean)
		}
		for _, r := range clean {
			if r != '\n' && r != '\t' && harmful(r) {
				t.Errorf("%U is left of %q", r, s)
			}
		}
		if again := Clean(clean); again != clean {
			t.Errorf("not stable: %q, then %q", clean, again)
		}
		if strings.Count(clean, "\n") != strings.Count(s, "\n") {
			t.Errorf("%q has other lines than %q", clean, s)
		}
	})
}
