package publish

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/scan/scantest"
)

// vulnerable writes a database with vulnerabilities in packages of the test's app.
func vulnerable(t testing.TB, age time.Duration) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := scantest.Write(dir, time.Now().Add(-age-time.Minute), // the database stores whole seconds
		scantest.Record{ID: "GHSA-left-left-left", Aliases: []string{"CVE-2026-1001"}, Severity: "critical", EPSS: 0.42, KEV: true, Ecosystem: "npm", Package: "left", Affected: "< 2.0.0", FixedIn: "2.0.0"},
		scantest.Record{ID: "CVE-2026-1002", Severity: "medium", Ecosystem: "python", Package: "one", Affected: "< 2.0"},
		scantest.Record{ID: "CVE-2026-1003", Severity: "high", Ecosystem: "python", Package: "two", Affected: "< 1.0", FixedIn: "1.0"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Built and published images have the same findings. An attached statement settles them in
// both.
func TestScanBuiltAndPublished(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	db := vulnerable(t, 24*time.Hour)
	built := c.run("scan", "packages/web/default", "--db", db).want(t, 0)
	const way = "packages/web → web → unchanged-node → left"
	for _, row := range []string{
		"critical\tCVE-2026-1001\tleft 1.3.0\t2.0.0\tKEV 42.0%\t" + way + "\t",
		"medium\tCVE-2026-1002\tone 1.0\tno version\t\tpackages/web → web → unchanged-python → one\t",
	} {
		if !strings.Contains(built.stdout, row+"\n") {
			t.Errorf("built:\n%s\nwant\n%s", built.stdout, row)
		}
	}
	if strings.Contains(built.stdout, "CVE-2026-1003") {
		t.Errorf("what is fixed is found:\n%s", built.stdout)
	}
	for _, note := range []string{"vulnerability database of ", ", 1 day old, from " + db, "in 1 image: "} {
		if !strings.Contains(built.stderr, note) {
			t.Errorf("stderr:\n%s\nwant %q", built.stderr, note)
		}
	}

	before := reg.count()
	reference := reg.prefix() + "/packages-web-default:1.0-1"
	published := c.run("scan", "--published", "--db", db, "--to", reg.prefix()).want(t, 0)
	if want := strings.ReplaceAll(built.stdout, "packages/web →", reference+" →"); published.stdout != want {
		t.Errorf("published:\n%s\nwant\n%s", published.stdout, want)
	}
	for _, request := range reg.since(before) {
		if strings.Contains(request, "PUT") || strings.Contains(request, "POST") {
			t.Errorf("a scan writes: %s", request)
		}
	}
	alone := c
	alone.dir = t.TempDir()
	byReference := alone.run("scan", reference, "--key", filepath.Join(c.dir, "cosign.pub"), "--db", db).want(t, 0)
	if byReference.stdout != published.stdout {
		t.Errorf("by reference:\n%s", byReference.stdout)
	}

	bad := c.run("scan", "packages/web/default", "--db", db, "--fail-on", "high").want(t, 1)
	if !strings.Contains(bad.stderr, "error: ") || !strings.Contains(bad.stderr, " with severity high or worse") {
		t.Errorf("stderr:\n%s", bad.stderr)
	}
	c.file(t, "apps/packages/vex.yaml", `statements:
- vulnerability: CVE-2026-1001
  status: not_affected
  justification: vulnerable_code_not_in_execute_path
  date: 2026-11-01
`)
	settled := c.run("scan", "packages/web/default", "--db", db, "--fail-on", "high").want(t, 0)
	if !strings.Contains(settled.stdout, way+"\tnot_affected (vulnerable_code_not_in_execute_path), apps/packages/vex.yaml:2\n") || !strings.Contains(settled.stderr, "; 1 settled") {
		t.Errorf("settled:\n%s\n%s", settled.stdout, settled.stderr)
	}
	c.run("scan", "--published", "--db", db, "--to", reg.prefix(), "--fail-on", "high").want(t, 1) // not attached yet
	c.run("push", "packages/web/default", "--to", reg.prefix()).want(t, 0)
	c.run("scan", "--published", "--db", db, "--to", reg.prefix(), "--fail-on", "high").want(t, 0)
}

// All formats have the same findings.
func TestScanFormats(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
	buildHello(t, filepath.Join(c.dir, "apps/packages/hello"))
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	db := vulnerable(t, time.Hour)
	var report scan.Report
	if err := json.Unmarshal([]byte(c.run("scan", "packages/web/default", "--db", db, "--json").want(t, 0).stdout), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Images) != 1 || report.Images[0].Name != "packages/web/default" || report.Images[0].Findings[0].ID != "GHSA-left-left-left" {
		t.Errorf("got %+v", report)
	}
	fixable := c.run("scan", "packages/web/default", "--db", db, "--only-fixable").want(t, 0)
	if strings.Contains(fixable.stdout, "CVE-2026-1002") || !strings.Contains(fixable.stdout, "CVE-2026-1001") {
		t.Errorf("only fixable:\n%s", fixable.stdout)
	}
	summary := filepath.Join(t.TempDir(), "summary.md")
	sarif := c.run("scan", "packages/web/default", "--db", db, "-o", "sarif", "--summary", summary).want(t, 0)
	if !strings.Contains(sarif.stdout, `"uri": "apps/packages/default.nix"`) {
		t.Errorf("SARIF:\n%s", sarif.stdout)
	}
	if text, err := os.ReadFile(summary); err != nil || !strings.Contains(string(text), "| critical | CVE-2026-1001 | left 1.3.0 | 2.0.0 |") {
		t.Errorf("summary: %v\n%s", err, text)
	}
	markdown := c.run("scan", "packages/web/default", "--db", db, "-o", "markdown").want(t, 0)
	if !strings.Contains(markdown.stdout, "| critical | CVE-2026-1001 | left 1.3.0 | 2.0.0 |") {
		t.Errorf("Markdown:\n%s", markdown.stdout)
	}
	vdr := c.run("scan", "packages/web/default", "--db", db, "-o", "cyclonedx-vdr").want(t, 0)
	if !strings.Contains(vdr.stdout, `"id": "GHSA-left-left-left"`) || !strings.Contains(vdr.stdout, `"ref": "urn:cdx:`) {
		t.Errorf("VDR:\n%s", vdr.stdout)
	}
	if again := c.run("scan", "packages/web/default", "--db", db, "-o", "cyclonedx-vdr").want(t, 0); again.stdout != vdr.stdout {
		t.Error("a second VDR of the same image differs")
	}
}

// Images that cannot be scanned are named, and never look like images without findings.
func TestScanNamesWhatItCannotScan(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "docker-registry")
	db := vulnerable(t, time.Hour)
	old := c.run("scan", "--published", "--to", reg.prefix(), "--db", vulnerable(t, 9*24*time.Hour)).want(t, 1)
	if old.stdout != "" || !strings.Contains(old.stderr, "is too old: it was built 9 days ago") {
		t.Errorf("an old database: %s%s", old.stdout, old.stderr)
	}
	for _, args := range [][]string{{}, {"packages"}, {"--every-release"}, {"--fail-on", "low"}} {
		const want = "/elsewhere: nothing is scanned"
		if empty := c.run(append([]string{"scan", "--published", "--to", reg.prefix() + "/elsewhere", "--db", db}, args...)...).want(t, 1); !strings.Contains(empty.stderr, want) {
			t.Errorf("%v: %q is not in\n%s", args, want, empty.stderr)
		}
	}
	none := c.run("scan", "--published", "--to", reg.prefix(), "--db", "/nowhere").want(t, 1)
	if none.stdout != "" || !strings.Contains(none.stderr, "error: the vulnerability database /nowhere does not exist") {
		t.Errorf("no database: %s%s", none.stdout, none.stderr)
	}
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nscan:\n  maxAge: 240h\n  database: "+vulnerable(t, 9*24*time.Hour)+"\n")
	c.run("scan", "--published", "--to", reg.prefix()).want(t, 0)
	reg.lose(reg.manifest(t, "packages-web-default:1.0-1"))
	lost := c.cold(t).run("scan", "--published", "--to", reg.prefix(), "--db", db).want(t, 1)
	if lost.stdout != "" || !strings.Contains(lost.stderr, "/packages-web-default:1.0-1 is not scanned: ") {
		t.Errorf("no SBOM: %s%s", lost.stdout, lost.stderr)
	}
}

// An external scanner gets the SBOM and the statements as files, without a shell, and none of
// libre's secrets. Its output, made safe for a terminal, is the result. Its exit code fails the
// scan.
func TestScanByAnotherProgram(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	script := filepath.Join(t.TempDir(), "scanner")
	const text = `#!/bin/sh
echo "first $1"
grep -o '"pkg:npm/left@1.3.0"' "$2" | wc -l
grep -o '"statements"' "$4"
printf 'esc\033[31m\n'
env | grep -c -e TOKEN -e PASSWORD
echo "last words" >&2
exit $5
`
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	scanBy := func(program, code string) outcome {
		t.Helper()
		c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nscan:\n  command: ["+program+`, "a; b $(c) *", "{sbom}", --vex, "{vex}", "`+code+`"]`+"\n")
		return c.run("scan", "--published", "--external", "--to", reg.prefix())
	}
	c.env = append(c.env, "MY_TOKEN=secret")
	const want = "first a; b $(c) *\n2\n\"statements\"\nesc\n0\n"
	if got := scanBy(script, "0").want(t, 0); got.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
	}
	if got := scanBy(script, "3").want(t, 1); got.stdout != want || !strings.Contains(got.stderr, "ended with exit status 3: last words") {
		t.Errorf("exit code 3:\n%s\n%s", got.stdout, got.stderr)
	}
	if got := scanBy("no-such-scanner", "0").want(t, 1); got.stdout != "" || !strings.Contains(got.stderr, "the scanner no-such-scanner is not installed; install it") {
		t.Errorf("no scanner:\n%s\n%s", got.stdout, got.stderr)
	}
	// Nothing is known about images that the scanner was not given.
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nscan:\n  command: ["+script+`, x, "{sbom}", --vex, "{vex}", "0"]`+"\n")
	if got := c.run("scan", "--published", "--external", "--to", "127.0.0.1:1/lasuite").want(t, 1); got.stdout != "" || !strings.Contains(got.stderr, "some images could not be scanned (1 error above)") {
		t.Errorf("a registry that is down:\n%s\n%s", got.stdout, got.stderr)
	}
	// Without the flag, a catalogue's libre.yaml starts nothing.
	if got := c.run("scan", "--published", "--to", reg.prefix(), "--db", vulnerable(t, time.Hour)).want(t, 0); strings.Contains(got.stdout, "first") {
		t.Errorf("libre's own scan:\n%s", got.stdout)
	}
	if got := c.run("scan", "--published", "--external", "--to", reg.prefix(), "--json").want(t, 2); !strings.Contains(got.stderr, "--json has no effect on the scanner of --external") {
		t.Errorf("--json: %s", got.stderr)
	}
}

// Images that cannot be built or have wrong statements are named, and the rest is scanned.
func TestScanGoesOn(t *testing.T) {
	t.Parallel()
	files := packages(rand.Text())
	files["broken/default.nix"] = `{ mkApp, pkgs, ... }: mkApp {
  name = "broken"; version = "1"; packageVersion = 1;
  components.web.package = pkgs.runCommand "web" { } "exit 7";
  components.job.package = pkgs.writeText "job" "fine";
}
`
	files["stated/default.nix"] = `{ mkApp, pkgs, ... }: mkApp { name = "stated"; version = "1"; packageVersion = 1; components.web.package = pkgs.writeText "web" "x"; }
`
	files["stated/vex.yaml"] = "statements:\n- status: fixed\n"
	files["wrong/default.nix"] = "{ mkApp, ... }: mkApp { name = \"wrong\"; version = 1; }\n"
	c := newCatalogue(t, files, "x86_64-linux")
	buildHello(t, filepath.Join(c.dir, "apps/packages/hello"))
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	db := vulnerable(t, time.Hour)
	got := c.run("scan", "*/*/default", "--db", db).want(t, 1)
	for _, want := range []string{"error: broken/web/default is not scanned: ", "error: stated is not scanned: apps/stated/vex.yaml:2: ", "error: wrong: "} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr:\n%s\nwant %q", got.stderr, want)
		}
	}
	if !strings.Contains(got.stdout, "critical\tCVE-2026-1001\tleft 1.3.0\t") || !strings.Contains(got.stderr, "2 vulnerabilities in 1 of 2 images: 1 critical, 1 medium") {
		t.Errorf("the rest:\n%s%s", got.stdout, got.stderr)
	}
	// The image is built once, and its error is reported once.
	alone := c.run("scan", "broken/web/default", "--db", db).want(t, 3)
	for _, failing := range []outcome{got, alone, c.run("scan", "broken/*/default", "--db", db).want(t, 3)} {
		if times := strings.Count(failing.stderr, "broken/web/default: failed after "); times != 1 {
			t.Errorf("%v: the failed build is reported %d times:\n%s", failing.args, times, failing.stderr)
		}
	}
	c.run("scan", "wrong", "--db", db).want(t, 3)
	c.run("scan", "nowhere", "--db", db).want(t, 2)
}

// A registry that does not answer is named once, not once for each repository.
func TestARegistryThatIsDownIsNamedOnce(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	db := vulnerable(t, time.Hour)
	for _, down := range []string{"127.0.0.1:1/lasuite", "127.0.0.1:2", "nowhere.invalid/lasuite"} {
		for _, command := range [][]string{{"find", "openssl"}, {"find", "CVE-2026-1001", "--db", db}, {"scan", "--published", "--db", db}, {"scan", "--published", "--every-release", "--db", db}} {
			got := c.run(append(command, "--to", down)...).want(t, 1)
			if named := strings.Count(got.stderr, "reading the releases in "+down+": "); named != 1 || strings.Contains(got.stderr, "listing the tags") {
				t.Errorf("%v names %s %d times:\n%s", command, down, named, got.stderr)
			}
		}
	}
}
