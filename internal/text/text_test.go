package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLineIsSafeToShow(t *testing.T) {
	for said, want := range map[string]string{
		"a\r\nb\tc\u2028d":                          "a b c d",
		"\x1b[31mred\x1b[0m \x1b]0;title\x07 plain": "red plain",
		"\x1b]8;;https://a.example\x1b\\link":       "link",
		"right\u202eleft\u200b, \x00 and \xff":      "rightleft, and \uFFFD",
		"👩\u200d🔧":                                  "👩\u200d🔧",
	} {
		if got := Line(said); got != want {
			t.Errorf("%q: %q, expected %q", said, got, want)
		}
	}
}

func TestOutputIsWhatATerminalShows(t *testing.T) {
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
		"\x1b[12\n\x1b(\nx":                    "\n\nx",
		"\x1b\x1b[1mx":                         "x",
		"a\x00\x07\x08\x7fb":                   "ab",
		"10%\r20%\r100%\r\nnext":               "100%\nnext",
		"user\u202etxt.exe\u2066x\u2069\u200e": "usertxt.exex",
		"a\u200bb\ufeffc\U000e0041d":           "abcd",
		"a\u3164b\u115fc\u2064d\U000e0100e":    "abcde",
		"می\u200cخواهم \u06dd١ ❤\ufe0f":        "می\u200cخواهم \u06dd١ ❤\ufe0f",
		"one\u2028two":                         "one two",
		"bad \xff\xc2 bytes\xc2":               "bad \ufffd bytes\ufffd",
		"\xe2\x1b[m\x80\xae":                   "\ufffd\ufffd", // not U+202E
	} {
		if got := Output(in); got != want {
			t.Errorf("%q: %q, expected %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"a\nb\tc\x1b[0m\n":                   "a b c",
		"  indented\r\n":                     "  indented",
		"10%\r\x1b[K100%\nnext":              "100% next",
		"plain\n":                            "plain",
		"\x1b[1;31mred\x1b[0m\x1b[K":         "red",
		"\x1b]0;title\x07after":              "after",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;": "link",
		"10%\r50%\r100%\r\n":                 "100%",
		"a\tb\x00\x08c\u202ed":               "a bcd",
		"\xff\xfe":                           "\uFFFD",
	} {
		if got := OutputLine(in); got != want {
			t.Errorf("%q: %q, expected %q", in, got, want)
		}
	}
}

func TestClipCutsByCharacters(t *testing.T) {
	for _, test := range []struct {
		in   string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"a bcd", 3, "a…"}, {"ééé", 3, "ééé"}, {"éééé", 3, "éé…"},
		{"😀😀😀😀", 3, "😀😀…"}, {"😀😀😀", 3, "😀😀😀"}, {"\xff\xffa", 3, "\uFFFDa"}, {strings.Repeat("x", 1<<20), 2, "x…"},
	} {
		if got := Clip(test.in, test.most); got != test.want {
			t.Errorf("%.20q, %d: %q, expected %q", test.in, test.most, got, test.want)
		}
	}
}

func TestMarkdownReadsAsTheText(t *testing.T) {
	for in, want := range map[string]string{
		"a|b\n# c":              `a\|b \# c`,
		"<b>[x](y) &amp; `c`":   "\\<b\\>\\[x\\](y) \\&amp; \\`c\\`",
		"\x1b[1m*_~$\\\u202e x": `\*\_\~\$\\ x`,
	} {
		if got := Markdown(in); got != want {
			t.Errorf("%q: %q, expected %q", in, got, want)
		}
	}
}

func FuzzSafeToShow(f *testing.F) {
	for _, s := range []string{"\x1b[31mx\x1b[0m", "\x1b]0;t\x07", "\u009b1m", "a\rb\nc\u202e", "\x1bP\x1b", "\xc2\x9b", "\xe2\x1b[m\x80\xae"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, safe := range map[string]func(string) string{
			"Plain": Plain, "Output": Output, "OutputLine": OutputLine, "Line": Line, "Name": Name,
		} {
			shown := safe(s)
			if !utf8.ValidString(shown) {
				t.Errorf("%s: %q is no UTF-8", name, shown)
			}
			for _, r := range shown {
				if r != '\n' && r != '\t' && Harmful(r) {
					t.Errorf("%s: %U is left of %q", name, r, s)
				}
			}
			if again := safe(shown); again != shown {
				t.Errorf("%s: not stable: %q, then %q", name, shown, again)
			}
			if name != "Plain" && name != "Output" && strings.Contains(shown, "\n") {
				t.Errorf("%s: %q has several lines", name, shown)
			}
		}
		if out := Output(s); strings.Count(out, "\n") != strings.Count(s, "\n") {
			t.Errorf("%q has other lines than %q", out, s)
		}
		if n := utf8.RuneCountInString(Name(s)); n > mostOfName {
			t.Errorf("%d characters of a name", n)
		}
	})
}

func TestEnumerateIsOneLine(t *testing.T) {
	hostile := []string{"a\nerror: forged", "\x1b[2Jb\r\n::error::c", "d\u2028e\tf", "g"}
	for limit, want := range map[int]string{
		0: "4 more",
		2: "a error: forged, b ::error::c, 2 more",
		4: "a error: forged, b ::error::c, d e f, g",
		9: "a error: forged, b ::error::c, d e f, g",
	} {
		if got := Enumerate(hostile, ", ", limit); got != want {
			t.Errorf("at most %d: %q, expected %q", limit, got, want)
		}
	}
	if got := Enumerate(nil, ", ", 3); got != "" || hostile[0] != "a\nerror: forged" {
		t.Errorf("%q, and the texts are now %q", got, hostile)
	}
}
