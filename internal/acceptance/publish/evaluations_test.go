package publish

import (
	"crypto/rand"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// A push asks the package set only once about the contents of all described images. If
// everything is published, it does not ask.
func TestPushDescribesImagesByOneEvaluation(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
	c.file(t, "libre.yaml", "sign: {key: cosign.key}\nlicenses: {deny: [AGPL-3.0-only]}\n")
	buildHello(t, c.dir+"/apps/packages/hello")
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	c.run("build", "--all").want(t, 0)
	path, evaluations := testkit.CountCalls(t, "nix", "eval")
	c.env = append(c.env, path)
	reg := newWatched(t, "referrers", sign.Bundle)
	push := []string{"push", "packages/*/*", "--to", reg.prefix()}
	count := func(args ...string) int {
		t.Helper()
		evaluations()
		c.run(args...).want(t, 0)
		return evaluations()
	}
	plan := count("plan", "packages/*/*", "--to", reg.prefix())
	if got := count(append(push, "--dry-run")...); got > plan+1 {
		t.Errorf("a dry run needs %d evaluations, plan %d", got, plan)
	}
	if got := count(push...); got > plan+1 {
		t.Errorf("push needs %d evaluations, plan %d", got, plan)
	}
	if got := count(push...); got > plan {
		t.Errorf("push of what is published needs %d evaluations, plan %d", got, plan)
	}
	reg.audit(t)
}

// One evaluation is enough to compare the published releases and upstream's versions.
func TestStatusNeedsOneEvaluation(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"one/default.nix": `{ mkApp, pkgs, ... }:
mkApp { name = "one"; version = "1"; packageVersion = 1; components.web.package = pkgs.writeText "x" "` + rand.Text() + `"; }
`}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign: {key: cosign.key}\n")
	path, evaluations := testkit.CountCalls(t, "nix", "eval")
	c.env = append(c.env, path)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("status", "--all", "--to", reg.prefix()).want(t, 0)
	if got := evaluations(); got != 1 {
		t.Errorf("status needs %d evaluations", got)
	}
}
