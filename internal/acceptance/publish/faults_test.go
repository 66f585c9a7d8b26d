package publish

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
)

// operations are the kinds of requests that publishing sends.
var operations = map[string]*regexp.Regexp{
	"read a manifest":    regexp.MustCompile(`^GET .*/manifests/`),
	"look at a manifest": regexp.MustCompile(`^HEAD .*/manifests/`),
	"look at a blob":     regexp.MustCompile(`^HEAD .*/blobs/`),
	"list referrers":     regexp.MustCompile(`^GET .*/referrers/`),
	"start an upload":    regexp.MustCompile(`^POST .*/blobs/uploads/`),
	"upload":             regexp.MustCompile(`^PATCH .*/blobs/uploads/`),
	"end an upload":      regexp.MustCompile(`^PUT .*/blobs/uploads/`),
	"write a manifest":   regexp.MustCompile(`^PUT .*/manifests/sha256:`),
	"write a fallback":   regexp.MustCompile(`^PUT .*/manifests/sha256-`),
	"write a tag":        regexp.MustCompile(`^PUT .*/manifests/[^/:]*$`),
}

func operation(r *http.Request) string {
	request := r.Method + " " + r.URL.Path
	for name, pattern := range operations {
		// The tag of a list of referrers looks like any other tag.
		if pattern.MatchString(request) && (name != "write a tag" || !operations["write a fallback"].MatchString(request)) {
			return name
		}
	}
	return ""
}

// A fault answers instead of the registry, or spoils its answer.
type fault func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc)

// answer refuses, as registries do, and may add headers such as Retry-After.
func answer(code int, header ...string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		// Some registries repeat the request's header.
		http.Error(w, fmt.Sprintf("{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not\\ntoday %s\"}]}", r.Header.Get("Authorization")), code)
	}
}

func delay(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) {
	time.Sleep(300 * time.Millisecond)
	forward(w, r)
}

func reset(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) }

// lose forwards the request and loses the answer.
func lose(_ http.ResponseWriter, r *http.Request, forward http.HandlerFunc) {
	forward(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// truncate cuts an answer in half.
func truncate(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) {
	whole := httptest.NewRecorder()
	forward(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	if body := whole.Body.Bytes(); r.Method == http.MethodGet && len(body) > 0 {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
}

// forget confirms a write and writes nothing.
func forget(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
	if r.Method == http.MethodPatch {
		w.Header().Set("Location", r.URL.String())
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// meddler spoils the n-th requests, counted from 1, of one operation. "" is any operation.
func meddler(do fault, on string, n ...int) func(http.ResponseWriter, *http.Request, http.HandlerFunc) bool {
	var mu sync.Mutex
	seen := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		name := operation(r)
		mu.Lock()
		seen[name]++
		hit := slices.Contains(n, seen[name]) && (on == "" || on == name)
		mu.Unlock()
		if hit && name != "" {
			do(w, r, forward)
		}
		return hit && name != ""
	}
}

// two selects one release of two images.
const two = "two/*/default"

func undisturbedTwo(t *testing.T) map[string]string {
	t.Helper()
	only := undisturbedDefaults(t)
	maps.DeleteFunc(only, func(reference, _ string) bool { return !strings.HasPrefix(reference, "two-") })
	return only
}

// Temporary faults are retried without a message. The first and the fifth request of each
// kind are faulty.
func TestTemporaryFaultsAreRetried(t *testing.T) {
	t.Parallel()
	want := undisturbedTwo(t)
	c := shared(t)
	for name, do := range map[string]fault{
		"delay": delay, "reset": reset, "lost answer": lose, "truncated": truncate,
		"408": answer(408), "500": answer(500), "502": answer(502), "503": answer(503),
		"429": answer(429, "Retry-After", "1"), "429 until": answer(429, "Retry-After", time.Now().Format(http.TimeFormat)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, "no referrers", sign.Bundle)
			reg.setMeddle(meddler(do, "", 1, 5))
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			reg.setMeddle(nil)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags: %s", diff)
			}
			reg.audit(t)
		})
	}
}

// A permanent fault fails with one clear line, unless it does not matter. The next run
// completes.
func TestPermanentFaultsAreOneLineEach(t *testing.T) {
	t.Parallel()
	c := shared(t)
	want := undisturbedTwo(t)
	for _, test := range []struct {
		name string
		do   fault
		on   []string
		code int // the exit code, if it is not 0
	}{
		{"401", answer(401, "WWW-Authenticate", `Basic realm="x"`), []string{"read a manifest", "look at a manifest", "list referrers", "upload", "write a fallback", "write a tag"}, 4},
		{"403", answer(403), []string{"read a manifest", "start an upload", "write a manifest", "write a tag"}, 4},
		{"404", answer(404), []string{"read a manifest", "look at a manifest", "list referrers", "start an upload", "write a manifest"}, 3},
		{"413", answer(413), []string{"upload", "end an upload", "write a manifest"}, 3},
		{"forgotten", forget, []string{"upload", "end an upload", "write a manifest", "write a fallback", "write a tag"}, 3},
	} {
		for i, on := range test.on {
			n := 1 + i%3
			t.Run(fmt.Sprintf("%s/%s %d", test.name, on, n), func(t *testing.T) {
				t.Parallel()
				// For lost writes, use a registry that refuses a manifest without its blobs.
				kind := "no referrers"
				if test.name == "forgotten" {
					kind = "docker-registry"
				}
				reg := newWatched(t, kind, sign.Bundle)
				reg.setMeddle(meddler(test.do, on, n))
				got := c.run("push", two, "--to", reg.prefix())
				if got.code != 0 {
					got.want(t, test.code)
				}
				checkLines(t, got)
				if got.code == 0 {
					if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
						t.Errorf("exit code 0, and tags: %s\n%s", diff, got.stderr)
					}
				}
				t.Logf("exit code %d\n%s", got.code, got.stderr)
				reg.setMeddle(nil)
				c.run("push", two, "--to", reg.prefix()).want(t, 0)
				if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
					t.Errorf("tags after the next run: %s", diff)
				}
				reg.audit(t)
			})
		}
	}
}

var errorLine = regexp.MustCompile(`(?m)^error: .*$`)

// checkLines checks that the output contains nothing for programmers.
func checkLines(t *testing.T, o outcome) {
	t.Helper()
	for _, word := range []string{"goroutine ", "panic", "0xc0", "&{", "map[", "%!", "<nil>", "HEAD responses have no body", "not\ntoday"} {
		if strings.Contains(o.stdout+o.stderr, word) {
			t.Errorf("the output has %q:\n%s%s", word, o.stdout, o.stderr)
		}
	}
	if lines := errorLine.FindAllString(o.stderr, -1); o.code != 0 && len(lines) != 1 {
		t.Errorf("not one line that says how it ended:\n%s", o.stderr)
	}
}

// An app that cannot be published does not hold back the others.
func TestAppThatFailsHoldsNoOtherBack(t *testing.T) {
	t.Parallel()
	c := shared(t)
	want := undisturbedDefaults(t)
	for _, test := range []struct {
		name string
		do   fault
		code int
	}{{"500", answer(500), 3}, {"413", answer(413), 3}, {"403", answer(403), 4}, {"reset", reset, 3}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, "docker-registry", sign.Bundle)
			reg.setMeddle(func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
				hit := operation(r) == "write a manifest" && strings.Contains(r.URL.Path, "/one-pages-")
				if hit {
					test.do(w, r, forward)
				}
				return hit
			})
			got := c.run("push", defaults, "--to", reg.prefix()).want(t, test.code)
			checkLines(t, got)
			if published := printedDigests(got, "published"); len(published) != 3 {
				t.Errorf("published %v, want all of two", published)
			}
			if !regexp.MustCompile(`(?m)^failed: one/pages/default\n  push: pushing \S+: .*$`).MatchString(got.stderr) {
				t.Errorf("the block of the failure:\n%s", got.stderr)
			}
			if rows := got.rows(); len(rows) != 5 || !strings.Contains(got.stdout, "held\tnot tagged: one/pages/default failed") {
				t.Errorf("the table:\n%s", got.stdout)
			}
			for reference := range reg.tags(t) {
				if !strings.HasPrefix(reference, "two-") {
					t.Errorf("%s is tagged, and its release is not whole", reference)
				}
			}
			reg.setMeddle(nil)
			c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags after the next run: %s", diff)
			}
		})
	}
}
