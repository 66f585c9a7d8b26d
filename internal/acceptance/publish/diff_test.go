package publish

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// The same database is used for both releases, so diff shows which vulnerabilities are fixed
// and which are new. A vulnerability that a statement settles counts as fixed, and the
// statement is shown.
func TestDiffVulnerabilities(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	db := vulnerable(t, time.Hour)
	c.edit(t, "apps/packages/default.nix", `packageVersion = 1`, `packageVersion = 2`)
	c.edit(t, "apps/packages/default.nix", `version = "1.3.0"`, `version = "2.0.0"`)
	c.edit(t, "apps/packages/default.nix", `Version: 1.0\n`, `Version: 0.9\n`)
	c.file(t, "apps/packages/vex.yaml", `statements:
- vulnerability: CVE-2026-1002
  status: not_affected
  justification: vulnerable_code_not_in_execute_path
  date: 2026-11-01
`)
	compared := func(args ...string) compare.ComponentDelta {
		t.Helper()
		var got compare.Comparison
		out := c.run(append([]string{"diff", "--db", db, "--to", reg.prefix(), "--json"}, args...)...).want(t, 0)
		if err := json.Unmarshal([]byte(out.stdout), &got); err != nil || len(got.Components) != 1 || got.Kind != compare.PackageVersion {
			t.Fatalf("%v\n%s", err, out.stdout)
		}
		return got.Components[0]
	}
	working := compared("packages/web")
	c.run("push", "packages/web/default", "--to", reg.prefix()).want(t, 0)
	for name, delta := range map[string]compare.ComponentDelta{"working tree": working, "published": compared("packages", "1.0-1", "1.0-2")} {
		v := delta.Vulnerabilities
		if v == nil || len(v.Fixed) != 2 || v.Fixed[0].ID != "CVE-2026-1001" || v.Fixed[0].Settled != "" || v.Fixed[1].ID != "CVE-2026-1002" || !strings.HasPrefix(v.Fixed[1].Settled, "not_affected") {
			t.Errorf("%s: fixed: %+v", name, v)
		}
		if v == nil || len(v.New) != 1 || v.New[0].ID != "CVE-2026-1003" || v.New[0].Package != "two" || v.New[0].Version != "0.9" {
			t.Errorf("%s: new: %+v", name, v)
		}
		var changed []string
		for _, p := range delta.Packages.Changes {
			changed = append(changed, p.Name+" "+strings.Join(p.From, "+")+" "+strings.Join(p.To, "+"))
		}
		if want := []string{"left 1.3.0 2.0.0", "one 1.0 0.9", "two 1.0 0.9"}; !slices.Equal(changed, want) {
			t.Errorf("%s: packages %q, want %q", name, changed, want)
		}
	}
}

// Releases that do not verify are not compared: a moved tag, a release without its signature,
// an image without its SBOM, or another key.
func TestDiffRefusesWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	newer := c.copy(t)
	newer.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	newer.run("push", two, "--to", reg.prefix()).want(t, 0)
	old, recent := reg.prefix()+"/two-default:2-3", reg.prefix()+"/two-default:2-4"
	operator := catalogue{dir: t.TempDir()}
	key := filepath.Join(c.dir, "cosign.pub")
	run := func(from, to, key string) outcome {
		return operator.run("diff", from, to, "--key", key, "--notes=false", "--exit-code")
	}
	before := reg.count()
	run(old, recent, key).want(t, 1)
	for _, request := range reg.since(before) {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("diff sends %s", request)
		}
	}
	if got := run(old, old, key).want(t, 0); got.stdout != "" {
		t.Errorf("a release differs from itself:\n%s", got.stdout)
	}
	c.run("keygen", "--output", filepath.Join(operator.dir, "other")).want(t, 0)
	refused := func(what, key, want string) {
		t.Helper()
		for _, pair := range [][2]string{{old, recent}, {recent, old}} {
			if got := run(pair[0], pair[1], key).want(t, 1); got.stdout != "" || !strings.Contains(got.stderr, want) {
				t.Errorf("%s:\n%s%s", what, got.stdout, got.stderr)
			}
		}
	}
	refused("another's key", "other.pub", "signed with another key")
	reg.detach(t, false, reg.subjects(t, "two-web-default:2-4"), state.CycloneDXType)
	refused("no SBOM", key, "two-web-default")
	reg.detach(t, false, reg.subjects(t, "two-default:2-3"), sign.SignatureType)
	refused("no signature", key, "two-default:2-3")
	reg.retag(t, "two-default", "2-4", "2-3")
	refused("a moved tag", key, "two-default:2-3 was moved")
}
