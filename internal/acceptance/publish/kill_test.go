package publish

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
)

// A run may be killed at any time. No tag then points to something incomplete (the watched
// registry checks that), and one more run gives the result of an undisturbed run.
func TestKilledRunTagsNothingHalfAndIsResumed(t *testing.T) {
	t.Parallel()
	want := undisturbedDefaults(t)
	c := shared(t)
	counted := newWatched(t, "referrers", sign.Bundle) // the fewest requests
	c.run("push", defaults, "--to", counted.prefix()).want(t, 0)
	requests := counted.count()
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	for i := range 15 {
		kind := []string{"no referrers", "referrers", "docker-registry"}[i%3]
		at, answered := 1+random.IntN(requests-1), random.IntN(2) == 0
		t.Run(fmt.Sprintf("%d/%s/request %d answered %v", i, kind, at, answered), func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, kind, sign.Bundle)
			cmd := c.command("push", defaults, "--to", reg.prefix())
			var seen atomic.Int64
			reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
				if seen.Add(1) != int64(at) {
					return false
				}
				if answered { // the registry did it, and the answer is lost
					forward(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
				}
				if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				panic(http.ErrAbortHandler)
			})
			if got := finish(cmd); seen.Load() >= int64(at) { // this run may have fewer requests
				got.want(t, -1)
			}
			reg.setMeddle(nil)
			reg.audit(t)
			c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags after the next run: %s", diff)
			}
			reg.audit(t)
		})
	}
}

// Two concurrent runs, on one machine or on two, give the result of one.
func TestTwoRunsAtOnceGiveWhatOneGives(t *testing.T) {
	t.Parallel()
	want := undisturbedDefaults(t)
	c := shared(t)
	for _, kind := range kinds {
		for round, other := range []catalogue{c, c.copy(t)} {
			t.Run(fmt.Sprint(kind, "/", round), func(t *testing.T) {
				t.Parallel()
				reg := newWatched(t, kind, sign.Bundle)
				// If attachments are in one list, a run may temporarily drop the other's
				// attachment. The final state counts.
				reg.lenient = kind == "no referrers" || kind == "docker-registry"
				var group sync.WaitGroup
				for _, one := range []catalogue{c, other} {
					group.Go(func() {
						if got := one.run("push", defaults, "--to", reg.prefix()); got.code != 0 {
							t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
						}
					})
				}
				group.Wait()
				if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
					t.Errorf("tags: %s", diff)
				}
				reg.audit(t)
			})
		}
	}
}
