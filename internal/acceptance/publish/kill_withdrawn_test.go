package publish

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/withdrawn"
)

// killAt kills a run at the n-th request for which counts is true: before the registry receives
// it or, if isAnswered is true, after the registry answered and before libre reads the answer.
// It returns false if there are fewer requests.
func (w *watched) killAt(t *testing.T, cmd *exec.Cmd, n int, isAnswered bool, counts func(*http.Request) bool) (wasKilled bool) {
	t.Helper()
	var seen atomic.Int64
	w.setMeddle(func(_ http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		if !counts(r) || seen.Add(1) != int64(n) {
			return false
		}
		if isAnswered {
			forward(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		}
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	got := finish(cmd)
	w.setMeddle(nil)
	if seen.Load() < int64(n) {
		got.want(t, 0)
		return false
	}
	got.want(t, -1)
	return true
}

// A push that withdraws or reinstates a release may be killed at any manifest that it writes or
// deletes, even between the statement and the record of the present release. Every release then
// verifies or is withdrawn, and the next push completes the statements everywhere.
func TestKilledWithdrawalIsCompletedByTheNextPush(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"referrers", "docker-registry"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, kind, sign.Bundle)
			c, _ := withdrawnCatalogue(t, sign.Bundle, reg)
			changes := func(r *http.Request) bool {
				return (r.Method == http.MethodPut || r.Method == http.MethodDelete) && manifestPath.MatchString(r.URL.Path)
			}
			push := []string{"push", two, "--to", reg.prefix()}
			subjects := []string{"two-default:2-3", "two-web-default:2-3", "two-job-default:2-3"}
			for n, isKilled := 1, true; isKilled; n += 3 { // odd numbers withdraw, even ones reinstate
				list, code := "withdrawn: []\n", 0
				if n%2 == 1 {
					list, code = fmt.Sprintf("withdrawn:\n  - {app: two, version: 2-3, reason: Broken %d., date: 2026-11-29}\n", n), 1
				}
				c.file(t, withdrawn.File, list)
				isKilled = reg.killAt(t, c.command(push...), n, n%4 < 2, changes)
				for _, subject := range subjects {
					got := c.run("verify", reg.prefix()+"/"+subject, "--key", "cosign.pub")
					if got.code != 0 && !strings.Contains(got.stderr, " was withdrawn on ") {
						t.Errorf("killed at change %d: %s", n, got.stderr)
					}
				}
				c.run("verify", reg.prefix()+"/two-default:2-4", "--key", "cosign.pub").want(t, 0)
				c.run(push...).want(t, 0)
				for _, subject := range subjects {
					c.run("verify", reg.prefix()+"/"+subject, "--key", "cosign.pub").want(t, code)
				}
				c.run("status", two, "--to", reg.prefix()).want(t, 0)
				if t.Failed() {
					t.Fatalf("killed at change %d", n)
				}
			}
		})
	}
}

// kindOfRequest returns a request's method and path, without names and digests.
func kindOfRequest(r *http.Request) string {
	path := regexp.MustCompile(`sha256[:-][0-9a-f]{64}`).ReplaceAllString(r.URL.Path, "DIGEST")
	path = regexp.MustCompile(`^/v2/.+/(manifests|blobs|referrers|tags)/`).ReplaceAllString(path, "$1/")
	return r.Method + " " + regexp.MustCompile(`^(manifests/)[0-9].*`).ReplaceAllString(path, "${1}TAG")
}

// prune may be killed at the first and at the last request of each kind. The remaining releases
// verify, and the same plan completes the run. The catalogue's file no longer withdraws 2-3, so
// only the statement in the registry keeps it.
func TestKilledPruneDeletesOnlyItsPlan(t *testing.T) {
	t.Parallel()
	storage := filepath.Join(t.TempDir(), "registry")
	var backend atomic.Value
	reg := watch(t, testkit.DeletingRegistry(t, storage), "")
	backend.Store(reg.backend)
	reg.proxy.Rewrite = func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", backend.Load().(string) }
	c := threeReleases(t, reg.prefix())
	c.run("withdraw", "two", "2-3", "--reason", "Broken.", "--to", reg.prefix()).want(t, 0)
	c.run("push", "--all", "--to", reg.prefix()).want(t, 0)
	check(t, os.Remove(filepath.Join(c.dir, withdrawn.File)))
	makeOlder(t, reg.prefix(), "two-default", "two-web-default", "two-job-default")
	plan := filepath.Join(c.dir, "prune.json")
	got := c.run("prune", "--all", "--keep", "1", "--to", reg.prefix(), "--plan", plan).want(t, 0)
	if !strings.Contains(got.stdout, "two-default:2-3\tstays\t\twithdrawn, says the registry\n") || !strings.Contains(got.stdout, "two-default:2-4\tgoes\t") {
		t.Fatalf("the plan:\n%s", got.stdout)
	}
	yes := []string{"prune", "--yes", plan, "--to", reg.prefix()}
	whole := func(gone bool) {
		t.Helper()
		c.run("verify", "--all", "--to", reg.prefix()).want(t, 0)
		if got := c.run("verify", reg.prefix()+"/two-default:2-3", "--key", "cosign.pub").want(t, 1); !strings.Contains(got.stderr, " was withdrawn on ") {
			t.Errorf("2-3: %s", got.stderr)
		}
		if left := reg.tags(t); gone && left["two-default:2-4"]+left["two-web-default:2-4"]+left["two-job-default:2-4"] != "" {
			t.Errorf("left: %v", left)
		}
	}
	restore := func() {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "registry")
		check(t, os.CopyFS(dir, os.DirFS(storage)))
		reg.backend = testkit.DeletingRegistry(t, dir)
		backend.Store(reg.backend)
	}
	restore()
	kinds := map[string]int{}
	reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		reg.mu.Lock()
		defer reg.mu.Unlock()
		kinds[kindOfRequest(r)]++
		return false
	})
	c.run(yes...).want(t, 0)
	reg.setMeddle(nil)
	whole(true)
	if kinds["DELETE manifests/DIGEST"] < 10 || len(kinds) < 4 {
		t.Fatalf("requests: %v", kinds)
	}
	for kind, count := range kinds {
		for i, n := range []int{1, count} {
			t.Run(fmt.Sprint(kind, " ", n), func(t *testing.T) {
				restore()
				reg.killAt(t, c.command(yes...), n, i == 1, func(r *http.Request) bool { return kindOfRequest(r) == kind })
				whole(false)
				c.run(yes...).want(t, 0)
				whole(true)
			})
		}
	}
}
