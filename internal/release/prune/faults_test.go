package prune

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libresh/libre/internal/registry"
)

// Whichever request fails, and in whatever way, what must stay is kept, and the next run
// completes.
func TestFaultsOfEachRequest(t *testing.T) {
	kinds := map[string]func(w http.ResponseWriter){
		"refused": func(w http.ResponseWriter) { http.Error(w, `{"errors":[{"code":"DENIED"}]}`, http.StatusForbidden) },
		"missing": func(w http.ResponseWriter) { http.Error(w, `{"errors":[]}`, http.StatusNotFound) },
		"odd":     func(w http.ResponseWriter) { fmt.Fprint(w, `{"name":"x"}`) },
		"cut":     func(w http.ResponseWriter) { fmt.Fprint(w, `{"tags":["1-1"`) },
	}
	for kind, answer := range kinds {
		t.Run(kind, func(t *testing.T) {
			host := memory(t)
			var failing, count atomic.Int64
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
			proxy.ErrorLog = log.New(io.Discard, "", 0)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if at := count.Add(1); at == failing.Load() && r.URL.Path != "/v2/" {
					answer(w)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			h := newHouse(t, strings.TrimPrefix(server.URL, "http://"))
			stay := []string{"4", "3", "2"}
			for _, version := range []string{"2", "3", "4"} {
				h.publish("docs", version, "", 100*day)
			}
			h.tag("docs-web-default", "2-1", "latest")
			for n := 1; ; n++ {
				h.publish("docs", "1", "", 100*day)
				plan := h.plan(Rule{Keep: 2})
				if got := goes(plan); !slices.Equal(got, []string{"docs-default:1-1"}) {
					t.Fatalf("%q go", got)
				}
				count.Store(0)
				failing.Store(int64(n))
				if again, err := h.fresh().Plan(context.Background(), Rule{Keep: 2}); err == nil && slices.ContainsFunc(again.Releases, func(r Release) bool { return r.Record.Tag != "1-1" }) {
					t.Errorf("request %d: %q may go", n, goes(again))
				}
				last := count.Load() < int64(n)
				count.Store(0)
				err := h.fresh().Delete(context.Background(), plan, func(Release) {})
				last = last && count.Load() < int64(n)
				failing.Store(0)
				if got := h.thereAfter("docs", n, err); !slices.Equal(got, stay) && !slices.Equal(got, append(slices.Clone(stay), "1")) {
					t.Fatalf("request %d, %v: there are %q", n, err, got)
				}
				check(t, h.fresh().Delete(context.Background(), plan, func(Release) {}))
				if got := h.there(); !slices.Equal(got, stay) {
					t.Fatalf("request %d, then again: there are %q", n, got)
				}
				if last {
					t.Logf("%d requests", n)
					return
				}
			}
		})
	}
}

// fresh returns a pruner with a new client.
func (h *house) fresh() *Pruner {
	h.Helper()
	client, err := registry.NewClient(h.client.String(), registry.Options{})
	check(h, err)
	p := h.pruner()
	p.Registry = client
	return p
}
