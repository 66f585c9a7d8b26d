package vex

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/catalog"
)

var added = Entry{
	Values: map[string]string{"vulnerability": "CVE-2026-9", "status": "not_affected", "justification": "component_not_present",
		"versions": ">=1.0, <2.0", "date": "2026-11-28", "notes": "yes: it's #1"},
	Lists: map[string][]string{"components": {"backend"}},
}

const addedText = `- vulnerability: CVE-2026-9
  status: not_affected
  justification: component_not_present
  notes: 'yes: it''s #1'
  components: [backend]
  versions: '>=1.0, <2.0'
  date: 2026-11-28
`

func addTo(t *testing.T, before *string, entry Entry) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "apps/docs/vex.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if before != nil {
		if err := os.WriteFile(file, []byte(*before), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	app := catalog.App{Name: "docs", Components: map[string]catalog.Component{"backend": {}}, Variants: []string{"default", "lyon"}}
	_, err := Add(dir, app, entry, today)
	after, readErr := os.ReadFile(file)
	if before == nil && readErr != nil && err != nil {
		return "", err
	}
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err == nil {
		if all, err := Load(dir, app, today); err != nil || all[len(all)-1].Vulnerability != entry.Values["vulnerability"] {
			t.Errorf("%v: %v", all, err)
		}
	}
	return string(after), err
}

func TestAdd(t *testing.T) {
	two, none := strings.ReplaceAll("  "+addedText, "\n ", "\n   "), addedText
	two = strings.TrimSuffix(two, "  ")
	for name, test := range map[string]struct {
		before *string
		want   string
	}{
		"no file":       {nil, "statements:\n" + two},
		"empty":         {new(string), "statements:\n" + two},
		"comments":      {ptr("# ours\n"), "# ours\nstatements:\n" + two},
		"null":          {ptr("statements: # soon\n"), "statements: # soon\n" + two},
		"one":           {ptr(complete), complete + two},
		"at the margin": {ptr("statements:\n- {vulnerability: CVE-1-1, status: fixed, date: 2026-11-28} # why\n\n# the end"), "statements:\n- {vulnerability: CVE-1-1, status: fixed, date: 2026-11-28} # why\n\n# the end\n" + none},
		"a block":       {ptr("statements:\n  - vulnerability: CVE-1-1\n    status: fixed\n    date: 2026-11-28\n    notes: |\n      a\n\n      b\n\n"), "statements:\n  - vulnerability: CVE-1-1\n    status: fixed\n    date: 2026-11-28\n    notes: |\n      a\n\n      b\n" + two},
	} {
		got, err := addTo(t, test.before, added)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func ptr(text string) *string { return &text }

// TestAddChangesNothing adds statements to a file that is not valid, or would not be valid
// then.
func TestAddChangesNothing(t *testing.T) {
	with := func(key, value string) Entry {
		values := map[string]string{"vulnerability": "CVE-2026-9", "status": "fixed", "date": "2026-11-28"}
		values[key] = value
		return Entry{Values: values}
	}
	fixed := "statements:\n  - {vulnerability: CVE-2026-9, status: under_investigation, date: 2026-11-28}\n"
	for name, test := range map[string]struct {
		before *string
		entry  Entry
		want   string
	}{
		"a wrong file":     {ptr("statements: 1\n"), with("", ""), "apps/docs/vex.yaml:1: statements is not a list"},
		"expired":          {ptr("statements:\n  - {vulnerability: CVE-1-1, status: fixed, date: 2026-01-01, expires: 2026-02-01}\n"), with("", ""), "expired on 2026-02-01"},
		"brackets":         {ptr("statements: [{vulnerability: CVE-1-1, status: fixed, date: 2026-11-28}]\n"), with("", ""), "apps/docs/vex.yaml:1: statements is written in brackets"},
		"contradiction":    {&fixed, with("", ""), "apps/docs/vex.yaml:3: CVE-2026-9 is fixed here, and under_investigation in apps/docs/vex.yaml:2"},
		"no justification": {nil, with("status", "not_affected"), "CVE-2026-9 is not_affected without a justification"},
		"bad id":           {nil, with("vulnerability", "x\n  - y"), "is not the ID of a vulnerability"},
		"bad package":      {nil, with("package", "openssl"), "is not a package URL"},
		"a component":      {nil, Entry{Values: with("", "").Values, Lists: map[string][]string{"components": {"frontend"}}}, `is about the component "frontend", which the app does not have; use backend`},
	} {
		got, err := addTo(t, test.before, test.entry)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		if test.before != nil && got != *test.before {
			t.Errorf("%s: the file is now %q", name, got)
		}
	}
}

// FuzzAdd adds any text. It must be read as it was written.
func FuzzAdd(f *testing.F) {
	for _, text := range []string{"plain", "yes", "2026-11-28", "null", "~", "- a", "a: b", "#", "a\nb\n", "é 'x' \"y\"", "|", "0x1F", "[a]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, notes string) {
		item, err := insert("f", nil, Entry{Values: map[string]string{"vulnerability": "CVE-1-1", "status": "fixed", "date": "2026-11-28", "notes": notes}})
		if err != nil {
			return
		}
		all, err := Parse("f", item, time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
		if err == nil && all[0].Notes != strings.TrimSpace(notes) {
			t.Errorf("%q became %q:\n%s", notes, all[0].Notes, item)
		}
	})
}

// Several people, or jobs, add statements at once. None is lost.
func TestAddAtOnceLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "apps/docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	app := catalog.App{Name: "docs"}
	const most = 16
	var group sync.WaitGroup
	for n := range most {
		group.Go(func() {
			values := map[string]string{"vulnerability": fmt.Sprintf("CVE-2026-%d", 1000+n), "status": "fixed", "date": "2026-11-28"}
			if _, err := Add(dir, app, Entry{Values: values}, today); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if all, err := Load(dir, app, today); err != nil || len(all) != most {
		t.Errorf("%d of %d statements, %v", len(all), most, err)
	}
}
