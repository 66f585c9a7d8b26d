package upstream

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestBases(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	limited := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limited {
			limited = false
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/3.13") {
			t.Error("the manifest was pulled")
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/library/python"
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(repository + ":3.13")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	c, waited := newClient(t, t.TempDir(), map[string]string{"GITHUB_TOKEN": "never"})
	now := time.Now()
	c.transport.Now = func() time.Time { return now }
	limited = true
	if got, err := c.BaseDigest(t.Context(), repository+":3.13"); err != nil || got != want.String() {
		t.Errorf("digest %s, %v, want %s", got, err, want)
	}
	if len(*waited) != 1 || (*waited)[0] != 3*time.Second {
		t.Errorf("waited %v", *waited)
	}
	if _, err := c.BaseDigest(t.Context(), repository+":4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	if _, err := c.BaseDigest(t.Context(), "Not A Name"); err == nil {
		t.Error("no error")
	}
}
