package withdrawn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var day = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

const two = `# Ours.
withdrawn:
  - app: docs # the editor
    version: 5.4.0-1
    reason: Loses messages.
    date: 2026-11-28

  # The night of the outage.
  - {app: meet, version: 1.0-rc1-2, reason: "No: it's #1", date: 2026-11-29}
`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(two))
	want := List{
		{App: "docs", Tag: "5.4.0-1", Reason: "Loses messages.", Date: day.AddDate(0, 0, -1)},
		{App: "meet", Tag: "1.0-rc1-2", Reason: "No: it's #1", Date: day},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	for _, empty := range []string{"", "# none\n", "withdrawn:\n", "withdrawn: []\n", "withdrawn: null\n"} {
		if got, err := Parse([]byte(empty)); err != nil || got == nil || len(got) > 0 {
			t.Errorf("%q: %v, %v", empty, got, err)
		}
	}
}

func TestWrongFilesNameTheLineAndTheFix(t *testing.T) {
	entry := func(change, to string) string {
		return strings.Replace("withdrawn:\n  - app: docs\n    version: 5.4.0-1\n    reason: Broken.\n    date: 2026-11-29\n", change, to, 1)
	}
	for text, want := range map[string]string{
		"withdrawn: docs\n":        "withdrawn.yaml:1: withdrawn is not a list",
		"- app: docs\n":            "withdrawn.yaml:1: expected a mapping with withdrawn",
		"withdrawn:\n  - docs\n":   "withdrawn.yaml:2: a withdrawn release is not a mapping",
		"releases: []\n":           `withdrawn.yaml:1: unknown key "releases", expected withdrawn`,
		"withdrawn: [\n":           "withdrawn.yaml:",
		"withdrawn: []\n---\n{}\n": "a second YAML document starts here",
		"\xff\n":                   "withdrawn.yaml:1: the line is not UTF-8",
		entry("    reason", "    why: x\n    reason"): `withdrawn.yaml:4: unknown key "why"; use app, version, reason and date`,
		entry("reason: Broken.", "# no"):              "withdrawn.yaml:2: a withdrawn release has no reason",
		entry("Broken.", ""):                          "withdrawn.yaml:4: reason: it is empty",
		entry("Broken.", `"a\nb"`):                    "withdrawn.yaml:4: reason: it has more than one line",
		entry("Broken.", `"a\eb"`):                    "withdrawn.yaml:4: reason: it has a control character",
		entry("Broken.", `"a\u202eb"`):                "withdrawn.yaml:4: reason: it has a control character, or one that nobody sees",
		entry("Broken.", `"a\u009bb"`):                "withdrawn.yaml:4: reason: it has a control character",
		entry("Broken.", "[a]"):                       "withdrawn.yaml:4: reason: expected a text",
		entry("5.4.0-1", "5.4.0"):                     `withdrawn.yaml:3: version: "5.4.0" is not the version of a release, such as 5.4.0-1`,
		entry("5.4.0-1", "latest"):                    `withdrawn.yaml:3: version: "latest" is not the version of a release`,
		entry("5.4.0-1", "a/b-1"):                     "is not the version of a release",
		entry("docs", "../docs"):                      `withdrawn.yaml:2: app: "../docs" is not the name of an app; for example: app: docs`,
		entry("2026-11-29", "yesterday"):              `withdrawn.yaml:5: date: "yesterday" is not a date; for example: date: 2026-11-29`,
		entry("    date", "    app: a\n    date"):     `withdrawn.yaml:5: "app" is set twice, first in line 2`,
		entry("", "") + "  - {app: docs, version: 5.4.0-1, reason: Again., date: 2026-11-29}\n": "withdrawn.yaml:6: docs 5.4.0-1 is withdrawn twice; remove one of the two",
		entry("Broken.", strings.Repeat("x", MostReason+1)):                                     "withdrawn.yaml:4: reason: it has 501 bytes, at most 500 are allowed",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n%v\nwant %s", text, err, want)
		}
	}
}

func TestAddAndRemoveLeaveTheRestAsItIs(t *testing.T) {
	added := Release{"docs", "5.4.1-1", "yes: it's \"#1\"", day}
	item := "  - app: docs\n    version: 5.4.1-1\n    reason: 'yes: it''s \"#1\"'\n    date: 2026-11-29\n"
	atMargin := strings.ReplaceAll("\n"+item, "\n  ", "\n")[1:]
	for name, test := range map[string]struct{ before, after, undone string }{
		"no file":       {"", "withdrawn:\n" + item, "withdrawn:\n"},
		"comments":      {"# ours\n", "# ours\nwithdrawn:\n" + item, "# ours\nwithdrawn:\n"},
		"brackets":      {"withdrawn: [] # none\n", "withdrawn: # none\n" + item, "withdrawn: # none\n"},
		"nothing":       {"withdrawn: # soon", "withdrawn: # soon\n" + item, "withdrawn: # soon\n"},
		"two":           {two, two + item, two},
		"at the margin": {"withdrawn:\n- {app: a, version: 1-1, reason: x, date: 2026-11-29} # why\n\n# end", "withdrawn:\n- {app: a, version: 1-1, reason: x, date: 2026-11-29} # why\n\n# end\n" + atMargin, "withdrawn:\n- {app: a, version: 1-1, reason: x, date: 2026-11-29} # why\n\n# end\n"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, File)
		if test.before != "" {
			write(t, path, test.before)
		}
		if err := Add(dir, added); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.after, read(t, path)); diff != "" {
			t.Errorf("%s, added: %s", name, diff)
		}
		if err := Add(dir, added); err == nil || !strings.HasPrefix(err.Error(), "docs 5.4.1-1 is withdrawn already, since 2026-11-29: ") {
			t.Errorf("%s, added twice: %v", name, err)
		}
		if err := Remove(dir, "docs", "5.4.1-1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.undone, read(t, path)); diff != "" {
			t.Errorf("%s, removed: %s", name, diff)
		}
	}
}

func TestRemoveInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	for app, left := range map[string]string{
		"docs": "# Ours.\nwithdrawn:\n\n  # The night of the outage.\n  - {app: meet, version: 1.0-rc1-2, reason: \"No: it's #1\", date: 2026-11-29}\n",
		"meet": strings.Split(two, "  - {app: meet")[0],
	} {
		write(t, path, two)
		list, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := Remove(dir, app, list.Of(app)[0].Tag); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(left, read(t, path)); diff != "" {
			t.Errorf("without %s: %s", app, diff)
		}
	}
	write(t, path, "withdrawn: [{app: docs, version: 1-1, reason: x, date: 2026-11-29}]\n")
	if err := Remove(dir, "docs", "1-1"); err == nil || !strings.Contains(err.Error(), "withdrawn.yaml:1: withdrawn is written in brackets") {
		t.Error(err)
	}
	if err := Remove(dir, "docs", "9-1"); err == nil || err.Error() != "withdrawn.yaml has no docs 9-1" {
		t.Error(err)
	}
}

func TestALinkIsNotReadOrWritten(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "secret")
	write(t, other, "password\n")
	if err := os.Symlink(other, filepath.Join(dir, File)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "it is a link") || strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if err := Add(dir, Release{"docs", "1-1", "x", day}); err == nil || read(t, other) != "password\n" {
		t.Error(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FuzzParse reads any text without failing otherwise than by an error, and what it accepts can
// be removed again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{two, "", "withdrawn: []", "withdrawn:\n-\n app: a\n version: 1-1\n reason: |-\n  x\n date: 2026-11-29\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Parse(text)
		if err != nil {
			return
		}
		for _, r := range list {
			if CheckApp(r.App) != nil || CheckTag(r.Tag) != nil || CheckReason(r.Reason) != nil {
				t.Errorf("accepted: %+v", r)
			}
			if rest, err := remove(text, list, r.App, r.Tag); err == nil {
				if left, err := Parse(rest); err != nil || len(left) != len(list)-1 {
					t.Errorf("%v, left: %v", err, left)
				}
			}
		}
	})
}

// FuzzAdd writes any reason so that it is read as it was.
func FuzzAdd(f *testing.F) {
	for _, reason := range []string{"plain", "yes", "- a: b # c", "2026-11-29", "é 'x' \"y\""} {
		f.Add(reason)
	}
	f.Fuzz(func(t *testing.T, reason string) {
		reason = strings.TrimSpace(reason)
		if CheckReason(reason) != nil {
			return
		}
		text, err := add([]byte(two), Release{"docs", "9-9", reason, day})
		if err != nil {
			return
		}
		list, err := Parse(text)
		if err == nil && list.Find("docs", "9-9").Reason != reason {
			t.Errorf("%q became %q", reason, list.Find("docs", "9-9").Reason)
		}
	})
}

func TestAddAtOnceLosesNothing(t *testing.T) {
	dir := t.TempDir()
	const most = 16
	var group sync.WaitGroup
	for n := range most {
		group.Go(func() {
			if err := Add(dir, Release{"docs", fmt.Sprintf("5.4.%d-1", n), "Broken.", day}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if all, err := Load(dir); err != nil || len(all) != most {
		t.Errorf("%d of %d releases, %v", len(all), most, err)
	}
}
