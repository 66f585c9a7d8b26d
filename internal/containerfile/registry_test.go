package containerfile

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// newRegistry starts a registry that engines may use without TLS.
func newRegistry(t *testing.T) *httptest.Server {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	conf := filepath.Join(t.TempDir(), "registries.conf")
	text := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", strings.TrimPrefix(s.URL, "http://"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", conf)
	return s
}

func push(t *testing.T, image string, idx v1.ImageIndex) string {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, idx); err != nil {
		t.Fatal(err)
	}
	digest, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestBuildFromRegistry(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		server := newRegistry(t)
		base := strings.TrimPrefix(server.URL, "http://") + "/base:1"
		first := push(t, base, busyboxIndex(t, "N=1"))
		storage := newStorage(t, e)
		b := NewBuilder(e, storage)
		source := write(t, map[string]string{"Dockerfile": "FROM " + base + "\nENV MORE=1\n"})

		build := func(b *Builder, origins map[string]Origin, wantDigest, wantN string, wantPinned bool) {
			t.Helper()
			res, err := b.Build(context.Background(), request(t, source, origins))
			if err != nil {
				t.Fatal(describe(err))
			}
			if got := res.Bases[0]; got.Digest != wantDigest || got.Pinned != wantPinned {
				t.Errorf("base %+v, want %s, pinned %v", got, wantDigest, wantPinned)
			}
			if _, cf := built(t, res); !slices.Contains(cf.Config.Env, "N="+wantN) {
				t.Errorf("built on %q, want %q", cf.Config.Env, wantN)
			}
		}
		build(b, nil, first, "1", false)
		second := push(t, base, busyboxIndex(t, "N=2"))
		build(b, nil, first, "1", false) // once per run
		build(NewBuilder(e, storage), nil, second, "2", false)
		build(b, map[string]Origin{base: {Digest: first}}, first, "1", true)
		build(b, map[string]Origin{base: {Digest: second}}, second, "2", true)

		server.Close() // an image in the storage, found by digest, needs no registry
		build(NewBuilder(e, storage), map[string]Origin{base: {Digest: first}}, first, "1", true)
	})
}

// An engine in a user namespace finds a login that only root can read.
func TestBuildFromARegistryWithALogin(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		server := newRegistry(t)
		base := strings.TrimPrefix(server.URL, "http://") + "/base:1"
		push(t, base, busyboxIndex(t))
		open := server.Config.Handler
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
				w.Header().Set("WWW-Authenticate", "Basic realm=here")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			open.ServeHTTP(w, r)
		})
		req := request(t, write(t, map[string]string{"Dockerfile": "FROM " + base + "\nENV MORE=1\n"}), nil)
		if _, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req); err == nil {
			t.Error("the registry asks for no login")
		}
		config := t.TempDir()
		if err := os.Chmod(config, 0o700); err != nil {
			t.Fatal(err)
		}
		login := fmt.Sprintf(`{"auths": {%q: {"auth": "dTpw"}}}`, strings.TrimPrefix(server.URL, "http://"))
		if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(login), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("DOCKER_CONFIG", config)
		if _, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req); err != nil {
			t.Error(describe(err))
		}
	})
}

func TestDigestOfAnotherPlatformIsRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		base := strings.TrimPrefix(newRegistry(t).URL, "http://") + "/base:1"
		idx := busyboxIndex(t)
		push(t, base, idx)
		m, err := idx.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		pin := m.Manifests[1].Digest.String()
		req := request(t, write(t, map[string]string{"Dockerfile": "FROM " + base}), map[string]Origin{base: {Digest: pin}})
		_, err = NewBuilder(e, newStorage(t, e)).Build(context.Background(), req)
		if want := "Dockerfile:1: base " + base + ": it is for " + foreignPlatform() + ", not for " + machinePlatform(); errorText(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}
