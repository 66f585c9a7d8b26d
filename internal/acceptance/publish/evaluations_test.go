package publish

import (
	"crypto/rand"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// However many images a push describes, the package set is asked once about what is in them. A
// push of what is published asks nothing.
func TestPushDescribesImagesByOneEvaluation(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
	c.file(t, "libre.yaml", "sign: {key: cosign.key}\nlicenses: {deny: [AGPL-3.0-only]}\n")
	buildHello(t, c.dir+"/apps/packages/hello")
	libre.Tool(t, "git", "-C", c.dir, "add", "apps")
	c.run("build", "--all").want(t, 0)
	path, evaluations := testkit.CountEvaluations(t)
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
