package registry

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// A scopes registry issues tokens for the requested actions. Like GitLab, it refuses the
// whole request if one of the actions is not allowed.
type scopes struct {
	inner   http.Handler
	allowed []string // a subset of pull and push

	mu    sync.Mutex
	given []string // the actions of each token, such as pull,push
}

func (s *scopes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		_, actions, _ := strings.Cut(strings.TrimPrefix(r.URL.Query().Get("scope"), "repository:"), ":")
		asked := strings.Split(actions, ",")
		slices.Sort(asked)
		if slices.ContainsFunc(asked, func(action string) bool { return !slices.Contains(s.allowed, action) }) {
			http.Error(w, `{"errors":[{"code":"DENIED","message":"access forbidden"}]}`, http.StatusForbidden)
			return
		}
		s.mu.Lock()
		s.given = append(s.given, strings.Join(asked, ","))
		s.mu.Unlock()
		_, _ = w.Write([]byte(`{"token":"` + strings.Join(asked, "+") + `"}`))
		return
	}
	needed := "push"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		needed = "pull"
	}
	if !strings.Contains(r.Header.Get("Authorization"), needed) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no token"}]}`, http.StatusUnauthorized)
		return
	}
	s.inner.ServeHTTP(w, r)
}

// scoped returns a client of such a registry, which has an image already.
func scoped(t *testing.T, allowed ...string) (*scopes, *Client, string) {
	t.Helper()
	inner := handlerOf(t, "docker-registry")
	dir, digest, _ := oneImage(t, 100_000, 200)
	plain := record(t, inner).client(t)
	pushed, err := plain.PushIndex(t.Context(), dir, digest, imageRef)
	if err == nil {
		err = plain.SetTag(t.Context(), imageRef, pushed)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &scopes{inner: inner, allowed: allowed}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := NewClient(strings.TrimPrefix(server.URL, "http://")+"/lasuite", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s, client, dir
}

// Reading works with a login that may only read.
func TestReadingNeedsNoRightToPush(t *testing.T) {
	s, client, _ := scoped(t, "pull")
	tag := mustTag(t, client, imageRef)
	head, err := client.Head(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	digest := tag.Context().Digest(head.Digest.String())
	if _, err := client.Get(t.Context(), digest); err != nil {
		t.Error(err)
	}
	if _, err := client.Tags(t.Context(), imageRef.Repository); err != nil {
		t.Error(err)
	}
	if _, _, err := client.Referrers(t.Context(), digest, nil); err != nil {
		t.Error(err)
	}
	_, _, layers := oneImage(t, 300)
	if lost, err := client.Lost(t.Context(), tag.Context(), layers); err != nil || !lost {
		t.Errorf("lost %v, %v; want a layer that is not there to be lost", lost, err)
	}
	if err := client.CheckPush(t.Context(), imageRef); !fault.Is(err, fault.Credentials) {
		t.Errorf("pushing without the right: %v", err)
	}
	if _, err := client.Get(t.Context(), digest); err != nil {
		t.Errorf("reading after a push was refused: %v", err)
	}
	if want := []string{"pull"}; !slices.Equal(s.given, want) {
		t.Errorf("tokens for %q, want %q", s.given, want)
	}
}

// A repository has one login at a time. The first write replaces a login that may only
// read, and later reads use the new one.
func TestRepositoryHasOneLogin(t *testing.T) {
	for name, test := range map[string]struct {
		readFirst bool
		tokens    []string
	}{
		"a push alone":        {false, []string{"pull,push"}},
		"a push after a look": {true, []string{"pull", "pull,push"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, client, dir := scoped(t, "pull", "push")
			tag := mustTag(t, client, imageRef)
			if test.readFirst {
				if _, err := client.Head(t.Context(), tag); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.CheckPush(t.Context(), imageRef); err != nil {
				t.Fatal(err)
			}
			head, err := client.Head(t.Context(), tag)
			if err != nil {
				t.Fatal(err)
			}
			pushed, err := client.PushIndex(t.Context(), dir, head.Digest, imageRef)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.SetTag(t.Context(), imageRef, pushed); err != nil {
				t.Error(err)
			}
			if _, err := client.Get(t.Context(), pushed); err != nil {
				t.Error(err)
			}
			client.CancelUploads(t.Context())
			if !slices.Equal(s.given, test.tokens) {
				t.Errorf("tokens for %q, want %q", s.given, test.tokens)
			}
			other := catalog.Ref{Repository: "other", Tag: "1"}
			if err := client.CheckPush(t.Context(), other); err != nil {
				t.Error(err)
			}
			client.CancelUploads(t.Context())
			if want := append(test.tokens, "pull,push"); !slices.Equal(s.given, want) {
				t.Errorf("with another repository tokens for %q, want %q", s.given, want)
			}
		})
	}
}
