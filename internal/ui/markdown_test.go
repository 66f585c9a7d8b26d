package ui

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/text"
)

func TestMarkdown(t *testing.T) {
	table := Table{
		Header: []string{"IMAGE", "REASON"},
		Rows: [][]string{
			{"docs/backend/lyon", "exit 1"},
			{"a|b", "x\ny\\|z\ttab"},
			{"<img src=x>", "*b* _i_ `c` ~s~ [l](https://example.org) $m$ A&B \x1b[31mred\x1b[0m\u202e"},
			{"", "täglich"},
		},
	}
	expect(t, "table", table.Markdown(), strings.Join([]string{
		"| IMAGE | REASON |",
		"| --- | --- |",
		"| docs/backend/lyon | exit 1 |",
		`| a\|b | x y\\\|z tab |`,
		"| \\<img src=x\\> | " + `\*b\* \_i\_ ` + "\\`c\\`" + ` \~s\~ \[l\](https://example.org) \$m\$ A\&B red |`,
		"|  | täglich |",
		"", "",
	}, "\n"))
}

// The summary has the tables of both streams, whatever kind of streams they are.
func TestSummarize(t *testing.T) {
	one := Table{Header: []string{"A"}, Rows: [][]string{{"x"}}}
	const asMarkdown = "| A |\n| --- |\n| x |\n\n"
	for name, edit := range map[string]func(*Options){"plain": nil, "terminal": terminal, "JSON": logJSON} {
		f := newFake(edit)
		var summary strings.Builder
		f.Summarize(&summary)
		if err := f.Table(one); err != nil {
			t.Fatal(err)
		}
		f.Summary(one)
		f.Summary(Table{Header: []string{"EMPTY"}})
		f.SummaryText("1 image: 1 <b>")
		f.SummaryLog("failed: docs", []string{"```", "a\x1b[2J|<b>"})
		want := strings.Repeat(asMarkdown, 2) + "1 image: 1 " + text.Markdown("<b>") + "\n\n" +
			"<details><summary>failed: docs</summary>\n\n````\n```\na|<b>\n````\n\n</details>\n\n"
		expect(t, name, summary.String(), want)
	}
	f := newFake(nil)
	f.Summary(one)
	expect(t, "none wanted", f.stdout.String()+f.said(), "")
}
