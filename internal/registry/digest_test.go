package registry

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"net/http/httptest"

	"github.com/libresh/libre/internal/fault"
)

func TestDigestOfABaseNeedsNoPullAndUsesTheSameLogins(t *testing.T) {
	home := homeless(t)
	inner := handlerOf(t, "referrers")
	locked := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); locked && user != "podman" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if locked && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/3.13") {
			t.Error("the manifest was pulled")
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host + "/library/python:3.13")
	if err == nil {
		err = remote.WriteIndex(tag, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	want, _ := index.Digest()
	locked = true
	if _, err := NewReader(Options{}).Digest(t.Context(), tag.Name()); !fault.Is(err, fault.Credentials) {
		t.Errorf("without a login: %v", err)
	}
	writeAuths(t, filepath.Join(home, "run/containers/auth.json"), login(host, "podman", "p"))
	if got, err := NewReader(Options{}).Digest(t.Context(), tag.Name()); err != nil || got != want.String() {
		t.Errorf("digest %s, %v, want %s", got, err, want)
	}
	if _, err := NewReader(Options{}).Digest(t.Context(), host+"/library/python:4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	if _, err := NewReader(Options{}).Digest(t.Context(), "Not A Name"); err == nil {
		t.Error("no error")
	}
}
