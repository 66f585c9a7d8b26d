package markdown

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// visible shows the zero-width space as ^.
func visible(text string) string { return strings.ReplaceAll(text, zeroWidth, "^") }

func TestNoteText(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"text", "# New\n\n- **bold** and `code`\n", "> # New\n>\n> - **bold** and `code`\n\n"},
		{"nothing", " \n\n", ""},
		{"mention", "thanks @user, @org/team and (@x-y); a@b.example", "> thanks @^user, @^org/team and (@^x-y); a@^b.example\n\n"},
		{"escaped mention", `\@user &#64;user &commat;user &amp;#64;user`, "> \\@^user @^user @^user &#^64;user\n\n"},
		{"issues", "fixes #12, owner/repo#34, GH-5, gh-6, !7", "> fixes #^12, owner/repo#^34, GH-^5, gh-^6, !^7\n\n"},
		{"issues of GitLab", "closes GL-5, &6, [issue:7], [work_item:g/p/8]", "> closes GL-^5, &^6, [issue^:7], [work_item^:g/p/8]\n\n"},
		{"not issues", "C# 12, #anchor, wow! 7", "> C# 12, #anchor, wow! 7\n\n"},
		{"URL of an issue", "see https://github.com/o/r/issues/12.", "> see o/r#^12.\n\n"},
		{"URL of a comment", "https://github.com/o/r/pull/12#issuecomment-3, more", "> o/r#^12, more\n\n"},
		{"URLs of other forges", "https://gitlab.com/g/s/p/-/merge_requests/1 https://codeberg.org/o/r/pulls/2", "> g/s/p#^1 o/r#^2\n\n"},
		{"link to an issue", "[fix it](https://github.com/o/r/pull/12) and [#3](https://github.com/o/r/issues/3 \"x\")", "> fix it and #^3\n\n"},
		{"escaped URL", `[x](https&#58;//github.com/o/r/issues\/1)`, "> [x](https://github.com/o/r/issues\\/^1)\n\n"},
		{"other links", "[docs](https://example.org/a#b), https://npm.example/@scope/x", "> [docs](https://example.org/a#b), https://npm.example/%40scope/x\n\n"},
		{"HTML", "<h2>Title</h2><!-- gone --> a<br/>b <img src=x onerror=y> `<b>` 1 < 2", "> Title ab  `<^b>` 1 < 2\n\n"},
		{"comment over lines", "a <!-- b\n@c\n--> d\n<!-- never ended", "> a  d\n\n"},
		{"broken HTML", "<<b>script>alert(1)</script\n<details", "> <^script>alert(1)<^/script\n> <^details\n\n"},
		{"HTML from entities", "&lt;script&gt;x", "> x\n\n"},
		{"end of details", "</details>\n\nout", "> out\n\n"},
		{"images", "![logo](https://x.example/a.png) [![b](https://x.example/b.svg)](https://x.example) ![c][d] ![e", "> logo [b](https://x.example) c !^[e\n\n"},
		{"code", "```html\n<b>@user</b>\n```\n<b>bold</b>", "> ```html\n> <^b>@^user<^/b>\n> ```\n> bold\n\n"},
		{"open fence", "```\ncode", "> ```\n> code\n\n"},
		{"terminal", "a\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 \x1b(B \x9b31m \u009b31m\x00\x07 &#27;[1m", "> ared link  \uFFFD31m\n\n"},
		{"direction", "a\u202eb\u2066c\u200fd\u200be\ufefff\u00adg &#x202e;h", "> abcdefg h\n\n"},
		{"lines", "a\r\nb\rc\u2028d\n\n\n\ne  \n", "> a\n> b\n> c\n> d\n>\n> e\n\n"},
		{"not UTF-8", "a\xffb", "> a\uFFFDb\n\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			quote, cut := quoteNote(test.text, maxNote)
			if diff := cmp.Diff(test.want, visible(quote)); diff != "" || cut != 0 {
				t.Errorf("%d lines cut\n%s", cut, diff)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	got := visible(Notes([]Note{
		{Version: "5.4.1", Page: "https://github.com/o/r/releases/tag/v5.4.1", Text: "Fixes #1"},
		{Version: "5.4.0", Page: "javascript:alert(1)", Text: ""},
		{Version: "@scope/x](http://evil) <b>\n#", Page: "https://x.example/releases/@scope/x", Text: "by @user"},
	}, ""))
	want := `#### [5.4.1](https://github.com/o/r/releases/tag/v5.4.1)

> Fixes #^1

#### 5.4.0

#### [@^scope/x)(http://evil) <^b> #](https://x.example/releases/%40scope/x)

> by @^user

`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := Notes(nil, ""); got != "" {
		t.Errorf("%q of nothing", got)
	}
}

func TestNotesAreCut(t *testing.T) {
	long := strings.Repeat("a line of a note\n", 2000)
	got := Notes([]Note{
		{Version: "3", Page: "https://x.example/3", Text: long},
		{Version: "2", Page: "https://x.example/2", Text: strings.Repeat("é", 50_000)},
		{Version: "1", Text: long},
		{Version: "0", Text: long},
	}, "https://x.example/all")
	for _, want := range []string{
		"\n\nCut here, 1462 more lines: https://x.example/3 .\n\n#### [2]",
		"é…\n\n#### 1\n",
		" more lines: https://x.example/all .\n\n",
		"The notes of 1 more versions are omitted: https://x.example/all .\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not in it: %q", want)
		}
	}
	checkNotes(t, got)
	checkNotes(t, Notes(make([]Note, 10_000), ""))
}

var alive = regexp.MustCompile(`(?i)@[\w-]|[#!&][0-9]|\bg[hl]-[0-9]|\[(?:issue|work_item|epic):|<[a-z/!?]|!\[|&(?:#\w+|[a-z]\w*);|(?:issues|pulls?|merge_requests|work_items|epics|discussions)/[0-9]`)

func checkNotes(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	if len(text) > 32<<10 {
		t.Errorf("%d bytes", len(text))
	}
	if found := alive.FindString(text); found != "" {
		t.Errorf("%q is alive", found)
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			t.Errorf("has %U", r)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, ">") && !strings.HasPrefix(line, "#### ") && line != "\n" &&
			!strings.HasPrefix(line, "Cut here, ") && !strings.HasPrefix(line, "The notes of ") {
			t.Errorf("outside of a quote: %q", line)
		}
	}
}

func FuzzNotes(f *testing.F) {
	f.Add("5.4.1", "https://x.example/y", "@user #1 <b>&#64;x</b> ```\n![a](b)\x1b[0m https://github.com/o/r/issues/1")
	f.Add("\u202e](", "https://x.example/@a/pull/1#2", "<!-<!-- -->- @ -->&am<b>p;#64;x !<i>[ iss<!-- -->ues/1 G<b>H-1 http://a/b/issues/1/issues/2")
	f.Fuzz(func(t *testing.T, version, page, text string) {
		checkNotes(t, Notes([]Note{{version, page, text}, {version, page, text}}, page))
	})
}
