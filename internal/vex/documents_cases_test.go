package vex

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

// TestWithdrawnStatements keeps withdrawn statements in the documents as under investigation.
// They hide no finding.
func TestWithdrawnStatements(t *testing.T) {
	first, _ := documents(t, published(t, everything...), 1)
	former, err := ReadOpenVEX(first)
	if err != nil {
		t.Fatal(err)
	}
	p := published(t, everything[1:]...)
	for n := range p.Platforms {
		p.Platforms[n].SBOM.Components[0].Patches = nil
		p.Platforms[n].SBOM.Components[4].Patches = nil
		if p.Platforms[n].Answers, err = For(Image{ID: docs().ID, Version: "5.4.1", SBOM: p.Platforms[n].SBOM}, stated(t, everything[1:]...)); err != nil {
			t.Fatal(err)
		}
	}
	p.Former = former
	second, _ := documents(t, p, 2)
	read, err := ReadOpenVEX(second)
	if err != nil {
		t.Fatal(err)
	}
	answers := read.Answers(p.Name, subject.Manifest.String())
	for id, want := range map[string]Status{"CVE-2026-7": UnderInvestigation, "CVE-2026-1": UnderInvestigation, "CVE-2026-2": NotAffected, "CVE-2026-3": ""} {
		if s, _ := answers.Answer([]string{id}, netPURL); s.Status != want {
			t.Errorf("%s is %q, want %q", id, s.Status, want)
		}
	}
	// The next document has the same words.
	p.Former = read
	if third, _ := documents(t, p, 2); !bytes.Equal(third, second) {
		t.Errorf("the same statements gave other bytes: %s", cmp.Diff(string(second), string(third)))
	}
	// A statement that is made again has its former status.
	p = published(t, everything...)
	p.Former = read
	if again, _ := documents(t, p, 1); !bytes.Equal(again, first) {
		t.Errorf("made again: %s", cmp.Diff(string(first), string(again)))
	}
}

// TestAbsentPackages has statements about absent packages. The documents contain them
// unchanged, and they answer no finding.
func TestAbsentPackages(t *testing.T) {
	p := published(t, "vulnerability: CVE-2026-8, status: fixed, package: pkg:golang/absent")
	for n := range p.Platforms {
		image := Image{ID: docs().ID, Version: "5.4.1", SBOM: p.Platforms[n].SBOM, Changes: []catalog.SourceChange{{Patch: "late.patch", Fixes: []string{"CVE-2026-6"}}}}
		var err error
		if p.Platforms[n].Answers, err = For(image, stated(t, "vulnerability: CVE-2026-8, status: fixed, package: pkg:golang/absent")); err != nil {
			t.Fatal(err)
		}
		if len(p.Platforms[n].Answers.Absent) != 2 {
			t.Errorf("absent: %v", p.Platforms[n].Answers.Absent)
		}
	}
	openVEX, _ := documents(t, p, 1)
	document, err := openvex.Parse(openVEX)
	if err != nil {
		t.Fatal(err)
	}
	product := p.ociPURL(p.Index)
	for id, absent := range map[string]string{"CVE-2026-8": "pkg:golang/absent@1", "CVE-2026-6": "pkg:generic/docs@5.4.1"} {
		if len(document.Matches(id, product, []string{absent})) != 1 {
			t.Errorf("nothing is said of %s in %s", id, absent)
		}
		for _, c := range p.Platforms[0].SBOM.Components {
			if c.PURL != "" && len(document.Matches(id, product, []string{c.PURL})) != 0 {
				t.Errorf("%s is answered in %s", id, c.PURL)
			}
		}
	}
}

// TestUnpatchedBuildOfTheSameVersion has a component whose package URL differs from a patched
// one only in its qualifiers. Statements about the patched one must not match it.
func TestUnpatchedBuildOfTheSameVersion(t *testing.T) {
	const patched, other = "pkg:nix/openssl@3.0.1?outputhash=a", "pkg:nix/openssl@3.0.1?outputhash=b"
	for _, has := range []struct {
		other string
		plain bool // whether the package URL without qualifiers is matched
	}{{"pkg:nix/openssl@3.0.2?outputhash=b", true}, {other, false}, {"pkg:nix/openssl@3.0.1", false}} {
		image := docs(sbom.Component{ID: "/nix/store/b-openssl", Name: "openssl", PURL: has.other})
		image.SBOM.Components[2].PURL = patched
		answers, err := For(image, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := &Published{Name: "docs", Tag: "1", Index: subject.Index, Platforms: []Platform{{image.SBOM, answers}}}
		openVEX, _ := documents(t, p, 1)
		document, err := openvex.Parse(openVEX)
		if err != nil {
			t.Fatal(err)
		}
		for _, digest := range []v1.Hash{subject.Index, subject.Manifest} {
			for purl, want := range map[string]bool{patched: true, "pkg:nix/openssl@3.0.1": has.plain, has.other: false} {
				if got := len(document.Matches("CVE-2025-9", p.ociPURL(digest), []string{purl})) == 1; got != want {
					t.Errorf("beside %s, %s is answered: %t, want %t", has.other, purl, got, want)
				}
			}
		}
	}
}

// The documents of an image with 20,000 components have only the components of its hundred
// statements.
func TestLargeImage(t *testing.T) {
	p := published(t)
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("vulnerability: CVE-2026-%d, status: fixed, package: pkg:npm/p%d", 1000+i, i))
	}
	for i := range 20_000 {
		purl := fmt.Sprintf("pkg:npm/p%d@1.0.0?x=%d", i/2, i)
		p.Platforms[0].SBOM.Components = append(p.Platforms[0].SBOM.Components, sbom.Component{ID: purl, PURL: purl})
	}
	answers, err := For(Image{ID: docs().ID, Version: "5.4.1", SBOM: p.Platforms[0].SBOM}, stated(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	p.Platforms = []Platform{{p.Platforms[0].SBOM, answers}}
	openVEX, cycloneDX := documents(t, p, 1)
	if len(openVEX) > 1<<20 || len(cycloneDX) > 1<<20 {
		t.Errorf("%d and %d bytes", len(openVEX), len(cycloneDX))
	}
}

func TestScannersName(t *testing.T) {
	for purl, want := range map[string]string{
		"pkg:golang/example.org/app@v1.0.0":                    "pkg:golang/example.org/app@1.0.0",
		"pkg:golang/stdlib@1.26.8":                             "pkg:golang/stdlib@v1.26.8",
		"pkg:golang/example.org/app":                           "pkg:golang/example.org/app",
		"pkg:deb/debian/git@1%3A2.39.5-0?arch=amd64&distro=12": "pkg:deb/debian/git@2.39.5-0",
		"pkg:deb/debian/bash@5.2?arch=amd64":                   "pkg:deb/debian/bash@5.2",
		"pkg:npm/%40babel/core@7.0.0":                          "pkg:npm/%40babel/core@7.0.0",
		"pkg:nix/a@1?narhash=x":                                "pkg:nix/a@1",
		"no purl":                                              "no purl",
	} {
		if got := scannersName(purl); got != want {
			t.Errorf("%s is %s, want %s", purl, got, want)
		}
	}
}
