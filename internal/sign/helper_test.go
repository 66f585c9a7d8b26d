package sign

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/oci/serve"
	libreregistry "github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/testkit"
)

// A testRegistry counts requests, and can lose some of them.
type testRegistry struct {
	host     string
	handler  http.Handler
	requests atomic.Int64
	// answer, if not nil, may answer instead of the registry.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newRegistry(t testing.TB, handler http.Handler) *testRegistry {
	reg := &testRegistry{handler: handler}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reg.requests.Add(1)
		if reg.answer == nil || !reg.answer(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	reg.host = strings.TrimPrefix(server.URL, "http://")
	return reg
}

func memoryRegistry(t testing.TB, referrers bool) *testRegistry {
	return newRegistry(t, registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
}

// registries runs a test with each kind of registry that libre supports.
func registries(t *testing.T, test func(t *testing.T, host string)) {
	t.Run("referrers", func(t *testing.T) { test(t, memoryRegistry(t, true).host) })
	t.Run("no referrers", func(t *testing.T) { test(t, memoryRegistry(t, false).host) })
	t.Run("libre serve", func(t *testing.T) {
		server, err := serve.New("", filepath.Join(t.TempDir(), "served"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		test(t, newRegistry(t, server).host)
	})
	t.Run("docker-registry", func(t *testing.T) { test(t, testkit.DockerRegistry(t, t.TempDir())) })
}

// pushIndex pushes an index of two images and returns it and its children.
func pushIndex(t testing.TB, host string) []name.Digest {
	t.Helper()
	index, err := random.Index(200, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host + "/lasuite/docs-backend-default:5.4.1-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	subjects := []name.Digest{tag.Context().Digest(digest.String())}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range manifest.Manifests {
		subjects = append(subjects, tag.Context().Digest(child.Digest.String()))
	}
	return subjects
}

const testPassword = "correct horse"

// newKey makes a key pair and returns its configuration. The password is in the
// environment.
func newKey(t testing.TB, format Format) Config {
	t.Helper()
	setenv(t, PasswordVariable, testPassword)
	base := filepath.Join(t.TempDir(), "cosign")
	if err := Keygen(base, nil); err != nil {
		t.Fatal(err)
	}
	return Config{Format: format, Key: base + ".key"}
}

func setenv(t testing.TB, name, value string) {
	t.(interface{ Setenv(_, _ string) }).Setenv(name, value)
}

func newSigner(t testing.TB, c Config) *Signer {
	t.Helper()
	signer, err := c.Signer(context.Background(), Prompts{})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func newClient(t testing.TB) *Client {
	t.Helper()
	client, err := libreregistry.NewClient("localhost", libreregistry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(client, Limits{})
}

func (c *Client) VerifyAttestations(ctx context.Context, subject name.Digest, predicateType string, p *Policy) ([]Statement, error) {
	return c.Attachments(subject).VerifyAttestations(ctx, predicateType, p)
}

// Attest attests in the same way as Sign signs.
func (c *Client) Attest(ctx context.Context, s *Signer, predicateType string, predicate json.RawMessage, subjects ...name.Digest) (int, error) {
	a := c.Attacher(s)
	written, err := a.Attest(ctx, predicateType, predicate, subjects...)
	if err == nil {
		err = a.Confirm(ctx)
	}
	return written, err
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// brokenAnswer answers as a broken service does. It repeats the request's header in the
// body, as some services do.
func brokenAnswer(w http.ResponseWriter, r *http.Request) bool {
	http.Error(w, "on holiday "+r.Header.Get("Authorization"), http.StatusServiceUnavailable)
	return true
}
