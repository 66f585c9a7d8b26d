package text

import "testing"

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
