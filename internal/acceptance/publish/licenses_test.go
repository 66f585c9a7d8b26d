package publish

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
)

// A release with a component that the policy refuses is held back completely, without a tag. An
// exception with a reason allows it, until the exception expires.
func TestPushRefusesLicenses(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
	buildHello(t, filepath.Join(c.dir, "apps/packages/hello"))
	c.edit(t, "apps/packages/default.nix", `version = "1.3.0";`, `version = "1.3.0"; license = "AGPL-3.0-only";`)
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	reg := newWatched(t, "referrers", "")
	push := func(policy string, code int, flags ...string) outcome {
		t.Helper()
		c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nlicenses:\n"+policy)
		return c.run(append([]string{"push", "packages/web/default", "--to", reg.prefix()}, flags...)...).want(t, code)
	}

	if dry := push("  deny: [\"AGPL-*\"]\n", 3, "--dry-run"); !strings.Contains(dry.stderr, "licenses in libre.yaml refuses left 1.3.0") {
		t.Errorf("--dry-run:\n%s", dry.stderr)
	}

	refused := push("  deny: [\"AGPL-*\"]\n", 3)
	for _, want := range []string{"licenses in libre.yaml refuses left 1.3.0 (its license is AGPL-3.0-only)", "libre licenses packages/web/default"} {
		if !strings.Contains(refused.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, refused.stderr)
		}
	}
	if tags := reg.tags(t); len(tags) > 0 {
		t.Errorf("tagged: %v", tags)
	}
	listed := c.run("licenses", "packages/web/default").want(t, 1)
	if !strings.Contains(listed.stdout, "left\t1.3.0\tAGPL-3.0-only\tdeclared\tpackages-web-default:1.0-1\tits license is AGPL-3.0-only\n") {
		t.Errorf("listed:\n%s", listed.stdout)
	}
	checked := c.run("check", "packages/web", "--to", reg.prefix()).want(t, 1)
	if !strings.Contains(checked.stdout, "packages/web/default\tlicenses in libre.yaml refuses left 1.3.0") {
		t.Errorf("checked:\n%s", checked.stdout)
	}
	if want := "warning: licenses are checked of built images only; not built: packages/web/debug; build them with libre build --all\n"; !strings.Contains(checked.stderr, want) {
		t.Errorf("stderr lacks %q:\n%s", want, checked.stderr)
	}
	unbuilt := c.run("check", "packages/web/debug", "--json", "--to", reg.prefix()).want(t, 0)
	if !strings.Contains(unbuilt.stderr, "not built: packages/web/debug;") {
		t.Errorf("of nothing that is built:\n%s", unbuilt.stderr)
	}

	exception := "  deny: [\"AGPL-*\"]\n  exceptions:\n  - {component: \"pkg:npm/left\", license: AGPL-3.0-only, reason: ours, expires: "
	expired := push(exception+"2020-01-01}\n", 3)
	if !strings.Contains(expired.stderr, "libre.yaml:6: the exception for pkg:npm/left was valid until 2020-01-01") {
		t.Errorf("stderr:\n%s", expired.stderr)
	}
	push(exception+"2999-01-01}\n", 0)
	reference := reg.prefix() + "/packages-web-default:1.0-1"
	published := c.run("licenses", reference, "--list").want(t, 0)
	if !strings.Contains(published.stdout, "AGPL-3.0-only\t1\n") {
		t.Errorf("of the published image:\n%s", published.stdout)
	}
}
