package vex

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/testkit"
)

var everything = []string{
	"vulnerability: CVE-2026-1, status: under_investigation",
	"vulnerability: CVE-2026-2, aliases: [GHSA-2-2], status: not_affected, justification: vulnerable_code_not_in_execute_path, notes: <never> & called, package: pkg:golang/golang.org/x/net",
	"vulnerability: CVE-2026-2, status: affected, action: Set TLS=1., package: pkg:nix/openssl",
	"vulnerability: CVE-2026-3, status: fixed, package: pkg:deb/debian/bash",
}

const (
	bashAMD = "pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12"
	bashARM = "pkg:deb/debian/bash@5.2.15-2?arch=arm64&distro=debian-12"
)

// published returns an image for two platforms. On arm64 openssl is not patched.
func published(t *testing.T, lines ...string) *Published {
	t.Helper()
	p := &Published{
		Name: "docs-backend-default", Tag: "5.4.1-1", Places: []string{"registry.example:5000/coop", "docker.io/coop"},
		Index: subject.Index, Said: "sha256:" + strings.Repeat("5", 64),
	}
	for _, bash := range []string{bashAMD, bashARM} {
		image := docs(sbom.Component{ID: bash, Name: "bash", PURL: bash})
		if bash == bashARM {
			image.SBOM.Subject.Platform.Architecture = "arm64"
			image.SBOM.Subject.Manifest = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("3", 64)}
			image.SBOM.Components[2].Patches = nil
		}
		answers, err := For(image, stated(t, lines...))
		if err != nil {
			t.Fatal(err)
		}
		p.Platforms = append(p.Platforms, Platform{image.SBOM, answers})
	}
	return p
}

func documents(t *testing.T, p *Published, version int) (openVEX, cycloneDX []byte) {
	t.Helper()
	openVEX, err := p.OpenVEX(version)
	if err != nil {
		t.Fatal(err)
	}
	if cycloneDX, err = p.CycloneDX(version); err != nil {
		t.Fatal(err)
	}
	return openVEX, cycloneDX
}

func TestGoldenDocuments(t *testing.T) {
	openVEX, cycloneDX := documents(t, published(t, everything...), 3)
	for file, got := range map[string][]byte{"testdata/docs.openvex.json": openVEX, "testdata/docs.vex.cdx.json": cycloneDX} {
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	againOpenVEX, againCycloneDX := documents(t, published(t, everything...), 3)
	if !bytes.Equal(openVEX, againOpenVEX) || !bytes.Equal(cycloneDX, againCycloneDX) {
		t.Error("the same statements gave other bytes")
	}
}

// TestDocumentsAreValid validates the documents with OpenVEX's schema and CycloneDX's official
// library.
func TestDocumentsAreValid(t *testing.T) {
	schema, err := filepath.Abs("testdata/openvex_json_schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var openVEXs, cycloneDXs []string
	for n, lines := range [][]string{everything, nil, everything[:1], {"vulnerability: CVE-2026-9, status: not_affected, justification: component_not_present"},
		{"vulnerability: CVE-2026-8, status: fixed, package: pkg:golang/absent"}} {
		openVEX, cycloneDX := documents(t, published(t, lines...), n+1)
		for _, document := range []struct {
			files   *[]string
			content []byte
		}{{&openVEXs, openVEX}, {&cycloneDXs, cycloneDX}} {
			file := filepath.Join(t.TempDir(), "vex.json")
			if err := os.WriteFile(file, document.content, 0o644); err != nil {
				t.Fatal(err)
			}
			*document.files = append(*document.files, file)
		}
	}
	testkit.Validate(t, schema, openVEXs...)
	testkit.Validate(t, "cyclonedx", cycloneDXs...)
}

// TestScannersMatch queries the documents as scanners do: go-vex for OpenVEX, with the
// identifiers that grype 0.120 and Trivy 0.74 make for an image.
func TestScannersMatch(t *testing.T) {
	openVEX, _ := documents(t, published(t, everything...), 1)
	document, err := openvex.Parse(openVEX)
	if err != nil {
		t.Fatal(err)
	}
	index, amd64, arm64 := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64), "sha256:"+strings.Repeat("3", 64)
	grype := func(digest string) string {
		return "pkg:oci/docs-backend-default@" + digest + "?repository_url=registry.example%3A5000%2Fcoop%2Fdocs-backend-default"
	}
	trivy := func(digest string) string {
		return "pkg:oci/docs-backend-default@" + digest + "?arch=amd64&repository_url=registry.example:5000/coop/docs-backend-default"
	}
	for _, test := range []struct{ id, product, component, want string }{
		{"CVE-2026-7", grype(index), netPURL, "fixed"},
		{"CVE-2026-7", trivy(amd64), netPURL, "fixed"},
		{"CVE-2026-7", grype(arm64), appPURL, "fixed"},
		{"CVE-2026-7", "pkg:docker/coop/docs-backend-default@5.4.1-1", appPURL, "fixed"},
		{"CVE-2026-7", "pkg:docker/registry.example:5000/coop/docs-backend-default@5.4.1-1", appPURL, "fixed"},
		{"CVE-2026-7", netPURL, "", ""}, // never a product
		{"CVE-2026-7", "pkg:oci/docs-backend-lyon@" + index, netPURL, ""},
		{"CVE-2025-9", grype(amd64), libPURL, "fixed"},
		{"CVE-2025-9", grype(arm64), libPURL, ""}, // not patched there
		{"CVE-2025-9", grype(index), libPURL, ""}, // so not everywhere
		{"CVE-2026-1", grype(index), bashARM, "under_investigation"},
		{"CVE-2026-2", grype(index), netPURL, "not_affected"},
		{"GHSA-2-2", grype(index), netPURL, "not_affected"},
		{"CVE-2026-2", grype(index), libPURL, "affected"},
		{"CVE-2026-3", trivy(amd64), "pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12.5", "fixed"}, // Trivy's qualifiers
		{"CVE-2026-7", trivy(amd64), "pkg:golang/golang.org/x/net@0.38.0", "fixed"},                         // as Trivy has main modules
		{"CVE-2026-7", trivy(amd64), "pkg:golang/golang.org/x/net@0.39.0", ""},
		{"CVE-2026-3", trivy(amd64), "pkg:deb/debian/bash@5.2.15-3?arch=amd64&distro=debian-12.5", ""},
	} {
		got := ""
		if found := document.Matches(test.id, test.product, []string{test.component}); len(found) > 0 {
			got = string(found[0].Status)
		}
		if got != test.want {
			t.Errorf("%s in %s of %s: %q, want %q", test.id, test.component, test.product, got, test.want)
		}
	}
}

// TestOneEntryForEachVulnerability checks that an entry has the worst state, and hides no
// finding with a better one.
func TestOneEntryForEachVulnerability(t *testing.T) {
	p := published(t, everything...)
	_, text := documents(t, p, 1)
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	seen := map[string]cdx.Vulnerability{}
	for _, v := range *bom.Vulnerabilities {
		if _, twice := seen[v.ID]; twice {
			t.Errorf("%s has two entries", v.ID)
		}
		seen[v.ID] = v
	}
	if v := seen["CVE-2026-2"]; v.Analysis.State != cdx.IASExploitable || len(*v.Affects) != 2 {
		t.Errorf("%+v", v)
	}
	for _, affected := range *seen["CVE-2026-7"].Affects {
		link, err := cdx.ParseBOMLink(affected.Ref)
		if err != nil {
			t.Fatal(err)
		}
		serial, err := p.Platforms[0].SBOM.SerialNumber()
		if err != nil {
			t.Fatal(err)
		}
		other, err := p.Platforms[1].SBOM.SerialNumber()
		if err != nil {
			t.Fatal(err)
		}
		if link.Version() != 1 || link.SerialNumber() != serial && link.SerialNumber() != other {
			t.Errorf("%s links to another SBOM", affected.Ref)
		}
	}
}

func TestReadAttested(t *testing.T) {
	p := published(t, everything...)
	openVEX, cycloneDX := documents(t, p, 3)
	attested, err := ReadOpenVEX(openVEX)
	if err != nil {
		t.Fatal(err)
	}
	version, said, image, err := ReadCycloneDX(cycloneDX)
	if err != nil || version != 3 || said != p.Said || image != p.Name {
		t.Errorf("version %d, %s of %s: %v", version, said, image, err)
	}
	if attested.Version != 3 || attested.Said != p.Said || attested.Image() != p.Name {
		t.Errorf("%+v of %s", attested, attested.Image())
	}
	for n, platform := range p.Platforms {
		answers := attested.Answers(p.Name, platform.SBOM.Subject.Manifest.String())
		for _, c := range platform.SBOM.Components {
			for _, id := range []string{"CVE-2026-1", "CVE-2026-2", "GHSA-2-2", "CVE-2026-3", "CVE-2026-7", "CVE-2025-9", "CVE-2000-1"} {
				want, is := platform.Answers.Answer([]string{id}, c.PURL)
				got, ok := answers.Answer([]string{id}, c.PURL)
				if is != ok || got.Status != want.Status || got.Justification != want.Justification || got.Notes != want.notes() {
					t.Errorf("platform %d, %s in %s: %v %+v, want %v %+v", n, id, c.PURL, ok, got, is, want)
				}
			}
		}
	}
	for _, bad := range []string{"", "[]", "{}", `{"@context": "x", "version": 0}`, `{"@context": "x", "version": 1}`, `{"@context": "x", "version": 1, "statements": [{"status": "ignored"}]}`} {
		if _, err := ReadOpenVEX([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
		if _, _, _, err := ReadCycloneDX([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestNothingSaid(t *testing.T) {
	image := docs()
	image.SBOM.Components = image.SBOM.Components[1:2]
	answers, err := For(image, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Published{Name: "docs", Index: subject.Index, Platforms: []Platform{{image.SBOM, answers}}}
	if !p.IsEmpty() {
		t.Error("not empty")
	}
	if _, err := p.OpenVEX(1); err == nil {
		t.Error("an OpenVEX document without statements")
	}
	if _, err := p.CycloneDX(1); err == nil {
		t.Error("a CycloneDX document without vulnerabilities")
	}
}

func TestDigest(t *testing.T) {
	id := catalog.ID{App: "docs", Component: "backend", Variant: "default"}
	of := func(version string, changes []catalog.SourceChange, places []string, lines ...string) string {
		t.Helper()
		digest, err := Digest(id, version, stated(t, lines...), changes, places)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	here := []string{"registry.example"}
	if got := of("5.4.1", []catalog.SourceChange{{Patch: "a.patch"}}, here, "vulnerability: CVE-1-1, status: fixed, variants: [lyon]"); got != "" {
		t.Errorf("nothing is said, and its digest is %q", got)
	}
	plain := of("5.4.1", nil, here, "vulnerability: CVE-1-1, status: fixed")
	if moved := of("5.4.1", nil, here, "vulnerability: CVE-1-2, status: fixed, variants: [lyon]", "vulnerability: CVE-1-1, status: fixed, components: [backend], expires: 2030-01-01"); moved != plain {
		t.Error("a statement has another digest at another line, with other limits")
	}
	different := map[string]string{plain: "plain"}
	for name, digest := range map[string]string{
		"another status": of("5.4.1", nil, here, "vulnerability: CVE-1-1, status: under_investigation"),
		"another id":     of("5.4.1", nil, here, "vulnerability: CVE-1-2, status: fixed"),
		"notes":          of("5.4.1", nil, here, "vulnerability: CVE-1-1, status: fixed, notes: so"),
		"a package":      of("5.4.1", nil, here, "vulnerability: CVE-1-1, status: fixed, package: 'pkg:nix/a'"),
		"a patch":        of("5.4.1", []catalog.SourceChange{{Patch: "a.patch", Fixes: []string{"CVE-1-1"}}}, here),
		"another place":  of("5.4.1", nil, []string{"registry.example/coop"}, "vulnerability: CVE-1-1, status: fixed"),
	} {
		if other, taken := different[digest]; taken || digest == "" {
			t.Errorf("%s has the digest %q of %s", name, digest, other)
		}
		different[digest] = name
	}
}
