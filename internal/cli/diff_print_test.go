package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/compare"
	application "github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/ui"
)

// twoReleases compares releases of one component, in which a name is as given.
func twoReleases(name string, components ...string) *compare.Comparison {
	digest := func(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }
	from := &compare.Release{App: "docs", Variant: "default", Version: "5.4.0", PackageVersion: 2, Outline: json.RawMessage(`{"needs":{"postgres":{"version":">=15"}}}`), Images: map[string]*compare.Image{}}
	to := &compare.Release{App: "docs", Variant: "default", Version: "5.4.1", PackageVersion: 1, Outline: json.RawMessage(`{"needs":{"postgres":{"version":">=16"}}}`), Images: map[string]*compare.Image{},
		Migration: &application.Migration{Kind: "automatic", MinFrom: "5.0.0"}}
	for _, component := range components {
		from.Images[component] = &compare.Image{
			Platform: "linux/amd64", Digest: digest("a"), Config: &v1.Config{Entrypoint: []string{"/app/bin/serve"}, Env: []string{"DB_HOST=db"}},
			Layers:   []compare.Layer{{Digest: digest("1"), Size: 100 << 20}, {Digest: digest("2"), Size: 10 << 20, By: "/nix/store/" + strings.Repeat("a", 32) + "-docs-5.4.0"}},
			SBOM:     &sbom.Document{Components: []sbom.Component{{ID: "o", Name: "openssl", Version: "3.4.0", Type: "nix"}, {ID: "x", Name: name, Version: "1", Type: "python", License: sbom.License{Expression: "MIT"}}}},
			Findings: []scan.Finding{{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1001", Severity: "high"}, Component: scan.Found{Name: "openssl", Version: "3.4.0"}}},
		}
		to.Images[component] = &compare.Image{
			Platform: "linux/amd64", Digest: digest("b"), Config: &v1.Config{Entrypoint: []string{"/app/bin/serve", "--workers", "4", "--bind", "0.0.0.0:8000", "--access-log", "/dev/stdout", "--timeout", "120"}},
			Layers:   []compare.Layer{{Digest: digest("1"), Size: 100 << 20}, {Digest: digest("3"), Size: 12 << 20, By: "/nix/store/" + strings.Repeat("b", 32) + "-docs-5.4.1"}},
			SBOM:     &sbom.Document{Components: []sbom.Component{{ID: "o", Name: "openssl", Version: "3.4.1", Type: "nix"}, {ID: "x", Name: name, Version: "2", Type: "python", License: sbom.License{Expression: "GPL-3.0-only"}}}},
			Findings: []scan.Finding{{Vulnerability: scan.Vulnerability{ID: "CVE-2026-1002", Severity: "medium"}, Component: scan.Found{Name: name, Version: "2"}}},
		}
	}
	c := compare.Compare(from, to)
	c.Notes = []compare.Note{{Version: "5.4.1", Page: "https://example.org/releases/5.4.1", Text: "Fixes " + name}}
	return c
}

// printedDiff is what a user sees in a terminal of some width; 0 is a pipe.
func printedDiff(t *testing.T, width int, o diffOptions, c *compare.Comparison) string {
	t.Helper()
	var stdout bytes.Buffer
	options := ui.Options{
		Stdout: &stdout, Stderr: &stdout, StdoutTerminal: width > 0, StderrTerminal: width > 0, Size: func() (int, int) { return width, 24 },
	}
	d := &differ{options: o, env: &env{options: options, UI: ui.New(options)}}
	if err := d.print(c); err != nil {
		t.Fatal(err)
	}
	return stdout.String()
}

func TestPrintDiff(t *testing.T) {
	for file, test := range map[string]struct {
		width      int
		components []string
	}{"80.txt": {80, []string{"backend"}}, "120.txt": {120, []string{"backend", "frontend"}}, "pipe.txt": {0, []string{"backend"}}} {
		got := printedDiff(t, test.width, diffOptions{format: "table"}, twoReleases("django", test.components...))
		file = filepath.Join("testdata/diff", file)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// Names in SBOMs are somebody's: none moves a cursor, and none is markup.
func TestHostileDiff(t *testing.T) {
	for _, bad := range []string{"\x1b[2J\x1b]0;owned\a", "a|b\n| c", "<script>alert(1)</script>", "@org/team #1 [x](javascript:alert(1))", "\u202egnp.exe", "\x00\u200b\xff", "a\tb\rc"} {
		c := twoReleases(bad, "backend", bad)
		for _, o := range []diffOptions{{format: "table"}, {format: "markdown"}, {format: "table", json: true}} {
			for _, width := range []int{0, 80} {
				got := printedDiff(t, width, o, c)
				for _, harmful := range []string{"\x1b", "\u202e", "\x00", "\a", "\r"} {
					if strings.Contains(got, harmful) {
						t.Errorf("%q as %+v at %d: it has %q:\n%s", bad, o, width, harmful, got)
					}
				}
			}
		}
		rows := 0
		for line := range strings.SplitSeq(printedDiff(t, 0, diffOptions{format: "table"}, c), "\n") {
			if n := strings.Count(line, "\t"); n == 5 {
				rows++
			} else if n > 0 {
				t.Errorf("%q: a row has %d tabs: %q", bad, n, line)
			}
		}
		if rows < 15 {
			t.Errorf("%q: only %d rows", bad, rows)
		}
		got := printedDiff(t, 0, diffOptions{format: "markdown"}, c)
		for _, markup := range []string{"<script", "| a|b", "@org", "#1"} {
			if strings.Contains(got, markup) {
				t.Errorf("%q: Markdown has %q:\n%s", bad, markup, got)
			}
		}
	}
}

// Releases are compared on a platform that both have: this machine's before others, and
// --system's only, where it is given.
func TestDiffPlatform(t *testing.T) {
	const amd, arm = "linux/amd64", "linux/arm64"
	for _, test := range []struct {
		given, machine string
		first, second  []string
		want           string
	}{
		{"", "x86_64-linux", []string{amd, arm}, []string{amd, arm}, amd},
		{"", "aarch64-linux", []string{amd, arm}, []string{amd, arm}, arm},
		{"", "x86_64-linux", []string{amd, arm}, []string{arm}, arm},
		{"", "x86_64-linux", []string{arm}, []string{amd}, amd},
		{"", "x86_64-linux", nil, []string{arm}, arm},
		{"", "x86_64-linux", []string{arm}, nil, arm},
		{"", "x86_64-linux", nil, nil, amd},
		{"aarch64-linux", "aarch64-linux", []string{amd}, []string{amd}, arm},
	} {
		d := &differ{system: test.machine, options: diffOptions{system: test.given}}
		if got := d.platform(test.first, test.second); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
