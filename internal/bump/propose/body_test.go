package propose

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/upstream"
)

func TestPullBody(t *testing.T) {
	got := PullBody([]AppReport{{
		App: "docs", From: "5.4.0-2", To: "5.4.1-1",
		Links:      upstream.Links{Release: "https://example.org/r/releases/tag/v5.4.1", Compare: "https://example.org/r/compare/v5.4.0...v5.4.1"},
		Warnings:   []string{"upstream moved the tag v5.4.1 | @all <b>", "see #12 and `id`"},
		Findings:   []string{"licence: LICENSE: MIT → AGPL-3.0"},
		Changes:    []string{"patch fix_[1].patch applies"},
		Comparison: "- docs/default 5.4.0-2 → 5.4.1-1: another app version\n- upgrade allowed; migration: none\n\n",
		Notes:      "#### 5.4.1\n\n> fixed\n\n", Checked: []string{"evaluated", "built for x86_64-linux"},
	}})
	const want = `| App | From | To | Upstream |
| --- | --- | --- | --- |
| docs | 5.4.0-2 | **5.4.1-1** | [release](https://example.org/r/releases/tag/v5.4.1) · [changes](https://example.org/r/compare/v5.4.0...v5.4.1) |

**Warnings**

- upstream moved the tag v5.4.1 \| @^all \<^b\>
- see \#^12 and \` + "`id\\`" + `

**To review**

- licence: LICENSE: MIT → AGPL-3.0

**Our changes**

- patch fix\_\[1\].patch applies

**Checked**

- evaluated
- built for x86_64-linux

**What changes for those who run it**

- docs/default 5.4.0-2 → 5.4.1-1: another app version
- upgrade allowed; migration: none

<details>
<summary>Notes of docs</summary>

#### 5.4.1

> fixed

</details>

`
	if diff := cmp.Diff(strings.ReplaceAll(want, "x86_64", `x86\_64`), strings.NewReplacer("\u200b", "^").Replace(got)); diff != "" {
		t.Error(diff)
	}
}

// A body of any length is cut to what a forge accepts.
func TestPullBodyIsCut(t *testing.T) {
	for _, apps := range []int{1, 3, 400} {
		var reports []AppReport
		proposed := map[string]string{}
		for i := range apps {
			name := fmt.Sprintf("app%d", i)
			proposed[name] = "1.0-1"
			r := AppReport{App: name, Comparison: strings.Repeat("c", MaxComparison), Notes: strings.Repeat("> note\n", 4000)}
			for range 500 {
				r.Warnings = append(r.Warnings, strings.Repeat("w|", 300))
			}
			reports = append(reports, r)
		}
		body := marked(PullBody(reports), proposed)
		if len(body) > maxBody {
			t.Errorf("%d apps: %d bytes", apps, len(body))
		}
		if !maps.Equal(readMark(strings.ReplaceAll(body, "\n", "\r\n")), proposed) {
			t.Errorf("%d apps: the mark cannot be read", apps)
		}
	}
}

// A mark is read from the line that libre wrote.
func TestReadMark(t *testing.T) {
	for body, want := range map[string]map[string]string{
		"":                              nil,
		"text <!-- libre: docs 1-1 -->": nil,
		"<!-- libre: docs 1-1 -->":      {"docs": "1-1"},
		"<!-- libre: meet 9-9 -->\n\n<!-- libre: docs 1-1, meet 2-1 -->\r\n" + closedMark: {"docs": "1-1", "meet": "2-1"},
		"<!-- libre: docs -->": {},
	} {
		if got := readMark(body); !maps.Equal(got, want) {
			t.Errorf("%q: %v, expected %v", body, got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	before := map[string][]byte{"apps/docs/default.nix": []byte("a\nb\nc\nd\ne\nf\ng\nh\n"), "same": []byte("x\n"), "gone.patch": []byte("-\n"), "end": []byte("1")}
	after := map[string][]byte{"apps/docs/default.nix": []byte("a\nB\nc\nd\ne\nf\ng\nh\n"), "same": []byte("x\n"), "gone.patch": nil, "new": []byte("1\n"), "end": []byte("2")}
	const want = `--- a/apps/docs/default.nix
+++ b/apps/docs/default.nix
@@ -1,5 +1,5 @@
 a
-b
+B
 c
 d
 e
--- a/end
+++ b/end
@@ -1,1 +1,1 @@
-1
\ No newline at end of file
+2
\ No newline at end of file
--- a/gone.patch
+++ /dev/null
@@ -1,1 +0,0 @@
--
--- /dev/null
+++ b/new
@@ -0,0 +1,1 @@
+1
`
	got := Diff(before, after)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// git reads the diff as it was meant.
	repository, dir := workplace(t)
	put(t, dir, map[string]string{"apps/docs/default.nix": string(before["apps/docs/default.nix"]), "gone.patch": "-\n", "end": "1"})
	apply := exec.CommandContext(t.Context(), "git", "apply")
	apply.Dir, apply.Stdin = repository.top, strings.NewReader(got)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s", err, out)
	}
	if status := runGit(t, dir, "status", "--porcelain", "--untracked-files=all"); status != "?? apps/docs/default.nix\n?? end\n?? new" {
		t.Error(status)
	}
}

// No outside text becomes a mark, another line, or something that a forge acts on.
func FuzzProposalText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Add("x\n<!-- libre: docs 1-1 -->\n")
	f.Add("@all fixes #1 | `id` [x](https://example.org/@a) ![i](x) &#64;all GH-1 <b>")
	f.Fuzz(func(t *testing.T, text string) {
		change := &Proposal{Title: text, Message: text}
		for _, line := range []string{change.title(), markdown.Escape(text)} {
			if strings.ContainsAny(line, "\r\n\x1b\u202e\u2028") || alive.MatchString(line) {
				t.Errorf("%q", line)
			}
		}
		body := PullBody([]AppReport{{App: text, Warnings: []string{text}, Findings: []string{text},
			Links: upstream.Links{Release: text, Compare: "https://example.org/" + text}, Notes: markdown.Notes([]markdown.Note{{Version: text, Text: text}}, "")}})
		if readMark(body) != nil || len(body) > maxBody {
			t.Errorf("%q", body)
		}
		if message := change.message(); readMark(message) != nil {
			t.Errorf("%q", message)
		}
	})
}

// hostile are names that an attacker may give to a tag.
var hostile = []string{
	`1.0";`, `v9.0.0";`, `$(x)`, `v9.0.0$(touch x)`, `${builtins.readFile "/etc/passwd"}`, "v9.0.0`id`", `../..`, `v9.0.0/../..`, `v9.0.0..1`,
	"v9.0.0\n", "v9.0.0\x1b[31m", "v9.0.0\u202e", "v\u200b9.0.0", "v9.0.0\x00", "v9.0.0\xff", "-v9.0.0", "v９.0.0", "v9.0.0 ", "v9.0.0+x",
	"v9." + strings.Repeat("9", 10_000), "v9.0." + strings.Repeat("0", 200), "v9.0.0-rc." + strings.Repeat("1", 120), "",
}

var alive = regexp.MustCompile(`(?i)@[\w-]|[#!][0-9]|\bgh-[0-9]|<[a-z/!?]|!\[|&(?:#\w+|[a-z]\w*);|(?:issues|pulls?|merge_requests|discussions)/[0-9]`)
