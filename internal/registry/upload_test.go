package registry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// CheckPush begins an upload to check push access. The first blob that is not small uses it,
// unless the registry has forgotten it.
func TestCheckPush(t *testing.T) {
	for _, kind := range kinds {
		for _, forgotten := range []bool{false, true} {
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			if err := client.CheckPush(context.Background(), imageRef); err != nil {
				t.Fatal(err)
			}
			puts := 0
			registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
				if what != "PUT blobs/uploads" || r.ContentLength < 100_000 {
					return false
				}
				if puts++; puts > 1 || !forgotten {
					return false
				}
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			dir, digest, _ := oneImage(t, 100_000)
			client.MarkBlobPresent(mustTag(t, client, imageRef).Context()) // without any blob
			if _, err := client.PushIndex(context.Background(), dir, digest, imageRef); err != nil {
				t.Fatal(err)
			}
			want := []string{"POST blobs/uploads", "PUT blobs/uploads", "POST blobs/uploads", "PUT manifests", "PUT manifests"}
			if kind == "docker-registry" { // which takes the config in two requests
				want = append(want, "PUT blobs/uploads")
			}
			if forgotten {
				want = append(want, "POST blobs/uploads", "PUT blobs/uploads")
			}
			registry.meddle = nil
			expectRequests(t, registry.since(), want...)
			sound(t, client, imageRef, digest)
		}
	}
}

// A blob is sent to a registry that cannot mount, or does not support it.
func TestNoMount(t *testing.T) {
	for _, status := range []int{202, 400, 401, 403, 404, 405} {
		registry := record(t, handlerOf(t, "no referrers"))
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(what, "?mount") {
				return false
			}
			if status == http.StatusAccepted {
				r.URL.RawQuery = ""
				return false
			}
			w.WriteHeader(status)
			return true
		}
		client := registry.client(t)
		dir, digest, _ := oneImage(t, 100_000)
		for _, ref := range []catalog.Ref{{Repository: "docs-a-default", Tag: "1-1"}, {Repository: "docs-b-default", Tag: "1-1"}} {
			if _, err := client.PushIndex(context.Background(), dir, digest, ref); err != nil {
				t.Errorf("%d: %v", status, err)
			}
			sound(t, client, ref, digest)
		}
	}
}

func TestPushIndexLocations(t *testing.T) {
	dir, digest, _ := oneImage(t, 100_000)
	for _, test := range []struct {
		location func(absolute *url.URL) string
		want     string // in the error; "" for none
	}{
		{func(u *url.URL) string { return u.Path }, ""},
		{func(u *url.URL) string { return u.String() }, ""},
		{func(u *url.URL) string { return "//" + u.Host + u.Path + "?_state=a%2Fb%3D+c" }, ""},
		{func(u *url.URL) string { return "" }, "names no URL to upload to"},
		{func(u *url.URL) string { return strings.Replace(u.String(), "127.0.0.1", "localhost", 1) }, ""}, // as private as the registry
		{func(u *url.URL) string { return "http://[::1]:1/" }, "refused"},
		{func(u *url.URL) string { return "http://a b/" }, "host name"},
	} {
		var host, queries string
		inner := handlerOf(t, "no referrers")
		registry := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
				queries += r.URL.RawQuery + "\n"
			}
			if r.Method != http.MethodPost {
				inner.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			inner.ServeHTTP(answer, r)
			w.Header().Set("Location", test.location(&url.URL{Scheme: "http", Host: host, Path: answer.Header().Get("Location")}))
			w.WriteHeader(answer.Code)
		}))
		host = registry.host
		_, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageRef)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if strings.Contains(queries, "_state") && !strings.Contains(queries, "_state=a%2Fb%3D+c&digest=sha256%3A") {
			t.Errorf("the registry's query was changed: %s", queries)
		}
	}
}
