package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/ui"
)

// findings is a report with all that a table can show.
func findings() *scan.Report {
	found := func(name, version string, by scan.By) scan.Found {
		return scan.Found{ID: name, Name: name, Version: version, Type: "go-module", PURL: "pkg:golang/" + name + "@" + version, By: by}
	}
	image := scan.Image{
		Name: "docs/backend/default", Root: "docs/backend", File: "apps/docs/default.nix", Platform: "linux/amd64", Components: 120,
		Document: &sbom.Document{},
		Findings: []scan.Finding{
			{Vulnerability: scan.Vulnerability{ID: "GHSA-aaaa-bbbb-cccc", Aliases: []string{"CVE-2026-1001"}, Severity: "critical", EPSS: 0.423, KEV: true, FixState: "fixed", FixedIn: []string{"0.40.0"}},
				Component: found("golang.org/x/net", "v0.39.0", scan.ByPackage), Way: []string{"docs/backend", "server", "golang.org/x/net"}},
			{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1002", Severity: "high", EPSS: 0.0004, FixState: "fixed", FixedIn: []string{"3.0.18", "3.5.2"}},
				Component: found("openssl", "3.0.17", scan.ByName), Way: []string{"docs/backend", "python3", "openssl"}},
			{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1003", Severity: "medium", FixState: "wont-fix"},
				Component: found("zlib", "1.3.1", scan.ByCPE), Way: []string{"docs/backend", "python3", "zlib"},
				Answer: &scan.Answer{Status: "under_investigation", Place: "apps/docs/vex.yaml:12", Says: "under_investigation"}},
			{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1004", Severity: "critical", FixState: "not-fixed"},
				Component: found("docs", "5.4.1", scan.ByCPE), Way: []string{"docs/backend", "docs"},
				Answer: &scan.Answer{Status: "fixed", Patch: "CVE-2026-1004.patch", Place: "patch CVE-2026-1004.patch of docs", Says: "fixed by CVE-2026-1004.patch"}},
			{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1005", Severity: "low"},
				Component: found("busybox", "1.36.1", scan.ByPackage), Way: []string{"docs/backend", "busybox"},
				Answer: &scan.Answer{Status: "not_affected", Place: "apps/docs/vex.yaml:3", Says: "not_affected (vulnerable_code_not_in_execute_path)"}},
		},
	}
	arm := image
	arm.Platform = "linux/arm64"
	published := scan.Image{Name: "registry.example/lasuite/docs-backend-lyon:5.4.1-1", Root: "registry.example/lasuite/docs-backend-lyon:5.4.1-1", Platform: "linux/amd64",
		Document: &sbom.Document{}, Findings: image.Findings[:1:1]}
	published.Findings = []scan.Finding{image.Findings[0]}
	published.Findings[0].Way = []string{published.Root, "server", "golang.org/x/net"}
	return &scan.Report{
		Database: scan.Database{Built: time.Now().Add(-25 * time.Hour), Schema: "6.1.10", From: "https://grype.anchore.io/databases"},
		Images:   []scan.Image{image, arm, published},
	}
}

func printed(t *testing.T, width int, o scanOptions, report *scan.Report) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s := &scanner{options: o, env: &env{UI: ui.New(ui.Options{
		Stdout: &stdout, Stderr: &stdout, StdoutTerminal: width > 0, StderrTerminal: width > 0, Size: func() (int, int) { return width, 24 },
	})}}
	if err := s.print(report); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(stdout.String(), report.Database.Built.Format(time.DateOnly), "YESTERDAY") + stderr.String()
}

// The table is as people see it in terminals of 80 and 120 columns, and in a pipe. No
// reference is cut.
func TestFindingsAsTables(t *testing.T) {
	for name, test := range map[string]struct {
		width int
		o     scanOptions
	}{
		"80": {80, scanOptions{format: "table"}}, "120": {120, scanOptions{format: "table"}}, "200": {200, scanOptions{format: "table"}},
		"pipe": {0, scanOptions{format: "table"}}, "markdown": {0, scanOptions{format: "markdown"}},
	} {
		got := printed(t, test.width, test.o, findings())
		golden(t, filepath.Join("testdata", "scan", name+".txt"), got)
		if test.width > 0 && strings.Contains(got, "…") {
			t.Errorf("%s: something is cut:\n%s", name, got)
		}
	}
}

// What could not be scanned is in every format: a report never looks whole that is not.
func TestReportsNameWhatWasNotScanned(t *testing.T) {
	const why = "not scanned: registry.example/docs:1: <b>signed</b> with another key"
	some := findings()
	some.Failed = []string{why}
	none := &scan.Report{Database: some.Database, Images: []scan.Image{}, Failed: some.Failed}
	shown := strings.ReplaceAll(why, "<b>", "")[:len("not scanned: registry.example")]
	for _, format := range []string{"table", "markdown", "sarif", "cyclonedx-vdr", "json"} {
		o := scanOptions{format: format}
		if format == "json" {
			o = scanOptions{format: "table", json: true}
		}
		for said, report := range map[string]*scan.Report{"; some images were not scanned": some, "nothing was scanned": none} {
			if format == "cyclonedx-vdr" && report == some {
				continue // the samples have no SBOM
			}
			got := printed(t, 0, o, report)
			if format != "table" && !strings.Contains(got, shown) {
				t.Errorf("%s does not say what was not scanned:\n%s", format, got)
			}
			if !strings.Contains(got, said) {
				t.Errorf("%s does not say %q:\n%s", format, said, got)
			}
			if strings.Contains(got, "0 vulnerabilities") {
				t.Errorf("%s says that nothing was found:\n%s", format, got)
			}
			if format == "markdown" && strings.Contains(got, "<b>") {
				t.Errorf("the Markdown has HTML:\n%s", got)
			}
			if format == "sarif" && !strings.Contains(got, `"executionSuccessful": false`) {
				t.Errorf("SARIF:\n%s", got)
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(name)
	if err == nil && string(want) == got {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Names, versions and statements are somebody's: none moves a cursor, and none is markup.
func TestHostileFindings(t *testing.T) {
	report := findings()
	for i, bad := range []string{"\x1b[2J\x1b]0;owned\a", "a|b\n| c", "<script>alert(1)</script>", "@org/team #1 https://evil.example [x](javascript:alert(1))", "\u202egnp.exe", "\x00\u200b\xff"} {
		f := report.Images[0].Findings[0]
		f.ID, f.Aliases, f.FixedIn, f.Severity = "GHSA-"+bad, nil, []string{bad}, scan.Severity("high"+bad)
		f.Component.Name, f.Component.Version, f.Way = bad, bad, []string{"docs/backend", bad}
		f.Answer = &scan.Answer{Status: "affected", Place: bad, Says: bad}
		if i%2 == 0 {
			f.Answer.Status = "fixed"
		}
		report.Images[0].Findings = append(report.Images[0].Findings, f)
	}
	for _, o := range []scanOptions{{format: "table"}, {format: "markdown"}, {format: "table", json: true}, {format: "sarif"}} {
		for _, width := range []int{0, 80} {
			got := printed(t, width, o, report)
			for _, harmful := range []string{"\x1b", "\u202e", "\x00", "\a"} {
				if strings.Contains(got, harmful) {
					t.Errorf("%s at %d: it has %q", o.format, width, harmful)
				}
			}
		}
	}
	got := printed(t, 0, scanOptions{format: "markdown"}, report)
	for _, markup := range []string{"<script", "[x](", "a|b", "@org", "#1"} {
		if strings.Contains(got, markup) {
			t.Errorf("Markdown has %q:\n%s", markup, got)
		}
	}
}
