package publish

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	randomimage "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// If a registry does not answer, the state is unknown to plan, status and check, and push
// stops. It never counts as empty.
func TestStateIsUnknownIfTheRegistryDoesNotAnswer(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	html := func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>log in to this network</html>"))
		return true
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, http.HandlerFunc) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			w.WriteHeader(code)
			return true
		}
	}
	limited := func(after, said string) func(http.ResponseWriter, *http.Request, http.HandlerFunc) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(said))
			return true
		}
	}
	malformed := func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write([]byte(`{"schemaVersion": 2, "layers": "none`))
		return true
	}
	for name, test := range map[string]struct {
		meddle func(http.ResponseWriter, *http.Request, http.HandlerFunc) bool
		to     []string
		code   int
	}{
		"401":                    {status(401), []string{reg.prefix()}, 4},
		"403":                    {status(403), []string{reg.prefix()}, 4},
		"500":                    {status(500), []string{reg.prefix()}, 1},
		"a page of a portal":     {html, []string{reg.prefix()}, 1},
		"a malformed manifest":   {malformed, []string{reg.prefix()}, 1},
		"connection refused":     {nil, []string{"127.0.0.1:1/none"}, 1},
		"429":                    {limited("0", `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`), []string{reg.prefix()}, 1},
		"429 for long":           {limited("3600", "<html>Too many pulls</html>"), []string{reg.prefix()}, 1},
		"no TLS that fits":       {nil, []string{testkit.Say(t, "\x15\x03\x03\x00\x02\x02\x28") + "/none"}, 1},
		"no such host":           {nil, []string{"registry.invalid/none"}, 1},
		"half of the registries": {nil, []string{reg.prefix(), "127.0.0.1:1/none"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			reg.setMeddle(test.meddle)
			var to []string
			for _, prefix := range test.to {
				to = append(to, "--to", prefix)
			}
			planned := c.run(append([]string{"plan", two, "--json"}, to...)...).want(t, test.code)
			var plans []struct{ Reference, Action, Reason string }
			if err := json.Unmarshal([]byte(planned.stdout), &plans); err != nil || len(plans) != 2 {
				t.Fatalf("%v:\n%s", err, planned.stdout)
			}
			for _, plan := range plans {
				if plan.Action != "unknown" || plan.Reason == "" || !strings.HasPrefix(plan.Reference, test.to[0]+"/two-") {
					t.Errorf("planned: %+v", plan)
				}
			}
			if got := c.run(append([]string{"status", two}, to...)...).want(t, test.code); !strings.Contains(got.stdout, "\tunknown\t") {
				t.Errorf("status:\n%s", got.stdout)
			}
			checked := c.run(append([]string{"check", two}, to...)...).want(t, test.code)
			if test.code == 1 && !strings.Contains(checked.stdout, "\tunknown: ") {
				t.Errorf("check:\n%s", checked.stdout)
			}
			if name != "half of the registries" {
				pushed := 3
				if test.code == 4 {
					pushed = 4
				}
				c.run(append([]string{"push", two, "--dry-run"}, to...)...).want(t, pushed)
				c.run(append([]string{"verify", two}, to[:2]...)...).want(t, test.code)
			}
		})
	}
}

// The wait for a registry that never answers, or refuses each time without Retry-After,
// does not grow with the catalogue.
func TestNoCommandWaitsForever(t *testing.T) {
	t.Parallel()
	c := shared(t)
	for name, answer := range map[string]http.HandlerFunc{
		"does not send a complete answer within 30s": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"takes no more requests until": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
		},
	} {
		host := serve(t, answer)
		for _, command := range []string{"plan", "status"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				begun := time.Now()
				got := c.run(command, "--all", "--to", host+"/coop").want(t, 1)
				if lines := strings.Split(strings.TrimSpace(got.stdout), "\n"); strings.Count(got.stdout, "\tunknown\t") != len(lines) || !strings.Contains(got.stdout, name) {
					t.Errorf("%s%s", got.stdout, got.stderr)
				}
				if took := time.Since(begun); took > 3*time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// In registries where repositories must be created first, missing repositories are reported
// before anything is built, in the registry's own words. An app whose repositories exist is
// published.
func TestMissingRepositoriesAreNamedBeforeTheBuild(t *testing.T) {
	t.Parallel()
	c := shared(t)
	for _, missing := range []string{"two-web-default", "two-default"} { // an image's, and the record's
		reg := newWatched(t, "referrers", sign.Bundle)
		reg.setMeddle(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			if !strings.HasPrefix(r.URL.Path, "/v2/"+namespace+"/"+missing+"/") {
				return false
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name '` + missing + `' does not exist"}]}`))
			return true
		})
		pushed := c.run("push", two, "one/*/default", "--to", reg.prefix(), "--output", t.TempDir()).want(t, 3)
		if !strings.Contains(pushed.stderr, "NAME_UNKNOWN: The repository with name '"+missing+"' does not exist") {
			t.Errorf("%s:\n%s", missing, pushed.stderr)
		}
		if !strings.Contains(pushed.stdout, "/one-default:") {
			t.Errorf("%s: the other app is not published:\n%s", missing, pushed.stdout)
		}
		for _, request := range reg.since(0) {
			if strings.HasPrefix(request, "PUT") && strings.Contains(request, "/two-") {
				t.Errorf("%s: something was sent: %s", missing, request)
			}
		}
	}
}

// All commands report a tag that somebody moved, with both digests. The command in the fix
// restores the tag without building anything.
func TestMovedTagIsNamedAndPutBack(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg, mirror := newWatched(t, "referrers", sign.Bundle), newWatched(t, "docker-registry", sign.Bundle)
	reg.lenient, mirror.lenient = true, true
	to := []string{"--to", reg.prefix(), "--to", mirror.prefix()}
	c.run(append([]string{"push", two}, to...)...).want(t, 0)
	want := reg.tags(t)
	unsigned := func(w *watched, refName string) func(t *testing.T) {
		return func(t *testing.T) {
			tag, err := name.NewTag(w.backend + "/" + namespace + "/" + refName)
			if err != nil {
				t.Fatal(err)
			}
			index, err := randomimage.Index(10, 1, 1)
			if err == nil {
				err = remote.WriteIndex(tag, index)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	older := c.copy(t)
	older.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 2")
	older.run("push", two, "--to", reg.prefix()).want(t, 0)
	for _, test := range []struct {
		name, refName string
		move          func(t *testing.T)
		in            *watched
	}{
		{"an image's, to unsigned content", "two-web-default:2-3", unsigned(reg, "two-web-default:2-3"), reg},
		{"an image's, to an older one of ours", "two-web-default:2-3", func(t *testing.T) { reg.retag(t, "two-web-default", "2-2", "2-3") }, reg},
		{"the record's, to an older one of ours", "two-default:2-3", func(t *testing.T) { reg.retag(t, "two-default", "2-2", "2-3") }, reg},
		{"the record's, to unsigned content", "two-default:2-3", unsigned(reg, "two-default:2-3"), reg},
		{"in a copy only", "two-job-default:2-3", unsigned(mirror, "two-job-default:2-3"), mirror},
	} {
		t.Run(test.name, func(t *testing.T) {
			signed := test.in.tags(t)[test.refName]
			test.move(t)
			shows := test.in.tags(t)[test.refName]
			if shows == signed {
				t.Fatal("it was not moved")
			}
			named := func(command, text string) {
				t.Helper()
				for _, part := range []string{test.in.prefix() + "/" + test.refName + " was moved", shows, signed, "attack", "libre push --force 'two/*/default'"} {
					if !strings.Contains(text, part) {
						t.Errorf("%s does not say %s:\n%s", command, part, text)
					}
				}
			}
			planned := c.run(append([]string{"plan", two}, to...)...).want(t, 1)
			named("plan", planned.stdout)
			if strings.Count(planned.stdout, "\tmoved\t") != 2 {
				t.Errorf("plan:\n%s", planned.stdout)
			}
			status := c.run(append([]string{"status", two}, to...)...).want(t, 1)
			named("status", status.stdout)
			if !strings.Contains(status.stdout, "\tmoved\t"+want["two-default:2-3"]) {
				t.Errorf("status:\n%s", status.stdout)
			}
			named("check", c.run(append([]string{"check", two}, to...)...).want(t, 1).stdout)
			named("push", c.run(append([]string{"push", two}, to...)...).want(t, 1).stderr)
			verified := c.run("verify", two, "--to", test.in.prefix(), "--copy-of", reg.prefix()).want(t, 1)
			named("verify", verified.stderr)
			if !strings.Contains(verified.stdout, "\tmoved\t") {
				t.Errorf("verify:\n%s", verified.stdout)
			}
			back := c.run(append([]string{"push", two, "--force"}, to...)...).want(t, 0)
			if strings.Contains(back.stderr, "building") {
				t.Errorf("it was built again:\n%s", back.stderr)
			}
			if got := test.in.tags(t)[test.refName]; got != signed {
				t.Errorf("put back: %s, want %s", got, signed)
			}
			c.run(append([]string{"status", two, "--deep"}, to...)...).want(t, 0)
		})
	}

	t.Run("a deleted one is not tagged", func(t *testing.T) {
		for _, repository := range []string{"two-web-default", "two-default"} {
			reg.forget(t, repository, "2-3")
			status := c.run(append([]string{"status", two}, to...)...).want(t, 1)
			if !strings.Contains(status.stdout, "\tnot tagged\t"+want["two-default:2-3"]) {
				t.Errorf("%s:\n%s", repository, status.stdout)
			}
			c.run(append([]string{"push", two}, to...)...).want(t, 0)
		}
		for _, refName := range []string{"two-web-default:2-3", "two-job-default:2-3", "two-default:2-3"} {
			if diff := cmp.Diff(want[refName], reg.tags(t)[refName]); diff != "" {
				t.Errorf("%s: %s", refName, diff)
			}
		}
	})
}
