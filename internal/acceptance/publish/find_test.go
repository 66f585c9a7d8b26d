package publish

import (
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// A component is found in each published release and in what is built of the working
// tree, and an SBOM that was read once is not read again.
func TestFindNamesReleasesAndWhatIsBuilt(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	reference := "/packages-web-default:1.0-1"
	first := c.run("find", "left", "packages", "--to", reg.prefix()).want(t, 0)
	rows := nonEmptyLines(first.stdout)
	want := strings.Join([]string{reg.prefix() + reference, "linux/amd64", "published", "left", "1.3.0", "packages-web-default → "}, "\t")
	if len(rows) != 2 || !strings.HasPrefix(rows[0], want) || !strings.Contains(first.stdout, "unchanged-node → left\t") {
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

	// A new package version is built and not published; the former release stays.
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

// Where an SBOM does not verify, find names it, and does not say that nothing was found.
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
	if !slices.ContainsFunc(nonEmptyLines(got.stderr), named) || !strings.Contains(got.stderr, "1 SBOMs or releases could not be read") {
		t.Errorf("stderr:\n%s", got.stderr)
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
