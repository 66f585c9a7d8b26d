//go:build interop

// Package scan compares libre scan with other scanners.
package scan

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/testkit"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

// The vulnerabilities in the test's database: one in a module of the guestbook, and one in the
// guestbook itself.
const (
	inModule = "CVE-2026-1001"
	inItself = "CVE-2026-1002"

	// grype reports an entry of GitHub's database by its ID there, and only looks for a statement
	// about that ID. So a patch names both IDs.
	advisory = "GHSA-23f4-56g7-89hj"
)

var records = []scantest.Record{
	{ID: advisory, Aliases: []string{inModule}, Ecosystem: "go-module", Package: "golang.org/x/text", Affected: "< 99.0.0", FixedIn: "99.0.0"},
	{ID: inItself, Ecosystem: "go-module", Package: "example.org/guestbook", Affected: "< 99.0.0", FixedIn: "99.0.0"},
}

// libre, grype and Trivy report a vulnerability of the published image if it has no statement,
// and do not report it if the attested VEX document says that it is patched. They report it
// again when the statement is withdrawn. grype does not know the version of a program's main
// module if the program was built from a folder, so it does not find the vulnerability of the
// guestbook itself.
func TestInteropScannersAgree(t *testing.T) {
	s := newShop(t)
	s.run("push", "guestbook").ok(t)
	s.expect(t, "before any patch", "default:1.0.0-1", []string{inModule, inItself})
	s.expect(t, "before any patch", "lyon:1.0.0-1", []string{inModule, inItself})

	s.patch(t, "api.go", "a comment of the fix", inItself)
	s.patch(t, "entry.go", "a comment of lyon's fix", inModule+","+advisory, "--variant", "lyon")
	s.run("push", "guestbook").ok(t)
	s.expect(t, "patched", "default:1.0.0-3", []string{inModule})
	s.expect(t, "patched", "lyon:1.0.0-3", nil)

	// The statement follows from the definition. Withdrawing it needs no new package version.
	s.edit(t, "apps/guestbook/default.nix", `fixes = [ "`+inModule+`" "`+advisory+`" ];`, "")
	s.run("push", "guestbook").ok(t)
	s.expect(t, "withdrawn", "lyon:1.0.0-3", []string{inModule})
}

// shop is a catalogue with the guestbook's backend, and a registry.
type shop struct {
	t                  *testing.T
	dir, registry      string
	grypeDB, trivyDB   string
	grypeBin, trivyBin string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	testkit.Require(t, "nix", "git", "go", "busybox", "docker-registry")
	s := &shop{
		t: t, dir: filepath.Join(libre.TempDir(t), "shop"), grypeDB: t.TempDir(), trivyDB: t.TempDir(),
		grypeBin: testkit.Grype(t), trivyBin: testkit.Trivy(t),
	}
	s.registry = testkit.DockerRegistry(t, t.TempDir()) + "/coop"
	if err := scantest.WriteGrype(s.grypeDB, records...); err != nil {
		t.Fatal(err)
	}
	if err := scantest.WriteTrivy(s.trivyDB, records...); err != nil {
		t.Fatal(err)
	}
	if out, err := libre.Command("/", "init", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := testkit.SetSystems(s.dir, "x86_64-linux"); err != nil {
		t.Fatal(err)
	}
	s.backendOnly(t)
	s.write(t, "libre.yaml", "registry: "+s.registry+"\nsign:\n  key: cosign.key\n")
	s.run("keygen").ok(t)
	libre.Tool(t, "git", "-C", s.dir, "add", "apps", "libre.yaml")
	return s
}

// backendOnly removes from the guestbook the Containerfile component, its base, and the
// statements about them.
func (s *shop) backendOnly(t *testing.T) {
	t.Helper()
	file := filepath.Join(s.dir, "apps/guestbook/default.nix")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, part := range []struct{ from, to string }{
		{"  # A web server for static files", "  # The city's name"},
		{"  config.BACKEND_URL", "  migration.kind"},
	} {
		start, end := strings.Index(text, part.from), strings.Index(text, part.to)
		if start < 0 || end < start {
			t.Fatalf("the guestbook's definition is another:\n%s", text)
		}
		text = text[:start] + text[end:]
	}
	s.write(t, "apps/guestbook/default.nix", text)
}

func (s *shop) write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, file), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), from) != 1 {
		t.Fatalf("%s has %q %d times", file, from, strings.Count(string(text), from))
	}
	s.write(t, file, strings.Replace(string(text), from, to, 1))
}

// patch adds a patch to the guestbook that adds a comment to a file. The patch fixes a
// vulnerability.
func (s *shop) patch(t *testing.T, file, comment, fixes string, flags ...string) {
	t.Helper()
	path := filepath.Join(s.dir, "apps/guestbook/src/backend", file)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for name, content := range map[string]string{"a/backend/" + file: string(before), "b/backend/" + file: string(before) + "\n// " + comment + "\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	diff := exec.Command("diff", "-u", "a/backend/"+file, "b/backend/"+file)
	diff.Dir = work
	text, _ := diff.Output() // it exits with 1
	if err := os.WriteFile(filepath.Join(work, "fix.patch"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	s.run(append([]string{"patch", "guestbook", filepath.Join(work, "fix.patch"), "--fixes", fixes}, flags...)...).ok(t)
}

type result struct {
	args           []string
	code           int
	stdout, stderr string
}

// ok fails the test unless the exit code is 0.
func (r result) ok(t *testing.T) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("%q: exit code %d\n%s\n%s", r.args, r.code, r.stdout, r.stderr)
	}
	return r
}

func (s *shop) run(args ...string) result {
	command := libre.Command(s.dir, args...)
	command.Env = append(command.Env, "COSIGN_PASSWORD=")
	return finish(command)
}

func finish(command *exec.Cmd) result {
	stdout, stderr, _ := testkit.Output(command)
	return result{command.Args, command.ProcessState.ExitCode(), stdout, stderr}
}

// expect checks which vulnerabilities the scanners report for a published image.
func (s *shop) expect(t *testing.T, when, image string, want []string) {
	t.Helper()
	reference := s.registry + "/guestbook-backend-" + image
	digest := s.digest(t, reference)
	said := filepath.Join(t.TempDir(), "openvex.json")
	vex := s.run("vex", reference, "-o", "openvex")
	document := vex.stdout
	if strings.Contains(vex.stderr, "has no statements that verify") {
		document = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.org/none","author":"test","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[]}`
	}
	if err := os.WriteFile(said, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	for scanner, found := range map[string][]string{
		"libre":               s.libre(t, reference),
		"grype":               s.grype(t, digest, said),
		"Trivy, a file":       s.trivy(t, digest, said),
		"Trivy, the registry": s.trivy(t, digest, "oci"),
		"Trivy, the SBOM":     s.trivySBOM(t, reference, vex.code == 0),
	} {
		expected := want
		if scanner == "grype" {
			expected = slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == inItself })
		}
		if !slices.Equal(found, expected) {
			t.Errorf("%s, %s: %s reports %q, want %q", when, image, scanner, found, expected)
		}
	}
}

func (s *shop) digest(t *testing.T, reference string) string {
	t.Helper()
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	described, err := remote.Head(tag)
	if err != nil {
		t.Fatal(err)
	}
	return tag.Context().Digest(described.Digest.String()).String()
}

func (s *shop) libre(t *testing.T, reference string) []string {
	t.Helper()
	var report scan.Report
	output := s.run("scan", reference, "--db", filepath.Join(s.grypeDB, "6"), "--json").ok(t).stdout
	if err := json.Unmarshal([]byte(output), &report); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, image := range report.Images {
		for _, finding := range image.Findings {
			if !finding.Settled() {
				found = append(found, finding.IDs()...)
			}
		}
	}
	return cves(found)
}

func (s *shop) grype(t *testing.T, digest, said string) []string {
	t.Helper()
	command := exec.Command(s.grypeBin, "registry:"+digest, "--vex", said, "-o", "json")
	command.Env = append(os.Environ(), "GRYPE_DB_CACHE_DIR="+s.grypeDB, "GRYPE_DB_AUTO_UPDATE=false", "GRYPE_DB_VALIDATE_AGE=false",
		"GRYPE_CHECK_FOR_APP_UPDATE=false", "GRYPE_REGISTRY_INSECURE_USE_HTTP=true", "HOME="+t.TempDir())
	var report struct {
		Matches []struct {
			Vulnerability          struct{ ID string }
			RelatedVulnerabilities []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(finish(command).ok(t).stdout), &report); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range report.Matches {
		found = append(found, match.Vulnerability.ID)
		for _, related := range match.RelatedVulnerabilities {
			found = append(found, related.ID)
		}
	}
	return cves(found)
}

func (s *shop) trivy(t *testing.T, digest, said string) []string {
	t.Helper()
	return s.runTrivy(t, "image", "--vex", said, "--scanners", "vuln", "--skip-check-update", "--insecure", digest)
}

// trivySBOM scans the attested SBOM, with the CycloneDX VEX document that is attached to the image.
func (s *shop) trivySBOM(t *testing.T, reference string, hasVEX bool) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sbom.cdx.json")
	document := s.run("sbom", reference, "-o", "cyclonedx-json").ok(t).stdout
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"sbom"}
	if hasVEX {
		said := filepath.Join(t.TempDir(), "vex.cdx.json")
		if err := os.WriteFile(said, []byte(s.run("vex", reference, "-o", "cyclonedx").ok(t).stdout), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--vex", said)
	}
	return s.runTrivy(t, append(args, file)...)
}

func (s *shop) runTrivy(t *testing.T, args ...string) []string {
	t.Helper()
	command := exec.Command(s.trivyBin, append(args, "--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update",
		"--offline-scan", "--cache-dir", s.trivyDB, "--format", "json")...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var report struct {
		Results []struct {
			Vulnerabilities []struct{ VulnerabilityID string }
		}
	}
	if err := json.Unmarshal([]byte(finish(command).ok(t).stdout), &report); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, r := range report.Results {
		for _, v := range r.Vulnerabilities {
			found = append(found, v.VulnerabilityID)
		}
	}
	return cves(found)
}

var cve = regexp.MustCompile(`^CVE-`)

// cves returns the IDs that all scanners know.
func cves(ids []string) []string {
	ids = slices.DeleteFunc(ids, func(id string) bool { return !cve.MatchString(id) })
	slices.Sort(ids)
	return slices.Compact(ids)
}
