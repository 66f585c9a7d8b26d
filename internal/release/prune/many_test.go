package prune

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// A list of tags that takes long is not read again before each release that is deleted.
func TestLongListsAreNotReadForEachRelease(t *testing.T) {
	registry := testkit.Quirks{TagsPage: 5}.Registry()
	var pages atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			pages.Add(1)
			time.Sleep(50 * time.Millisecond)
		}
		registry.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h := newHouse(t, strings.TrimPrefix(server.URL, "http://"))
	const releases, most = 40, 2 * 8 // pages of the lists of both repositories
	for n := range releases {
		h.publish("docs", fmt.Sprint(n+101), "", 100*day)
	}
	pages.Store(0)
	plan := h.plan(Rule{Keep: 1})
	if len(plan.Releases) != releases-1 || pages.Load() > most+2 {
		t.Errorf("%d releases go, after %d pages of tags", len(plan.Releases), pages.Load())
	}
	pages.Store(0)
	check(t, h.pruner().Delete(t.Context(), plan, func(Release) {}))
	// The lists are read at first, and once more at least, but not for each release.
	if n := pages.Load(); n < most+2 || n > releases*most/4 {
		t.Errorf("%d pages of tags are read", n)
	}
	if got := h.there(); !slices.Equal(got, []string{fmt.Sprint(releases + 100)}) {
		t.Errorf("there are %q", got)
	}
}
