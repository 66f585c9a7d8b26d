package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// A registry that uses TLS cannot redirect a client to an address without TLS, by any
// answer: neither a password nor a layer goes there.
func TestRegistryCannotRedirectOutOfTLS(t *testing.T) {
	home := homeless(t)
	const host, plain = "registry.example", "http://plain.example"
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login(host, "publisher", "p"), login("plain.example", "publisher", "p"))
	digest := "sha256:" + strings.Repeat("1", 64)
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain+r.URL.Path, status) }
	}
	bearer := func(realm string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s",service="x"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	location := func(where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", where)
			w.WriteHeader(http.StatusAccepted)
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"redirects of all":          redirect(http.StatusTemporaryRedirect),
		"redirects, to be repeated": redirect(http.StatusPermanentRedirect),
		"redirects, to be read":     redirect(http.StatusSeeOther),
		"a realm":                   bearer(plain + "/token"),
		"a realm with a name":       bearer("http://publisher@plain.example/token"),
		"a realm of this host":      bearer("http://" + host + "/token"),
		"a realm in capitals":       bearer("HTTP://plain.example/token"),
		"where an upload goes":      location(plain + "/v2/coop/app/blobs/uploads/1"),
		"where it goes, no scheme":  location("//plain.example/v2/coop/app/blobs/uploads/1"),
		"the next part of a list": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+plain+r.URL.Path+`?last=x>; rel="next"`)
			io.WriteString(w, `{"tags":["1"],"manifests":[]}`)
		},
		"a realm that leads further": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/token") {
				redirect(http.StatusFound)(w, r)
				return
			}
			bearer("https://"+host+"/token")(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var seen []string
			network := roundTripper(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				if r.URL.Scheme != "https" {
					seen = append(seen, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
				}
				mu.Unlock()
				if r.GetBody != nil {
					r.Body, _ = r.GetBody()
				}
				recorded := httptest.NewRecorder()
				if r.URL.Path == "/v2/" && !strings.Contains(name, "realm") {
					recorded.WriteHeader(http.StatusOK)
				} else {
					handle(recorded, r)
				}
				answer := recorded.Result()
				answer.Request = r
				return answer, nil
			})
			c := &Client{prefix: host + "/coop", keys: NewKeychain(nil), transport: &greeter{inner: &realms{inner: &encrypted{network}}}}
			ctx := context.Background()
			tag, err := c.Tag(catalog.ParseRef("app:1"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Get(ctx, tag)
			t.Log(err)
			_, _ = c.Tags(ctx, tag.Context().Name())
			_, _, _ = c.Referrers(ctx, tag.Context().Digest(digest), nil)
			_ = c.CheckPush(ctx, catalog.ParseRef("app:1"))
			_ = c.PutBlob(ctx, tag.Context(), make([]byte, smallBlob+1))
			c.CancelUploads(ctx)
			if len(seen) > 0 {
				t.Errorf("sent without TLS: %q", seen)
			}
		})
	}
}
