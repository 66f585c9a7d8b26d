package publish

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
)

// 64 runs publish the same release to one registry at once. All succeed, and print the same
// references. The release is complete.
func TestSixtyFourRunsAtOnce(t *testing.T) {
	t.Parallel()
	const runs = 64
	c := newCatalogue(t, map[string]string{"two/default.nix": definitions["two/default.nix"]}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	c.run("build", "--all").want(t, 0)
	for _, kind := range []string{"docker-registry", "libre serve"} {
		t.Run(kind, func(t *testing.T) {
			reg := newWatched(t, kind, sign.Bundle)
			// If attachments are in one list, a run may temporarily drop another's attachment. The
			// final state counts.
			reg.lenient = kind == "docker-registry"
			push := []string{"push", two, "--to", reg.prefix()}
			var group sync.WaitGroup
			ends := make([]outcome, runs)
			for n := range ends {
				group.Go(func() { ends[n] = c.run(push...) })
			}
			group.Wait()
			tags := reg.tags(t)
			for n, end := range ends {
				printed := printedDigests(end, "published")
				for reference, digest := range printedDigests(end, "unchanged") {
					printed[reference] = digest
				}
				if diff := cmp.Diff(tags, printed); diff != "" || end.code != 0 {
					t.Errorf("run %d: exit code %d, tags in the registry, and printed: %s\n%s", n, end.code, diff, end.stderr)
				}
			}
			reg.audit(t)
			c.run("verify", two, "--to", reg.prefix()).want(t, 0)
			if again := c.run(push...).want(t, 0); len(printedDigests(again, "unchanged")) != len(tags) || len(tags) != 3 {
				t.Errorf("pushed again, with the tags %v:\n%s", tags, again.stdout)
			}
			t.Logf("%d requests", reg.count())
		})
	}
}
