package site

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/vex"
)

const registry = "registry.example/coop"

func digest(of ...any) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(fmt.Sprint(of...))))
}

var sampleDay = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func sampleDocument(app, variant, version string, packageVersion int) *describe.Application {
	reversible := false
	return &describe.Application{
		APIVersion: describe.APIVersion, Kind: describe.Kind, Metadata: describe.Metadata{Name: app},
		Spec: describe.Spec{
			Version: version, PackageVersion: packageVersion, Variant: variant, Registry: registry,
			Description: "Collaborative note taking, wiki and documentation", Homepage: "https://docs.example/", License: "MIT",
			Source: "https://forge.example/suite/docs", Revision: "v" + version, Changelog: "https://forge.example/suite/docs/CHANGELOG.md",
			Components: map[string]describe.Component{
				"backend": {
					Description: "The API", Ports: map[string]describe.Port{"http": {Port: 8000, Protocol: "tcp", Access: "internal"}},
					Health: &describe.Health{Path: "/health"}, Services: map[string]describe.Service{"api": {Ports: []string{"http"}}},
				},
				"frontend": {Ports: map[string]describe.Port{"http": {Port: 8080, Protocol: "tcp", Access: "public"}}, License: "MIT AND OFL-1.1"},
			},
			Needs: map[string]describe.Need{
				"db":    {Kind: "postgres", Version: ">=14", Extensions: []string{"unaccent"}},
				"media": {Kind: "bucket", Optional: true, Description: "Uploaded files"},
			},
			Config:    map[string]describe.Setting{"LANG": {Description: "Language of mails", Type: "string", Default: "en"}, "SITE": {Description: "Name of the site", Type: "string", Required: true}},
			Migration: &describe.Migration{Kind: "automatic", MinFrom: "4.0", Reversible: &reversible},
		},
	}
}

func sampleSBOM(name, tag, manifest string, components ...sbom.Component) *sbom.Document {
	index, _ := v1.NewHash(digest(name, tag))
	hash, _ := v1.NewHash(manifest)
	return &sbom.Document{
		Subject: sbom.Subject{Name: name, Version: tag, Index: index, Manifest: hash, Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Created: sampleDay},
		Tools:   []sbom.Tool{{Name: "libre", Version: "1"}}, Components: components,
	}
}

func samplePlatform(name, tag, platform string) Platform {
	manifest := digest(name, tag, platform)
	var components []sbom.Component
	for i, n := range []string{"openssl", "python3", "django", "glibc", "zlib"} {
		components = append(components, sbom.Component{
			ID: fmt.Sprint(n, i), Name: n, Version: fmt.Sprintf("%d.%d", i+1, i), Type: []string{"nix", "python"}[i%2],
			License: sbom.License{Expression: []string{"Apache-2.0", "PSF-2.0", "BSD-3-Clause", "", "Zlib"}[i]},
		})
	}
	return Platform{Name: platform, Digest: manifest, Size: 48_123_456, Created: sampleDay, SBOM: sampleSBOM(name, tag, manifest, components...), Findings: sampleFindings()}
}

func sampleFindings() []scan.Finding {
	finding := func(id string, severity scan.Severity, component string, answer *scan.Answer) scan.Finding {
		return scan.Finding{
			Vulnerability: scan.Vulnerability{ID: id, Severity: severity, URL: "https://osv.example/" + id, FixedIn: []string{"9.9"}, KEV: severity == "critical"},
			Component:     scan.Found{Name: component, Version: "1.0"}, Way: []string{"docs/backend", component}, Answer: answer,
		}
	}
	return []scan.Finding{
		finding("CVE-2026-1001", "critical", "openssl", nil),
		finding("CVE-2026-1002", "high", "python3", &scan.Answer{Status: vex.NotAffected, Justification: "vulnerable_code_not_in_execute_path", Notes: "It reads no such files."}),
		finding("CVE-2026-1003", "medium", "django", &scan.Answer{Status: vex.Fixed, Patch: "fix.patch"}),
		finding("CVE-2026-1004", "low", "zlib", nil),
	}
}

func sampleRelease(app, variant, version string, packageVersion int) Release {
	tag := fmt.Sprintf("%s-%d", version, packageVersion)
	r := Release{
		Variant: variant, Tag: tag, Reference: registry + "/" + app + "-" + variant + ":" + tag, Digest: digest(app, variant, tag), Verified: true,
		Date: sampleDay.AddDate(0, 0, packageVersion), Document: sampleDocument(app, variant, version, packageVersion),
	}
	for _, component := range []string{"backend", "frontend"} {
		name := app + "-" + component + "-" + variant
		image := Image{Component: component, Reference: registry + "/" + name + ":" + tag, Digest: digest(name, tag), Verified: true}
		image.Cosign = "cosign verify --key cosign.pub --insecure-ignore-tlog=true " + registry + "/" + name + "@" + image.Digest
		for _, platform := range []string{"linux/amd64", "linux/arm64"} {
			image.Platforms = append(image.Platforms, samplePlatform(name, tag, platform))
		}
		r.Images = append(r.Images, image)
	}
	return r
}

// compared is what changed between two releases of the sample.
func compared(from, to *Release) *compare.Comparison {
	side := func(r *Release) *compare.Release {
		return &compare.Release{
			Name: r.Reference, App: r.Document.Metadata.Name, Variant: r.Variant, Version: r.Document.Spec.Version, PackageVersion: r.Document.Spec.PackageVersion,
			Application: r.Document, Migration: r.Document.Spec.Migration,
			Images: map[string]*compare.Image{"backend": {
				Platform: "linux/amd64", Digest: r.Images[0].Platforms[0].Digest, Config: &v1.Config{User: r.Tag}, Layers: []compare.Layer{{Digest: r.Digest, Size: 12_000_000}},
				SBOM: r.Images[0].Platforms[0].SBOM, Findings: r.Images[0].Platforms[0].Findings,
			}},
		}
	}
	c := compare.Compare(side(from), side(to))
	c.Notes = []compare.Note{{Version: to.Document.Spec.Version, Page: "https://forge.example/notes", Text: "## Fixed\n\n- *Much* is better now\n"}}
	return c
}

// sample has what pages can show: releases in two versions and variants, one that does not
// verify, an image that does not, an app that is not published.
func sample() (Catalogue, []*App) {
	newer, older := sampleRelease("docs", "default", "5.4.1", 2), sampleRelease("docs", "default", "5.4.0", 1)
	older.Images[0].Platforms[0].SBOM.Components = older.Images[0].Platforms[0].SBOM.Components[1:]
	older.Images[0].Platforms[0].Findings = older.Images[0].Platforms[0].Findings[1:]
	newer.Changes = compared(&older, &newer)
	lyon := sampleRelease("docs", "lyon", "5.4.1", 1)
	lyon.Images[1] = Image{Component: "frontend", Reference: lyon.Images[1].Reference, Digest: lyon.Images[1].Digest}
	broken := Release{Variant: "lyon", Tag: "5.4.0-1", Reference: registry + "/docs-lyon:5.4.0-1", Digest: digest("broken")}
	catalogue := Catalogue{
		Registry: registry, Key: []byte("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"), Signer: "--key cosign.pub",
		Database: &scan.Database{Built: sampleDay, Schema: "6.1.0", From: "https://databases.example"},
	}
	return catalogue, []*App{
		{Name: "docs", Document: newer.Document, Releases: []Release{newer, older, lyon, broken}},
		{Name: "notes", Document: sampleDocument("notes", "default", "1.0", 1)},
	}
}

// written writes a site into memory.
func written(t testing.TB, catalogue Catalogue, apps ...*App) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var mu sync.Mutex
	w, err := NewWriter(catalogue, func(name string, content []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := files[name]; twice {
			t.Errorf("%s is written twice", name)
		}
		files[name] = content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range apps {
		if err := w.Add(app); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return files
}
