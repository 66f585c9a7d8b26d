package router

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
)

// The longest path wins, by whole segments, and what no route has is not found.
func TestPathsReachTheirServices(t *testing.T) {
	a := describetest.App(t, "docs")
	a.Spec.Routes["/api/deep"] = describe.Route{Service: "frontend", StripPrefix: true}
	h := build(t, a, nil)
	web, frontend := addresses["web"][0], addresses["frontend"][0]
	for path, want := range map[string]string{
		"/": frontend + " /", "/apis": frontend + " /apis", "/api-2/x": frontend + " /api-2/x", "/x/api": frontend + " /x/api",
		"/api": web + " /api", "/api/": web + " /api/", "/api/v1?a=b%20c": web + " /api/v1?a=b%20c", "/api/a%2Fb": web + " /api/a%2Fb", "/api//x": web + " /api//x", "/x/../api/y": web + " /x/../api/y",
		"/api/deep": frontend + " /", "/api/deep/a%20b?c=d": frontend + " /a%20b?c=d", "/api/deeper": web + " /api/deeper",
		"/external_api/x": web + " /external_api/x", "/static/x": web + " /static/x",
	} {
		response, _, requests := h.ask(t, http.MethodGet, path, nil, nil)
		if len(requests) != 1 {
			t.Errorf("%s: %s, and %d requests behind", path, response.Status, len(requests))
			continue
		}
		if got := requests[0].address + " " + requests[0].uri; got != want || requests[0].host != "docs.example.org" {
			t.Errorf("%s reached %s of %s, want %s of docs.example.org", path, got, requests[0].host, want)
		}
	}
}

func TestWithoutARouteItIsNotFound(t *testing.T) {
	a := describetest.App(t, "docs")
	delete(a.Spec.Routes, "/")
	h := build(t, a, nil)
	for _, path := range []string{"/", "/apis", "/healthz"} {
		if response, _, requests := h.ask(t, http.MethodGet, path, nil, nil); response.StatusCode != http.StatusNotFound || len(requests) != 0 {
			t.Errorf("%s: %s, and %d requests behind", path, response.Status, len(requests))
		}
	}
}

// A body over the limit is refused, also if its length is not known before.
func TestBodiesAreLimited(t *testing.T) {
	h := build(t, describetest.App(t, "docs"), nil)
	const limit = 10 << 20
	for _, test := range []struct {
		path    string
		size    int
		chunked bool
		want    int
	}{
		{"/api/upload", limit, false, 200}, {"/api/upload", limit + 1, false, 413},
		{"/api/upload", limit, true, 200}, {"/api/upload", limit + 1, true, 413},
		{"/", limit + 1, false, 200},
	} {
		var body interface{ Read([]byte) (int, error) } = strings.NewReader(strings.Repeat("x", test.size))
		if test.chunked {
			body = struct{ reader }{body}
		}
		if response, _, _ := h.ask(t, http.MethodPost, test.path, nil, body); response.StatusCode != test.want {
			t.Errorf("%s with %d bytes, chunked %v: %s, want %d", test.path, test.size, test.chunked, response.Status, test.want)
		}
	}
}

type reader interface{ Read([]byte) (int, error) }

// A header's value is what the document says, whatever it has of Caddy's own signs.
func TestHeadersOfAnswers(t *testing.T) {
	t.Setenv("LEAKED", "leaked")
	a := describetest.App(t, "docs")
	frontend := a.Spec.Routes["/"]
	frontend.ResponseHeaders = map[string]string{}
	for i, value := range hostileValues {
		frontend.ResponseHeaders[fmt.Sprintf("X-%d", i)] = value
	}
	a.Spec.Routes["/"] = frontend
	h := build(t, a, func(_ string, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("X-0", "of the app")
		return false
	})
	response, _, _ := h.ask(t, http.MethodGet, "/", nil, nil)
	for i, want := range hostileValues {
		if got := response.Header[fmt.Sprintf("X-%d", i)]; len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
