package vex

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
)

var today = time.Date(2026, 11, 28, 23, 59, 59, 0, time.UTC)

const complete = `# What we know of vulnerabilities.
statements:
  - vulnerability: CVE-2026-1234
    aliases: [GHSA-jfh8-c2jp-5v3q]
    status: not_affected
    justification: vulnerable_code_not_in_execute_path
    notes: The parser only reads our own files.
    package: pkg:golang/golang.org/x/net
    components: [backend]
    variants: [lyon]
    versions: ">=5.4.0, <5.4.2"
    date: 2026-11-27
    expires: 2026-11-28
  - {vulnerability: CVE-2026-2, status: affected, action: Update to 5.4.2., date: 2026-11-28}
  - {vulnerability: CVE-2026-3, status: under_investigation, date: 2026-11-28}
  - {vulnerability: CVE-2026-4, status: fixed, date: 2026-11-28}
`

func TestParse(t *testing.T) {
	all, err := Parse("apps/docs/vex.yaml", []byte(complete), today)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d statements: %v", len(all), err)
	}
	s := all[0]
	for _, want := range []struct{ got, want string }{
		{s.Vulnerability, "CVE-2026-1234"}, {strings.Join(s.Aliases, " "), "GHSA-jfh8-c2jp-5v3q"},
		{string(s.Status), "not_affected"}, {s.Justification, "vulnerable_code_not_in_execute_path"},
		{s.Notes, "The parser only reads our own files."}, {s.Package, "pkg:golang/golang.org/x/net"},
		{s.Date.Format(time.DateOnly), "2026-11-27"}, {s.Expires.Format(time.DateOnly), "2026-11-28"},
		{s.Place, "apps/docs/vex.yaml:3"}, {all[3].Place, "apps/docs/vex.yaml:16"},
		{s.String(), "not_affected (vulnerable_code_not_in_execute_path)"}, {all[1].Action, "Update to 5.4.2."},
	} {
		if want.got != want.want {
			t.Errorf("%q, want %q", want.got, want.want)
		}
	}
	for _, about := range []struct {
		id      catalog.ID
		version string
		want    bool
	}{
		{catalog.ID{App: "docs", Component: "backend", Variant: "lyon"}, "5.4.1", true},
		{catalog.ID{App: "docs", Component: "backend", Variant: "lyon"}, "5.4.2", false},
		{catalog.ID{App: "docs", Component: "backend", Variant: "default"}, "5.4.1", false},
		{catalog.ID{App: "docs", Component: "frontend", Variant: "lyon"}, "5.4.1", false},
	} {
		if got := s.isAbout(about.id, about.version); got != about.want {
			t.Errorf("about %s in %s: %t, want %t", about.id, about.version, got, about.want)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "statements:\n", "statements: []\n", "---\n"} {
		if all, err := Parse("vex.yaml", []byte(empty), today); err != nil || len(all) != 0 {
			t.Errorf("%q: %v, %v", empty, all, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	statement := func(lines ...string) string {
		return "statements:\n  - vulnerability: CVE-2026-1234\n    date: 2026-11-28\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for name, test := range map[string]struct{ text, want string }{
		"syntax":              {"statements: [\n", "f:2: invalid YAML: did not find expected node content"},
		"tab":                 {"statements:\n\t- a\n", "f:2: invalid YAML: found character that cannot start any token"},
		"Latin-1":             {"statements:\n# caf\xe9\n", "f:2: the line is not UTF-8; save the file as UTF-8"},
		"two documents":       {"statements: []\n---\nstatements: []\n", "f:2: a second YAML document starts here"},
		"a list":              {"- vulnerability: CVE-2026-1\n", "f:1: expected a mapping with statements; write statements: and below it a list"},
		"another root":        {"statement: []\n", `f:1: unknown key "statement", expected statements`},
		"a mapping":           {"statements: {a: b}\n", "f:1: statements is not a list"},
		"a text":              {"statements:\n  - CVE-2026-1234\n", "f:2: a statement is not a mapping"},
		"unknown key":         {statement("status: fixed", "reason: x"), `f:5: unknown key "reason"; use vulnerability, aliases, status, `},
		"key twice":           {statement("status: fixed", "status: affected"), `f:5: "status" is set twice, first in line 4; remove line 5`},
		"no vulnerability":    {"statements:\n  - status: fixed\n", "f:2: a statement has no vulnerability"},
		"no status":           {statement(), "f:2: the statement about CVE-2026-1234 has no status; set status to not_affected, affected, under_investigation or fixed"},
		"no date":             {"statements:\n  - {vulnerability: CVE-2026-1, status: fixed}\n", "f:2: the statement about CVE-2026-1 has no date"},
		"bad id":              {"statements:\n  - vulnerability: \"CVE 2026; rm\"\n", `f:2: vulnerability: "CVE 2026; rm" is not the ID of a vulnerability`},
		"lower case":          {"statements:\n  - vulnerability: cve-2026-1\n", `f:2: vulnerability: "cve-2026-1" is not the ID`},
		"long id":             {"statements:\n  - vulnerability: CVE-" + strings.Repeat("1", 99) + "\n", "is not the ID of a vulnerability"},
		"bad alias":           {statement("aliases: [CVE-1, '-']"), `f:4: aliases: "-" is not the ID`},
		"alias of itself":     {statement("status: fixed", "aliases: [CVE-2026-1234]"), "f:2: CVE-2026-1234 is an alias of itself"},
		"aliases no list":     {statement("aliases: GHSA-a-b-c"), "f:4: aliases: expected a list; for example: aliases: [GHSA-jfh8-c2jp-5v3q]"},
		"unknown status":      {statement("status: ignored"), `f:4: status: "ignored", expected not_affected, affected, under_investigation or fixed`},
		"no justification":    {statement("status: not_affected"), "f:2: CVE-2026-1234 is not_affected without a justification; set justification to component_not_present, "},
		"own justification":   {statement("status: not_affected", "justification: we do not care"), `f:5: justification: "we do not care", expected component_not_present`},
		"justified fix":       {statement("status: fixed", "justification: component_not_present"), "f:2: CVE-2026-1234 is fixed, but has a justification"},
		"no action":           {statement("status: affected"), "f:2: CVE-2026-1234 is affected without an action"},
		"action":              {statement("status: fixed", "action: none"), "f:2: CVE-2026-1234 is fixed, but has an action; rename action to notes"},
		"bad package":         {statement("status: fixed", "package: openssl"), `f:5: package: "openssl" is not a package URL; for example: package: pkg:golang/golang.org/x/net`},
		"bad versions":        {statement("status: fixed", "versions: newest please"), `f:5: versions: "newest please" is not a version range`},
		"bad day":             {statement("status: fixed", "expires: tomorrow"), `f:5: expires: "tomorrow" is not a date`},
		"no such day":         {statement("status: fixed", "expires: 2027-02-30"), `f:5: expires: "2027-02-30" is not a date`},
		"expires before":      {statement("status: fixed", "expires: 2026-11-01"), "f:2: the statement about CVE-2026-1234 expires before its date"},
		"empty":               {statement("status: ''"), "f:4: status: it is empty"},
		"null":                {statement("status: fixed", "notes:"), "f:5: notes: it is empty"},
		"control":             {statement("status: fixed", `notes: "\x1b[2J"`), "f:5: notes: it has a control character"},
		"anchor":              {statement("status: &a fixed", "notes: *a"), "f:5: notes: expected a text"},
		"merge":               {statement("<<: {status: fixed}"), `f:4: unknown key "<<"`},
		"expired":             {"statements:\n  - {vulnerability: CVE-2026-1, status: fixed, date: 2026-11-01, expires: 2026-11-27}\n", "f:2: the statement about CVE-2026-1 expired on 2026-11-27; check whether it still holds"},
		"the future":          {"statements:\n  - vulnerability: CVE-2026-1\n    status: fixed\n    date: 2026-11-30\n", "f:2: the date of the statement about CVE-2026-1, 2026-11-30, is in the future; set the day on which it was made"},
		"another year":        {statement("status: fixed") + "  - {vulnerability: CVE-2026-2, status: fixed, date: 2062-11-28}\n", "f:5: the date of the statement about CVE-2026-2, 2062-11-28, is in the future"},
		"a future end":        {"statements:\n  - {vulnerability: CVE-2026-1, status: affected, action: Wait., date: 2027-01-01, expires: 2027-06-30}\n", "f:2: the date of the statement about CVE-2026-1, 2027-01-01, is in the future"},
		"contradiction":       {statement("status: fixed") + "  - {vulnerability: CVE-2026-1234, status: under_investigation, date: 2026-11-28}\n", "f:5: CVE-2026-1234 is under_investigation here, and fixed in f:2; remove one, or limit them"},
		"contradicting alias": {statement("status: fixed", "aliases: [GHSA-a-b]") + "  - {vulnerability: GHSA-a-b, status: under_investigation, date: 2026-11-28}\n", "f:6: GHSA-a-b is under_investigation here, and fixed in f:2"},
		"contradicting package": {statement("status: fixed", "package: pkg:golang/a/b") +
			"  - {vulnerability: CVE-2026-1234, status: under_investigation, date: 2026-11-28, package: pkg:golang/a/b@v1}\n", "f:6: CVE-2026-1234 is under_investigation here"},
	} {
		_, err := Parse("f", []byte(test.text), today)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// TestParseTakesTomorrow accepts tomorrow's date, because another machine's clock or time zone
// may be ahead.
func TestParseTakesTomorrow(t *testing.T) {
	const text = "statements:\n  - {vulnerability: CVE-2026-1, status: fixed, date: 2026-11-29}\n"
	for _, now := range []time.Time{today, today.Truncate(24 * time.Hour)} {
		if _, err := Parse("f", []byte(text), now); err != nil {
			t.Errorf("at %s: %v", now, err)
		}
	}
}

// TestParseSaysAllProblems checks that all problems are reported at once.
func TestParseSaysAllProblems(t *testing.T) {
	_, err := Parse("f", []byte("statements:\n  - {vulnerability: x}\n  - {status: x}\n  - {color: red}\n"), today)
	if err == nil || strings.Count(err.Error(), "\n") < 2 {
		t.Errorf("%v, want three lines", err)
	}
}

// TestNoContradiction has statements about different images or packages.
func TestNoContradiction(t *testing.T) {
	for _, limits := range [][2]string{
		{"components: [backend]", "components: [frontend]"},
		{"variants: [lyon]", "variants: [default, paris]"},
		{"package: pkg:golang/a/b", "package: pkg:golang/a/c"},
		{"package: pkg:golang/a/b@v1", "package: pkg:golang/a/b@v2"},
		{"versions: <1.0", "versions: '>=1.0'"},
	} {
		text := "statements:\n  - {vulnerability: CVE-2026-1, status: fixed, date: 2026-11-28, " + limits[0] + "}\n" +
			"  - {vulnerability: CVE-2026-1, status: under_investigation, date: 2026-11-28, " + limits[1] + "}\n"
		if all, err := Parse("f", []byte(text), today); err != nil || len(all) != 2 {
			t.Errorf("%v: %v", limits, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	app := catalog.App{Name: "docs", Components: map[string]catalog.Component{"backend": {}}, Variants: []string{"default", "debug"}}
	if all, err := Load(dir, app, today); err != nil || len(all) != 0 {
		t.Fatalf("without a file: %v, %v", all, err)
	}
	file := filepath.Join(dir, "apps/docs/vex.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(complete), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir, app, today)
	if want := `apps/docs/vex.yaml:3: the statement about CVE-2026-1234 is about the variant "lyon", which the app does not have; use default or debug`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	app.Variants = append(app.Variants, "lyon")
	if all, err := Load(dir, app, today); err != nil || len(all) != 4 {
		t.Errorf("%v, %v", all, err)
	}
	app.Version = "5.4.1"
	app.VariantChanges = map[string][]catalog.SourceChange{"lyon": {{Patch: "apps/docs/patches/a.patch", Fixes: []string{"CVE-2026-2", "CVE-2026-4", "CVE-2026-1234"}}}}
	_, err = Load(dir, app, today)
	if want := "apps/docs/vex.yaml:14: CVE-2026-2 is affected here, and fixed by a.patch in the definition of docs/lyon; remove one, or limit them to different packages, components, variants or versions"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	app.VariantChanges = nil
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", file); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, app, today); err == nil || err.Error() != "apps/docs/vex.yaml: it is a link, expected a file" {
		t.Errorf("a link: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(complete)
	f.Add("statements:\n  - &a {vulnerability: CVE-1, x: *a}\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Parse("f", []byte(text), today)
		for _, s := range all {
			if what, _ := s.lacks(); err == nil && (what != "" || CheckID(s.Vulnerability) != nil) {
				t.Errorf("%+v: %s", s, what)
			}
		}
	})
}
