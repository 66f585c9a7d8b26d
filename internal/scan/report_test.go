package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/vex"
)

func document(components ...sbom.Component) *sbom.Document {
	byID := map[string]*sbom.Component{}
	for _, c := range components {
		byID[c.ID] = &c
	}
	made := sbom.NewDocument(byID, sbom.Tool{Name: "libre", Version: "1"})
	made.Subject = sbom.Subject{
		Name: "docs-backend-default", Version: "5.4.1-1", Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Index:    v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1a", 32)},
		Manifest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("2b", 32)},
		Created:  time.Date(2026, 7, 9, 0, 0, 0, 0, time.UTC),
	}
	return made
}

const store = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"

// docs returns an image whose server has a vulnerable module, beside a vulnerable library.
func docs() *sbom.Document {
	return document(
		sbom.Component{ID: store + "rootfs", Name: "docs-backend-rootfs", Type: "nix", StorePath: store + "rootfs", Where: []string{"/"}, DependsOn: []string{store + "server-1.0", store + "python3-3.13"}},
		sbom.Component{ID: store + "server-1.0", Name: "server", Version: "1.0", Type: "nix", PURL: "pkg:nix/server@1.0", StorePath: store + "server-1.0", DependsOn: []string{store + "server-1.0#pkg:golang/golang.org/x/net@v0.39.0"}},
		sbom.Component{ID: store + "server-1.0#pkg:golang/golang.org/x/net@v0.39.0", Name: "golang.org/x/net", Version: "v0.39.0", Type: "go-module", PURL: "pkg:golang/golang.org/x/net@v0.39.0"},
		sbom.Component{ID: store + "python3-3.13", Name: "python3", Version: "3.13", Type: "nix", PURL: "pkg:nix/python3@3.13", StorePath: store + "python3-3.13", DependsOn: []string{store + "openssl-3.0.17"}},
		sbom.Component{ID: store + "openssl-3.0.17", Name: "openssl", Version: "3.0.17", Type: "nix", PURL: "pkg:nix/openssl@3.0.17", StorePath: store + "openssl-3.0.17"},
	)
}

// scanned scans a document of docs/backend, with the statements of its vex.yaml.
func scanned(t testing.TB, m *scan.Matcher, opened *scan.Opened, from *sbom.Document) scan.Image {
	t.Helper()
	stated, err := vex.Parse("apps/docs/vex.yaml", []byte(statement), now)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := vex.For(vex.Image{ID: catalog.ID{App: "docs", Component: "backend", Variant: "default"}, Version: "5.4.1", SBOM: from}, stated)
	if err != nil {
		t.Fatal(err)
	}
	image, err := m.Scan(t.Context(), opened, scan.Image{Name: "docs/backend/default", Root: "docs/backend", File: "apps/docs/default.nix"}, from, answers)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func opened(t testing.TB) (*scan.Store, *scan.Opened) {
	t.Helper()
	s, _ := emptyStore(t)
	found, err := s.Open(t.Context(), database(t, 25*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return s, found
}

const statement = `statements:
- vulnerability: CVE-2026-1001
  status: not_affected
  justification: vulnerable_code_not_in_execute_path
  date: 2026-11-01
`

// A statement about the CVE answers the finding that has it as an alias.
func TestScanGivesTheWayAndTheAnswer(t *testing.T) {
	s, opened := opened(t)
	image := scanned(t, s.Matcher, opened, docs())
	var got []string
	for _, f := range image.Findings {
		got = append(got, fmt.Sprintf("%s %s | %s | settled %t", f.Severity, f.Name(), f.WayText(), f.Settled()))
	}
	want := []string{
		"critical CVE-2026-1001 | docs/backend → server → golang.org/x/net | settled true",
		"low CVE-2026-1002 | docs/backend → python3 → openssl | settled false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if answer := image.Findings[0].Answer; answer.Place != "apps/docs/vex.yaml:2" || answer.Says != "not_affected (vulnerable_code_not_in_execute_path)" {
		t.Errorf("answer %+v", answer)
	}
	if !slices.Equal(image.Unmatched, []string{"docs-backend-rootfs"}) || image.Components != 5 {
		t.Errorf("unmatched %q of %d", image.Unmatched, image.Components)
	}
}

// The form of the JSON is a contract.
func TestReportAsJSON(t *testing.T) {
	s, opened := opened(t)
	report := scan.Report{Database: opened.Database, Images: []scan.Image{scanned(t, s.Matcher, opened, docs())}}
	report.Database.From = "https://grype.anchore.io/databases"
	got, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/report.json"
	want, err := os.ReadFile(name)
	if err == nil && string(want) == string(got)+"\n" {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("%v: got\n%s\nwant\n%s", err, got, want)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(got, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// hostile returns a report whose fields have texts that try to break readers.
func hostile(t *testing.T) *scan.Report {
	t.Helper()
	s, opened := opened(t)
	from := docs()
	for i, bad := range []string{"\x1b]0;owned\a", "<script>alert(1)</script>", "@org/team #1 | [x](javascript:1)", "\u202egnp.exe", "a\nb\r\nc", "%00../..", "\xff\xfe", strings.Repeat("x", 5000)} {
		id := fmt.Sprintf("%d#%s", i, bad)
		from.Components = append(from.Components, sbom.Component{
			ID: id, Name: "openssl", Version: "3.0.1 " + bad, Type: "nix", PURL: "pkg:nix/" + bad, Where: []string{bad}, DependsOn: []string{id, "none"},
			CPEs: []string{"cpe:2.3:a:openssl:openssl:3.0.1:*:*:*:*:*:*:*"},
		})
	}
	image := scanned(t, s.Matcher, opened, from)
	if len(image.Findings) < 10 {
		t.Fatalf("only %d findings", len(image.Findings))
	}
	for i := range image.Findings { // texts of the database may also be hostile
		image.Findings[i].Description = "\x1b[2J<img src=x> @all " + image.Findings[i].Component.Version
		image.Findings[i].URL = "javascript:alert(1)"
	}
	published := image
	published.Name, published.File = "registry.example:5000/docs-backend:1@%", ""
	return &scan.Report{Database: opened.Database, Images: []scan.Image{image, published}}
}

func TestSARIFIsValid(t *testing.T) {
	s, opened := opened(t)
	plain := &scan.Report{Database: opened.Database, Images: []scan.Image{scanned(t, s.Matcher, opened, docs())}}
	// The schema is among grype's test data.
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/grype").Output()
	if err != nil {
		t.Fatal(err)
	}
	schema := filepath.Join(strings.TrimSpace(string(dir)), "grype/presenter/sarif/testdata/sarif-schema-2.1.0.json")
	var files []string
	for i, report := range []*scan.Report{plain, hostile(t), {Images: []scan.Image{}, Failed: []string{"not scanned: <x> | y"}}} {
		text, err := json.MarshalIndent(scan.SARIF(report, "1.0"), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(t.TempDir(), fmt.Sprint(i, ".sarif")))
		if err := os.WriteFile(files[i], text, 0o644); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"helpUri": "javascript:`)) {
			t.Errorf("SARIF links to javascript:\n%.2000s", text)
		}
	}
	testkit.Validate(t, schema, files...)

	log := scan.SARIF(plain, "1.0")
	if results := log.Runs[0].Results; len(results) != 2 || len(results[0].Suppressions) != 1 || len(results[1].Suppressions) != 0 ||
		results[0].Level != "error" || results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI != "apps/docs/default.nix" {
		t.Errorf("results %+v", results)
	}
}

func TestVDRIsValid(t *testing.T) {
	s, opened := opened(t)
	image := scanned(t, s.Matcher, opened, docs())
	plain := &scan.Report{Database: opened.Database, Images: []scan.Image{image, image}}
	var files []string
	for i, report := range []*scan.Report{plain, hostile(t), {Images: []scan.Image{}, Failed: []string{"not scanned: <x> | y"}}} {
		text, err := scan.VDR(report, "1.0")
		if err != nil {
			t.Fatal(err)
		}
		again, err := scan.VDR(report, "1.0")
		if err != nil || !bytes.Equal(text, again) {
			t.Errorf("a second document differs: %v", err)
		}
		files = append(files, filepath.Join(t.TempDir(), fmt.Sprint(i, ".cdx.json")))
		if err := os.WriteFile(files[i], text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Validate(t, "cyclonedx", files...)
}

// A scan of an SBOM with 20,000 components takes seconds, and finds all vulnerabilities.
func TestManyComponents(t *testing.T) {
	s, opened := opened(t)
	from := many(20_000)
	start := time.Now()
	image := scanned(t, s.Matcher, opened, from)
	if len(image.Findings) != 20_000/40 {
		t.Errorf("found %d", len(image.Findings))
	}
	t.Logf("%d components: %v", len(from.Components), time.Since(start))
}

// many returns a document with n modules. One in 40 is vulnerable.
func many(n int) *sbom.Document {
	var all []sbom.Component
	for i := range n {
		name, version := fmt.Sprintf("example.org/module%d", i), "v1.0.0"
		if i%40 == 0 {
			name, version = "golang.org/x/net", fmt.Sprintf("v0.1.%d", i)
		}
		purl := "pkg:golang/" + name + "@" + version
		all = append(all, sbom.Component{ID: purl, Name: name, Version: version, Type: "go-module", PURL: purl})
	}
	return document(all...)
}

// A memory limit ends the program, not the machine. The next question is answered.
func TestMemoryIsLimited(t *testing.T) {
	s, opened := opened(t)
	s.Matcher.Close()
	small := scan.NewMatcherAt(programPath(t), 10<<20)
	defer small.Close()
	_, err := small.Scan(t.Context(), opened, scan.Image{}, many(2000), &vex.Answers{})
	if err == nil || !strings.Contains(err.Error(), "raise limits.memory in libre.yaml") {
		t.Errorf("got %v", err)
	}
	if image := scanned(t, s.Matcher, opened, docs()); len(image.Findings) != 2 {
		t.Errorf("found %d", len(image.Findings))
	}
}

// TestTally counts a vulnerability once, however many components, platforms and images have it.
func TestTally(t *testing.T) {
	finding := func(id, component string, severity scan.Severity, aliases ...string) scan.Finding {
		return scan.Finding{Vulnerability: scan.Vulnerability{ID: id, Aliases: aliases, Severity: severity}, Component: scan.Found{Name: component}}
	}
	nine := func(findings ...scan.Finding) (images []scan.Image) {
		for n := range 9 {
			images = append(images, scan.Image{Name: fmt.Sprint("image", n), Platform: "linux/amd64", Findings: findings}, scan.Image{Name: fmt.Sprint("image", n), Platform: "linux/arm64", Findings: findings})
		}
		return append(images, scan.Image{Name: "another"})
	}
	for name, test := range map[string]struct {
		images []scan.Image
		want   scan.Tally
	}{
		"none":           {nil, scan.Tally{0, map[scan.Severity]int{}, 0}},
		"one in nine":    {nine(finding("CVE-1-1", "a", "high")), scan.Tally{1, map[scan.Severity]int{"high": 1}, 9}},
		"two components": {nine(finding("CVE-1-1", "a", "low"), finding("CVE-1-1", "b", "high")), scan.Tally{1, map[scan.Severity]int{"high": 1}, 9}},
		"an alias":       {nine(finding("GHSA-1-1", "a", "high", "CVE-1-1"), finding("CVE-1-1", "b", "medium")), scan.Tally{1, map[scan.Severity]int{"high": 1}, 9}},
		"two":            {nine(finding("CVE-1-1", "a", "high"), finding("CVE-1-2", "a", "high")), scan.Tally{2, map[scan.Severity]int{"high": 2}, 9}},
	} {
		report := scan.Report{Images: test.images}
		if got := report.Tally(func(*scan.Finding) bool { return true }); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
