package vex

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

const (
	netPURL = "pkg:golang/golang.org/x/net@v0.38.0"
	appPURL = "pkg:github/suitenumerique/docs@v5.4.1"
	libPURL = "pkg:nix/openssl@3.0.1"
)

// docs returns an image of an app with a patched source, whose store path has Go modules, and a
// library that nixpkgs patched.
func docs(more ...sbom.Component) Image {
	ours := []sbom.Patch{{Name: "CVE-2026-7.patch", Hash: "sha256:77", Resolves: []string{"CVE-2026-7", "GHSA-a-b"}}}
	document := &sbom.Document{Subject: subject, Creator: "security@example.org", Components: append([]sbom.Component{
		{ID: "/nix/store/h-docs", Name: "docs", PURL: "pkg:nix/docs@5.4.1", Patches: ours},
		{ID: "/nix/store/h-docs#" + netPURL, Name: "golang.org/x/net", PURL: netPURL},
		{ID: "/nix/store/h-openssl", Name: "openssl", PURL: libPURL, Patches: []sbom.Patch{{Name: "CVE-2025-9.patch", Hash: "sha256:99", Resolves: []string{"CVE-2025-9", "not an id"}}}},
		{ID: "/nix/store/h-root", Name: "root"},
		{ID: appPURL, Name: "docs", PURL: appPURL, Patches: ours},
	}, more...)}
	return Image{ID: catalog.ID{App: "docs", Component: "backend", Variant: "default"}, Version: "5.4.1", SBOM: document}
}

var subject = sbom.Subject{
	Name: "docs-backend-default", Version: "5.4.1-1", Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
	Index:    v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)},
	Manifest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("2", 64)},
	Created:  time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
}

func stated(t *testing.T, lines ...string) []Statement {
	t.Helper()
	text := "statements:\n"
	for _, line := range lines {
		text += "  - {date: 2026-11-28, " + line + "}\n"
	}
	all, err := Parse("vex.yaml", []byte(text), today)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnswer(t *testing.T) {
	answers, err := For(docs(), stated(t,
		"vulnerability: CVE-2026-1, status: under_investigation",
		"vulnerability: CVE-2026-2, aliases: [GHSA-2-2], status: not_affected, justification: component_not_present, package: pkg:golang/golang.org/x/net",
		"vulnerability: CVE-2026-3, status: under_investigation, package: pkg:golang/golang.org/x/net@v0.38.0",
		"vulnerability: CVE-2026-4, status: under_investigation, variants: [lyon]",
		"vulnerability: CVE-2026-5, status: under_investigation, package: pkg:golang/golang.org/x/text",
		"vulnerability: CVE-2026-6, status: under_investigation, versions: <5.4",
	))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ ids, purl, want string }{
		{"CVE-2026-1", netPURL, "under_investigation"},
		{"CVE-2026-1", "", "under_investigation"}, // about the whole image
		{"CVE-2026-2", netPURL, "not_affected (component_not_present)"},
		{"GHSA-2-2", netPURL, "not_affected (component_not_present)"},
		{"GO-2026-2 GHSA-2-2", netPURL, "not_affected (component_not_present)"},
		{"CVE-2026-2", libPURL, ""}, // another package
		{"CVE-2026-2", "", ""},
		{"CVE-2026-3", netPURL, "under_investigation"},
		{"CVE-2026-4", netPURL, ""}, // another variant
		{"CVE-2026-5", netPURL, ""},
		{"CVE-2026-6", netPURL, ""}, // another version
		{"CVE-2026-7", appPURL, "fixed by CVE-2026-7.patch"},
		{"CVE-2026-7", "pkg:nix/docs@5.4.1", "fixed by CVE-2026-7.patch"},
		{"CVE-2026-7", netPURL, "fixed by CVE-2026-7.patch"}, // vendored in the patched source
		{"GHSA-a-b", netPURL, "fixed by CVE-2026-7.patch"},
		{"CVE-2026-7", libPURL, ""}, // not patched
		{"CVE-2026-7", "", ""},
		{"CVE-2025-9", libPURL, "fixed by CVE-2025-9.patch"},
		{"CVE-2025-9", netPURL, ""},
		{"not an id", libPURL, ""},
	} {
		s, ok := answers.Answer(strings.Fields(test.ids), test.purl)
		got := ""
		if ok {
			got = s.String()
		}
		if got != test.want {
			t.Errorf("%s in %s: %q, want %q", test.ids, test.purl, got, test.want)
		}
	}
	if len(answers.Absent) != 1 || answers.Absent[0].Vulnerability != "CVE-2026-5" {
		t.Errorf("absent: %v", answers.Absent)
	}
	s, _ := answers.Answer([]string{"CVE-2026-7"}, appPURL)
	if s.Patch.Hash != "sha256:77" || !s.Date.Equal(subject.Created) || s.Place != "patch CVE-2026-7.patch of docs" {
		t.Errorf("%+v", s)
	}
}

// TestUnpatchedTwin has a package both in the patched store path and in another, unpatched one.
// No statement may hide findings in the unpatched one.
func TestUnpatchedTwin(t *testing.T) {
	image := docs(sbom.Component{ID: "/nix/store/h-tool#" + netPURL, PURL: netPURL})
	for n := range image.SBOM.Components {
		for i := range image.SBOM.Components[n].Patches {
			image.SBOM.Components[n].Patches[i].Name = "" // as in a document that does not name patches
		}
	}
	answers, err := For(image, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := answers.Answer([]string{"CVE-2026-7"}, netPURL); ok {
		t.Errorf("answered by %+v", s)
	}
	if _, ok := answers.Answer([]string{"CVE-2026-7"}, appPURL); !ok {
		t.Error("the app itself is not answered")
	}
	if strings.Join(answers.Shared, " ") != netPURL {
		t.Errorf("shared: %v", answers.Shared)
	}
}

func TestContradictions(t *testing.T) {
	for _, test := range []struct{ first, second, want string }{
		{"vulnerability: CVE-2026-7, status: under_investigation", "",
			"docs/backend/default: vex.yaml:2: CVE-2026-7 is under_investigation here, and fixed by CVE-2026-7.patch in patch CVE-2026-7.patch of docs"},
		{"vulnerability: CVE-2025-9, status: affected, action: Wait., package: pkg:nix/openssl", "",
			"vex.yaml:2: CVE-2025-9 is affected here, and fixed by CVE-2025-9.patch"},
		{"vulnerability: CVE-2026-1, status: fixed, versions: <6.0", "vulnerability: CVE-2026-1, status: under_investigation, versions: '>=5.0'",
			"vex.yaml:3: CVE-2026-1 is under_investigation here, and fixed in vex.yaml:2"},
		{"vulnerability: CVE-2026-1, status: fixed, versions: <5.4.1", "vulnerability: CVE-2026-1, status: under_investigation, versions: '>=5.4.1'", ""},
		{"vulnerability: CVE-2025-9, status: under_investigation, package: pkg:golang/golang.org/x/net", "", ""},
		{"vulnerability: CVE-2026-7, status: fixed", "", ""},
	} {
		lines := []string{test.first}
		if test.second != "" {
			lines = append(lines, test.second)
		}
		_, err := For(docs(), stated(t, lines...))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s and %s: %v, want %q", test.first, test.second, err, test.want)
		}
	}
}

// TestDefinitionSaysWhatItsPatchesFix uses an image whose SBOM was attested before the
// definition changed.
func TestDefinitionSaysWhatItsPatchesFix(t *testing.T) {
	for _, test := range []struct {
		changes []catalog.SourceChange
		want    string // IDs that are fixed in the app
	}{
		{nil, "CVE-2026-7"},
		{[]catalog.SourceChange{{Patch: "apps/docs/patches/CVE-2026-7.patch", Fixes: []string{"CVE-2026-8"}}}, "CVE-2026-8"},
		{[]catalog.SourceChange{{File: "a"}, {Patch: "https://example.org/CVE-2026-7.patch"}}, ""}, // it was withdrawn
		{[]catalog.SourceChange{{Patch: "CVE-2026-7.patch"}, {Patch: "new.patch"}}, "CVE-2026-7"},  // another image
	} {
		image := docs()
		image.Changes = test.changes
		answers, err := For(image, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, id := range []string{"CVE-2026-7", "CVE-2026-8"} {
			if _, ok := answers.Answer([]string{id}, appPURL); ok {
				got += id
			}
		}
		if got != test.want {
			t.Errorf("%v: %q, want %q", test.changes, got, test.want)
		}
	}
}
