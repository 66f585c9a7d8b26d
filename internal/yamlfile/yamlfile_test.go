package yamlfile

import (
	"strings"
	"testing"
)

// read returns the words of the elements of the list things, and all problems.
func read(text string) (words []string, err error) {
	r := Reading{File: "f"}
	for _, element := range r.Elements(r.Read([]byte(text)), "things") {
		for name, value := range r.Pairs(element) {
			word, err := Text(value)
			if err != nil {
				r.Wrong(value.Line, err.Error(), "write a text")
			}
			words = append(words, name.Value+"="+word)
		}
	}
	return words, r.Err()
}

func TestElementsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"# nothing yet\n":                   "",
		"things:\n":                         "",
		"things: []\n":                      "",
		"things:\n- a: one\n  b: ' two '\n": "a=one b=two",
		"things: [{a: 1}, {b: 2026-11-28}]": "a=1 b=2026-11-28",
	} {
		if words, err := read(text); err != nil || strings.Join(words, " ") != want {
			t.Errorf("%q: %q, %v; want %q", text, words, err, want)
		}
	}
}

// Each problem is one line with the place in the file and how to fix it.
func TestProblemsNameTheLineAndTheFix(t *testing.T) {
	for text, want := range map[string]string{
		"things:\n\xff":                          "f:2: the line is not UTF-8; save the file as UTF-8",
		"things: []\n---\nthings: []\n":          "f:2: a second YAML document starts here; remove the line --- and what is below it",
		"things:\n- a: [\n":                      "f:3: invalid YAML: did not find expected node content; check the indentation, and quote values with : or #",
		"- a\n":                                  "f:1: expected a mapping with things; write things: and below it a list",
		"things: 1\n":                            "f:1: things is not a list; write things: and below it a list",
		"thing: []\n":                            `f:1: unknown key "thing", expected things; write things: and below it a list`,
		"things: []\nthings: []\n":               `f:2: "things" is set twice, first in line 1; remove line 2`,
		"things:\n- a: 1\n  a: 2\n":              `f:3: "a" is set twice, first in line 2; remove line 3`,
		"things:\n- a: ''\n- a: [b]\n":           "f:2: it is empty; write a text\nf:3: expected a text; write a text",
		"things:\n- a: \"\\e[2J\"\n":             "f:2: it has a control character; write a text",
		"things:\n- a: !!binary aGVsbG8=\n":      "f:2: expected a text; write a text",
		"other: 1\nthings:\n- a: \"b\\u007f\"\n": "f:1: unknown key \"other\", expected things; write things: and below it a list\nf:3: it has a control character; write a text",
	} {
		if _, err := read(text); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestDay(t *testing.T) {
	if day, err := Day(Scalar("2026-11-28")); err != nil || day.Format("2006-01-02 15:04 MST") != "2026-11-28 00:00 UTC" {
		t.Errorf("%v, %v", day, err)
	}
	if _, err := Day(Scalar("28.11.2026")); err == nil || err.Error() != `"28.11.2026" is not a date` {
		t.Errorf("%v", err)
	}
}

// What is there stays as it is: comments, quotes, indentation.
func TestAppendKeepsTheRestOfTheFile(t *testing.T) {
	element := []Field{{"a", Scalar("true")}, {"day", Scalar("2026-11-28")}}
	const added = "- a: \"true\"\n  day: 2026-11-28\n"
	indentedItem := "  " + strings.ReplaceAll(added, "\n  ", "\n    ")
	for text, want := range map[string]string{
		"":                                 "things:\n" + indentedItem,
		"# ours\n":                         "# ours\nthings:\n" + indentedItem,
		"things:":                          "things:\n" + indentedItem,
		"things: [] # none\n":              "things: # none\n" + indentedItem,
		"things:\n- a: 'b' # why\n\n\n":    "things:\n- a: 'b' # why\n" + added,
		"things:\n  - a: b\n    # below\n": "things:\n  - a: b\n    # below\n" + indentedItem,
	} {
		got, err := Append("f", []byte(text), "things", element)
		if err != nil || string(got) != want {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", text, got, err, want)
		}
		if words, err := read(string(got)); err != nil || !strings.HasSuffix(strings.Join(words, " "), "a=true day=2026-11-28") {
			t.Errorf("%q is read as %q, %v", got, words, err)
		}
	}
}

func TestRemoveTakesTheCommentsBesideAnElement(t *testing.T) {
	const text = "things:\n# above\n- a: one # beside\n  # within\n\n-\n  a: two\n- a: three\n"
	for number, want := range []string{
		"things:\n# above\n\n-\n  a: two\n- a: three\n",
		"things:\n# above\n- a: one # beside\n  # within\n\n- a: three\n",
		"things:\n# above\n- a: one # beside\n  # within\n\n-\n  a: two\n",
	} {
		if got, err := Remove("f", []byte(text), "things", number); err != nil || string(got) != want {
			t.Errorf("element %d:\ngot  %q, %v\nwant %q", number, got, err, want)
		}
	}
}

// A list in brackets is not rewritten.
func TestListsInBracketsAreRefused(t *testing.T) {
	const want = "f:1: things is written in brackets; write each thing below it, after a dash"
	text := []byte("things: [{a: one}]\n")
	if _, err := Append("f", text, "things", []Field{{"a", Scalar("two")}}); err == nil || err.Error() != want {
		t.Errorf("append: %v", err)
	}
	if _, err := Remove("f", text, "things", 0); err == nil || err.Error() != want {
		t.Errorf("remove: %v", err)
	}
}
