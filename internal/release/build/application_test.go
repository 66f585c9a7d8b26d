package build

import (
	"slices"
	"strings"
	"testing"

	"github.com/anchore/packageurl-go"

	"github.com/libresh/libre/internal/catalog"
)

func TestApplicationIsNamedByItsSource(t *testing.T) {
	commit := strings.Repeat("a1", 20)
	for _, test := range []struct {
		name                  string
		source                *catalog.Source
		identifiers           catalog.Identifiers
		purl, module, release string
	}{
		{"Go module", &catalog.Source{Kind: "goModule", GoModule: "github.com/caddyserver/caddy/v2", Version: "v2.11.9", Page: "https://github.com/caddyserver/caddy/v2"}, catalog.Identifiers{},
			"pkg:golang/github.com/caddyserver/caddy/v2@v2.11.9", "github.com/caddyserver/caddy/v2", "v2.11.9"},
		{"tag on GitHub", &catalog.Source{Kind: "github", GitHub: "SuiteNumerique/Docs", Tag: "v5.4.1", Page: "https://github.com/SuiteNumerique/Docs"}, catalog.Identifiers{},
			"pkg:github/suitenumerique/docs@v5.4.1", "github.com/SuiteNumerique/Docs", "v5.4.1"},
		{"commit on GitHub", &catalog.Source{Kind: "github", GitHub: "a/b", Rev: commit, Page: "https://github.com/a/b"}, catalog.Identifiers{},
			"pkg:github/a/b@" + commit, "github.com/a/b", "v5.4.1"},
		{"odd tag", &catalog.Source{Kind: "github", GitHub: "a/b", Tag: "release/5.4.1 @x?y#z", Page: "https://github.com/a/b"}, catalog.Identifiers{},
			"pkg:github/a/b@release%2F5.4.1%20%40x%3Fy%23z", "github.com/a/b", "v5.4.1"},
		{"another server", &catalog.Source{Kind: "github", GitHub: "a/b", Tag: "v1", Page: "https://github.example/a/b"}, catalog.Identifiers{},
			"pkg:generic/docs@5.4.1?vcs_url=git%2Bhttps%3A%2F%2Fgithub.example%2Fa%2Fb%40v1", "github.example/a/b", "v5.4.1"},
		{"repository", &catalog.Source{Kind: "git", Git: "https://codeberg.org/a/b.git", Rev: commit, Tag: "v1", Page: "https://codeberg.org/a/b.git"}, catalog.Identifiers{},
			"pkg:generic/docs@5.4.1?vcs_url=git%2Bhttps%3A%2F%2Fcodeberg.org%2Fa%2Fb.git%40" + commit, "codeberg.org/a/b", "v5.4.1"},
		{"archive", &catalog.Source{Kind: "url", Page: "https://example.org/docs.tar.gz"}, catalog.Identifiers{},
			"pkg:generic/docs@5.4.1?download_url=https%3A%2F%2Fexample.org%2Fdocs.tar.gz", "example.org/docs.tar.gz", "v5.4.1"},
		{"folder", &catalog.Source{Kind: "path"}, catalog.Identifiers{}, "pkg:generic/docs@5.4.1", "", "v5.4.1"},
		{"no source", nil, catalog.Identifiers{}, "pkg:generic/docs@5.4.1", "", "v5.4.1"},
		{"its own name", &catalog.Source{Kind: "github", GitHub: "a/b", Tag: "v1", Page: "https://github.com/a/b"}, catalog.Identifiers{PURL: "pkg:npm/docs@5.4.1", CPE: "cpe:2.3:a:a:b:1:*:*:*:*:*:*:*"},
			"pkg:npm/docs@5.4.1", "github.com/a/b", "v5.4.1"},
	} {
		app := application(&catalog.Spec{App: "docs", Version: "5.4.1", Software: &catalog.Software{Source: test.source, Identifiers: test.identifiers}})
		if app.PURL != test.purl || app.Module != test.module || app.Release != test.release || (test.identifiers.CPE != "") != (len(app.CPEs) == 1) {
			t.Errorf("%s: %s, module %q %s, CPEs %q; expected %s, %q %s", test.name, app.PURL, app.Module, app.Release, app.CPEs, test.purl, test.module, test.release)
		}
		if _, err := packageurl.FromString(app.PURL); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// This is a spec from an older version of the catalogue's library.
	if app := application(&catalog.Spec{App: "docs", Version: "v1"}); app.PURL != "pkg:generic/docs@v1" || app.Release != "v1" {
		t.Errorf("without software: %+v", app)
	}
	for _, license := range []string{"MIT", "Apache 2", "", "MIT OR"} {
		if app := application(&catalog.Spec{Annotations: catalog.Annotations{License: license}}); (app.License == "MIT") != (license == "MIT") || license != "MIT" && app.License != "" {
			t.Errorf("%q becomes %q", license, app.License)
		}
	}
}

func TestPatchesOfADefinition(t *testing.T) {
	app := application(&catalog.Spec{Software: &catalog.Software{Patches: []catalog.SoftwarePatch{
		{Name: "a.patch", Hash: "sha256:" + strings.Repeat("0f", 32), Fixes: []string{"GO-2026-2", "CVE-2026-1", "GO-2026-2"}},
		{Name: "b.patch", Hash: "sha256-Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=", URL: "https://example.org/b.patch"},
		{Name: "c.patch", Hash: "sha512-AAAA"},
	}}})
	for i, want := range []string{"sha256:" + strings.Repeat("0f", 32), "sha256:" + strings.Repeat("0f", 32), "sha512-AAAA"} {
		if app.Patches[i].Hash != want {
			t.Errorf("patch %+v, expected %s", app.Patches[i], want)
		}
	}
	if !slices.Equal(app.Patches[0].Resolves, []string{"CVE-2026-1", "GO-2026-2"}) || app.Patches[1].Resolves != nil {
		t.Errorf("patches %+v", app.Patches)
	}
}

// IDs in the name of a patch are statements of the person who named it. IDs in its text are
// not.
func TestAdvisoriesInNames(t *testing.T) {
	for name, want := range map[string]string{
		"CVE-2026-1234.patch":                         "CVE-2026-1234",
		"cve-2026-1234_and-CVE-2025-99999.diff":       "CVE-2025-99999 CVE-2026-1234",
		"fix-GHSA-4xqx-pqpj-9fqw.patch":               "GHSA-4xqx-pqpj-9fqw",
		"ghsa-4XQX-pqpj-9fqw-and-CVE-2026-1234.patch": "CVE-2026-1234 GHSA-4xqx-pqpj-9fqw",
		"0001-CVE-2026-1234-CVE-2026-1234.patch":      "CVE-2026-1234",
		"CVE-26-1.patch":                              "",
		"fix.patch":                                   "",
		"GHSA-aaaa-bbbb-cccc.patch":                   "",
		"":                                            "",
	} {
		if got := strings.Join(advisories(name), " "); got != want {
			t.Errorf("%s: %q, expected %q", name, got, want)
		}
	}
}
