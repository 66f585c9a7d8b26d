package router

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
)

const authorizes = "/api/v1.0/documents/media-auth/"

// signs answers as the service that authorizes: with the headers, or a status.
func signs(status int, headers map[string]string) func(string, http.ResponseWriter, *http.Request) bool {
	return func(_ string, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != authorizes {
			return false
		}
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		return true
	}
}

// forged are headers that a client sends, and no bucket must get.
func forged() http.Header {
	return http.Header{
		"Authorization": {"AWS4 forged"}, "X-Amz-Date": {"forged"}, "X-Amz-Content-Sha256": {"forged"}, "X-Amz-Acl": {"forged"}, "Cookie": {"session=secret"},
		"X-Original-Url": {"https://docs.example.org/media/forged"}, "X-Original-Method": {"FORGED"}, "X_Original_Url": {"forged"}, "X_Amz_Date": {"forged"},
		"Upgrade": {"forged"}, "Connection": {"Upgrade"}, "If-None-Match": {"forged"}, "Range": {"bytes=0-1"},
	}
}

// A request for /media is first asked of the service, with what the client sent, and then
// of the bucket, with what the service answered.
func TestMediaIsAuthorizedAndThenAskedOfTheBucket(t *testing.T) {
	a := describetest.App(t, "docs")
	a.Spec.Routes["/"] = describe.Route{Bucket: "bucket"} // also without authorization
	h := build(t, a, signs(204, map[string]string{"Authorization": "AWS4 signed", "X-Amz-Date": "today", "X-Amz-Content-SHA256": "of nothing", "X-Other": "x"}))
	for path, key := range map[string]string{
		"/media/x": "x", "/media/a%20b/c.png?versionId=1&acl": "a%20b/c.png", "/media/%C3%A9%3F%25": "%C3%A9%3F%25", "/MEDIA/x": "x", "/media/a+b": "a+b",
	} {
		response, body, requests := h.ask(t, http.MethodGet, path, forged(), nil)
		if response.StatusCode != http.StatusOK || body != addresses["bucket"][0] || len(requests) != 2 {
			t.Fatalf("%s: %s %q after %d requests", path, response.Status, body, len(requests))
		}
		asked, got := requests[0], requests[1]
		if asked.address != addresses["web"][0] || asked.method != "GET" || asked.uri != authorizes || asked.host != "docs.example.org" {
			t.Errorf("%s: first %s %s%s of %s was asked", path, asked.method, asked.host, asked.uri, asked.address)
		}
		wantHeaders(t, path+" of the service", asked.header, map[string]string{
			"X-Original-Url": "https://docs.example.org" + path, "X-Original-Method": "GET", "Cookie": "session=secret", "Authorization": "AWS4 forged",
			"If-None-Match": "", "Range": "", "Upgrade": "", "X_Original_Url": "", "X-Amz-Date": "",
		})
		if got.uri != "/files/"+key || got.host != fmt.Sprintf("bucket.test:%d", h.port) || got.method != "GET" {
			t.Errorf("%s: then %s %s%s was asked, want /files/%s", path, got.method, got.host, got.uri, key)
		}
		wantHeaders(t, path+" of the bucket", got.header, map[string]string{
			"Authorization": "AWS4 signed", "X-Amz-Date": "today", "X-Amz-Content-Sha256": "of nothing", "X-Other": "", "X-Amz-Acl": "", "Cookie": "", "X_Amz_Date": "",
			"Range": "bytes=0-1", "If-None-Match": "forged",
		})
		if policy := response.Header["Content-Security-Policy"]; !slices.Equal(policy, []string{"default-src 'none'"}) {
			t.Errorf("%s: the answer has the policy %q", path, policy)
		}
	}
	_, _, requests := h.ask(t, http.MethodGet, "/public", forged(), nil)
	if len(requests) != 1 || requests[0].uri != "/files/public" {
		t.Fatalf("/public: %+v", requests)
	}
	wantHeaders(t, "/public", requests[0].header, map[string]string{"Authorization": "", "X-Amz-Date": "", "Cookie": ""})
}

// wantHeaders compares some headers; "" is none.
func wantHeaders(t *testing.T, what string, got http.Header, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if text := strings.Join(got[name], ", "); text != want[name] {
			t.Errorf("%s: %s is %q, want %q", what, name, text, want[name])
		}
	}
}

// What the service does not answer does not reach the bucket from the client instead.
func TestHeadersThatTheServiceDoesNotAnswer(t *testing.T) {
	h := build(t, describetest.App(t, "docs"), signs(200, map[string]string{"X-Amz-Date": "today"}))
	_, _, requests := h.ask(t, http.MethodGet, "/media/x", forged(), nil)
	if len(requests) != 2 {
		t.Fatalf("%d requests, want 2", len(requests))
	}
	wantHeaders(t, "the bucket", requests[1].header, map[string]string{"X-Amz-Date": "today", "Authorization": "", "X-Amz-Content-Sha256": ""})
}

// The service's refusal is the answer, and the bucket is not asked.
func TestMediaIsRefused(t *testing.T) {
	for _, status := range []int{403, 401, 302, 304, 500} {
		h := build(t, describetest.App(t, "docs"), signs(status, map[string]string{"Location": "/login"}))
		response, _, requests := h.ask(t, http.MethodGet, "/media/x", nil, nil)
		if response.StatusCode != status || len(requests) != 1 || requests[0].address != addresses["web"][0] {
			t.Errorf("%d: got %s after %d requests", status, response.Status, len(requests))
		}
	}
}

// A path that two could read in two ways, and the bucket itself, are asked of nobody.
func TestPathsThatAreNoObject(t *testing.T) {
	h := build(t, describetest.App(t, "docs"), signs(200, nil))
	for path, want := range map[string]int{
		"/media/a/../b": 400, "/media/a/%2e%2e/b": 400, "/media/a%2F..%2Fb": 400, "/media/./b": 400, "/media/a//b": 400, "/media/a%2F%2Fb": 400, "/media/b/..": 400,
		"/media": 404, "/media/": 404,
	} {
		response, _, requests := h.ask(t, http.MethodGet, path, nil, nil)
		bucket := slices.ContainsFunc(requests, func(r seen) bool { return r.address == addresses["bucket"][0] })
		if response.StatusCode != want || bucket || want == 400 && len(requests) > 0 {
			t.Errorf("%s: %s after %d requests, one of the bucket: %v", path, response.Status, len(requests), bucket)
		}
	}
	// These are above /media, and reach what is there.
	for _, path := range []string{"/media/../b", "/media/%2e%2e/b"} {
		if _, _, requests := h.ask(t, http.MethodGet, path, nil, nil); len(requests) != 1 || requests[0].address != addresses["frontend"][0] {
			t.Errorf("%s: %+v", path, requests)
		}
	}
}
