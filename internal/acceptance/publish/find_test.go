package publish

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// A component is found in published releases and in built images of the working tree. An SBOM
// is read only once.
func TestFindNamesReleasesAndWhatIsBuilt(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	reference := "/packages-web-default:1.0-1"
	first := c.run("find", "left", "packages", "--to", reg.prefix()).want(t, 0)
	rows := nonEmptyLines(first.stdout)
	want := strings.Join([]string{reg.prefix() + reference, "linux/amd64", "published", "left", "1.3.0", "packages-web-default → "}, "\t")
	if len(rows) != 2 || !strings.HasPrefix(rows[0], want) || !strings.Contains(first.stdout, "unchanged-node → left\n") {
		t.Fatalf("got\n%s\nwant two lines that begin with\n%s", first.stdout, want)
	}

	before := reg.count()
	again := c.run("find", "pkg:npm/left@<2", "packages", "--to", reg.prefix()).want(t, 0)
	if again.stdout != first.stdout {
		t.Errorf("by its package URL:\n%s\nwant\n%s", again.stdout, first.stdout)
	}
	for _, request := range reg.since(before) {
		if strings.Contains(request, "packages-web-default") {
			t.Errorf("asked again: %s", request)
		}
	}
	if none := c.run("find", "pkg:npm/left@>=2", "packages", "--to", reg.prefix()).want(t, 0); none.stdout != "" {
		t.Errorf("of a version that is not there:\n%s", none.stdout)
	}

	// Results that were read with one key are not found with another.
	other := c.copy(t)
	other.env = append(other.env, "COSIGN_PASSWORD="+password)
	for _, key := range []string{"cosign.key", "cosign.pub"} {
		if err := os.Remove(filepath.Join(other.dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	other.run("keygen").want(t, 0)
	if got := other.run("find", "left", reg.prefix()+reference, "--key", filepath.Join(other.dir, "cosign.pub")).want(t, 1); got.stdout != "" || !strings.Contains(got.stderr, "the result may be incomplete: 1 error above") {
		t.Errorf("under another key:\n%s\n%s", got.stdout, got.stderr)
	}

	// A new package version is built but not published. The former release stays.
	c.edit(t, "apps/packages/default.nix", "packageVersion = 1", "packageVersion = 2")
	c.run("build", "packages/web/default").want(t, 0)
	both := c.run("find", "left", "packages", "--to", reg.prefix()).want(t, 0)
	states := map[string]int{}
	for _, row := range nonEmptyLines(both.stdout) {
		cells := strings.Split(row, "\t")
		states[strings.TrimPrefix(cells[0], reg.prefix())+" "+cells[2]]++
	}
	if len(states) != 2 || states[reference+" published"] != 2 || states["packages-web-default:1.0-2 built"] != 2 {
		t.Errorf("found in %v", states)
	}

	// A reference needs no catalogue.
	alone := c
	alone.dir = t.TempDir()
	byReference := alone.run("find", "left", reg.prefix()+reference, "--key", filepath.Join(c.dir, "cosign.pub")).want(t, 0)
	if byReference.stdout != first.stdout {
		t.Errorf("by reference:\n%s\nwant\n%s", byReference.stdout, first.stdout)
	}
}

// If an SBOM does not verify, find names it, and does not report that nothing was found.
func TestFindNamesWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "docker-registry")
	reg.lose(reg.manifest(t, "packages-web-default:1.0-1"))
	got := c.cold(t).run("find", "left", "packages", "--to", reg.prefix()).want(t, 1)
	if strings.Contains(got.stdout, string(state.Published)) {
		t.Errorf("an SBOM that is gone is searched:\n%s", got.stdout)
	}
	named := func(line string) bool {
		return strings.Contains(line, "/packages-web-default:1.0-1 for linux/amd64: ")
	}
	if !slices.ContainsFunc(nonEmptyLines(got.stderr), named) || !strings.Contains(got.stderr, "the result may be incomplete: 1 error above") {
		t.Errorf("stderr:\n%s", got.stderr)
	}
}

// For a vulnerability, find reports each component that has it: affected, or the statement once
// it is attached. Without a database it does not know.
func TestFindAnswersAboutAVulnerability(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	find := func(id string, code int, flags ...string) outcome {
		t.Helper()
		return c.run(append([]string{"find", id, "packages", "--to", reg.prefix()}, flags...)...).want(t, code)
	}
	if said := c.run("vex", "packages/web/default").want(t, 0); said.stdout != "" || !strings.Contains(said.stderr, "there are no statements about packages/web/default\n") {
		t.Errorf("without statements:\n%s%s", said.stdout, said.stderr)
	}
	if said := c.run("vex", "packages/web/default", "--json").want(t, 0); strings.TrimSpace(said.stdout) != "[]" {
		t.Errorf("without statements, as JSON: %s", said.stdout)
	}
	db := vulnerable(t, time.Hour)
	affected := find("CVE-2026-1001", 0, "--db", db)
	rows := nonEmptyLines(affected.stdout)
	if len(rows) != 2 || !strings.HasPrefix(rows[0], reg.prefix()+"/packages-web-default:1.0-1\tlinux/amd64\tpublished\tleft\t1.3.0\t") || !strings.HasSuffix(rows[0], "\taffected") {
		t.Errorf("got\n%s", affected.stdout)
	}
	if none := find("CVE-2026-1003", 0, "--db", db); none.stdout != "" {
		t.Errorf("what is fixed is found:\n%s", none.stdout)
	}
	c.file(t, "apps/packages/vex.yaml", "statements:\n- {vulnerability: CVE-2026-1001, status: not_affected, justification: inline_mitigations_already_exist, date: 2026-11-01, package: \"pkg:npm/left\"}\n"+
		"- {vulnerability: GHSA-2222-3333-4444, status: not_affected, justification: inline_mitigations_already_exist, date: 2026-11-01, package: \"pkg:npm/left\"}\n")
	c.run("push", "packages/web/default", "--to", reg.prefix()).want(t, 0)
	const says = "\tnot_affected (inline_mitigations_already_exist)\n"
	if settled := find("GHSA-left-left-left", 0, "--db", db); strings.Count(settled.stdout, says) != 2 {
		t.Errorf("got\n%s", settled.stdout)
	}
	if settled := find("ghsa-2222-3333-4444", 0, "--db", db); strings.Count(settled.stdout, says) != 2 { // not in the database
		t.Errorf("got\n%s", settled.stdout)
	}
	unknown := find("CVE-2026-1001", 1, "--db", filepath.Join(c.dir, "nothing"))
	if strings.Count(unknown.stdout, says) != 2 || !strings.Contains(unknown.stderr, "cannot tell which images CVE-2026-1001 affects: ") {
		t.Errorf("got\n%s\n%s", unknown.stdout, unknown.stderr)
	}
}

// publishedPackages publishes one image of packages.
func publishedPackages(t *testing.T, kind string) (catalogue, *watched) {
	t.Helper()
	c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	buildHello(t, filepath.Join(c.dir, "apps/packages/hello"))
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	reg := newWatched(t, kind, sign.Bundle)
	c.run("push", "packages/web/default", "--to", reg.prefix()).want(t, 0)
	return c, reg
}

func nonEmptyLines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
