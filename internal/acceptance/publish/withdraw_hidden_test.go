package publish

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/withdrawn"
)

// If the statement is deleted, a registry hides a withdrawal. At the present record, status and
// push notice it. At the withdrawn release and its images, only push --deep notices it and
// attaches it again.
func TestDeletedWithdrawalsAreAttachedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"referrers", "docker-registry"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, kind, sign.Bundle)
			c, push := withdrawnCatalogue(t, sign.Bundle, reg)
			c.run("withdraw", "two", "2-3", "--reason", lossy, "--to", reg.prefix()).want(t, 0)
			push()
			byTag, old := kind == "docker-registry", []string{"two-default:2-3", "two-web-default:2-3", "two-job-default:2-3"}
			verify := func(code int) {
				t.Helper()
				for _, one := range old {
					c.run("verify", reg.prefix()+"/"+one, "--key", "cosign.pub").want(t, code)
				}
			}
			verify(1)
			for _, one := range old {
				reg.detach(t, byTag, reg.subjects(t, one), withdrawn.PredicateType)
			}
			verify(0)
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			verify(0)
			c.run("push", two, "--to", reg.prefix(), "--deep").want(t, 0)
			verify(1)
			before := reg.count()
			c.run("push", two, "--to", reg.prefix(), "--deep").want(t, 0)
			for _, request := range reg.since(before) {
				if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
					t.Errorf("nothing to do, and yet %s", request)
				}
			}

			for _, one := range append(old, "two-default:2-4") {
				reg.detach(t, byTag, reg.subjects(t, one), withdrawn.PredicateType)
			}
			if got := c.run("status", two, "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stdout, "\tincomplete\t") {
				t.Errorf("status:\n%s", got.stdout)
			}
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			verify(1)
			c.run("status", two, "--to", reg.prefix()).want(t, 0)
		})
	}
}
