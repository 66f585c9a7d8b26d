package publish

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// gateDatabase writes a database with a critical vulnerability in left, and one in its possible
// replacement.
func gateDatabase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := scantest.Write(dir, time.Now(),
		scantest.Record{ID: "CVE-2026-1001", Severity: "critical", Ecosystem: "npm", Package: "left", Affected: "< 2.0.0", FixedIn: "2.0.0"},
		scantest.Record{ID: "CVE-2026-1002", Severity: "critical", Ecosystem: "npm", Package: "right", Affected: "< 2.0.0", FixedIn: "2.0.0"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A gate holds back a release that adds a vulnerability, but not one whose vulnerability is
// already published.
func TestGateHoldsBackWhatAReleaseAdds(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	const definition = "apps/packages/default.nix"
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nscan:\n  gate: critical\n  database: "+gateDatabase(t)+"\n")
	push := func(code int, flags ...string) outcome {
		t.Helper()
		return c.run(append([]string{"push", "packages/web/default", "--to", reg.prefix()}, flags...)...).want(t, code)
	}

	c.edit(t, definition, "packageVersion = 1", "packageVersion = 2")
	push(0, "--dry-run")
	push(0)

	c.edit(t, definition, `name = "left"`, `name = "right"`)
	c.edit(t, definition, "packageVersion = 2", "packageVersion = 3")
	before := reg.tags(t)
	dry := push(3, "--dry-run")
	if !strings.Contains(dry.stderr, "the image adds CVE-2026-1002 (critical)") || !maps.Equal(reg.tags(t), before) {
		t.Errorf("--dry-run: %v, was %v\n%s", reg.tags(t), before, dry.stderr)
	}
	push(0, "--dry-run", "--no-gate")
	held := push(3)
	for _, want := range []string{"scan.gate in libre.yaml: the image adds CVE-2026-1002 (critical) in packages/web/default → web → ", "libre scan packages/web/default"} {
		if !strings.Contains(held.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, held.stderr)
		}
	}
	if strings.Contains(held.stderr, "CVE-2026-1001") || reg.tags(t)["packages-web-default:1.0-3"] != "" {
		t.Errorf("tags %v, stderr:\n%s", reg.tags(t), held.stderr)
	}

	c.file(t, "apps/packages/vex.yaml", "statements:\n- {vulnerability: CVE-2026-1002, status: under_investigation, date: 2026-11-01}\n")
	push(3)
	push(3, "--dry-run")
	let := push(0, "--no-gate")
	if !strings.Contains(let.stderr, "warning: --no-gate: ") {
		t.Errorf("stderr:\n%s", let.stderr)
	}
	var provenance struct {
		BuildDefinition struct {
			InternalParameters map[string]any `json:"internalParameters"`
		} `json:"buildDefinition"`
	}
	if err := json.Unmarshal(reg.sbom(t, "packages-web-default:1.0-3", state.ProvenanceType), &provenance); err != nil {
		t.Fatal(err)
	}
	if provenance.BuildDefinition.InternalParameters["scanGate"] != "skipped by --no-gate" {
		t.Errorf("the provenance has %v", provenance.BuildDefinition.InternalParameters)
	}

	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nscan:\n  gate: critical\n  database: "+filepath.Join(c.dir, "nothing")+"\n")
	c.edit(t, definition, "packageVersion = 3", "packageVersion = 4")
	if unknown := push(1); !strings.Contains(unknown.stderr, "error: scan.gate in libre.yaml: ") {
		t.Errorf("without a database:\n%s", unknown.stderr)
	}
}

// The daily job keeps one issue per app, with the commands that answer its findings.
func TestScanKeepsAnIssuePerApp(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "docker-registry")
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("coop/catalogue")
	forge.AddToken("the-token", true)
	libre.Tool(t, "git", "-C", c.dir, "remote", "add", "origin", repo.CloneURL())
	scan := func(db string, code int) {
		t.Helper()
		command := c.command("scan", "--published", "--all", "--issues", "--to", reg.prefix(), "--db", db)
		for name, value := range forge.Environment() {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Env = append(command.Env, "GITHUB_TOKEN=the-token")
		finish(command).want(t, code)
	}
	db := gateDatabase(t)
	scan(db, 0)
	scan(db, 0)
	issues := repo.Issues()
	if len(issues) != 1 || issues[0].Title != "packages: CVE-2026-1001" || !slices.Equal(issues[0].Labels, []string{"libre"}) {
		t.Fatalf("%+v", issues)
	}
	for _, want := range []string{"| critical | CVE-2026-1001 | left 1.3.0 | 2.0.0 |", "libre bump packages", "libre patch packages COMMIT --fixes CVE-2026-1001", "libre vex add packages CVE-2026-1001 "} {
		if !strings.Contains(issues[0].Body, want) {
			t.Errorf("the issue lacks %q:\n%s", want, issues[0].Body)
		}
	}
	other := t.TempDir()
	if err := scantest.Write(other, time.Now(), scantest.Record{ID: "CVE-2026-1009", Ecosystem: "npm", Package: "elsewhere", Affected: "< 1.0"}); err != nil {
		t.Fatal(err)
	}
	reg.lose(reg.manifest(t, "packages-web-default:1.0-1"))
	scan(other, 1) // an image that cannot be read may still have it
	if issue := repo.Issues()[0]; issue.State != "open" {
		t.Errorf("%+v", issue)
	}
	reg.setMeddle(nil)
	scan(other, 0)
	if issue := repo.Issues()[0]; issue.State != "closed" {
		t.Errorf("%+v", issue)
	}
}
