package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

func TestPushIndexRequests(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			registry := record(t, handlerOf(t, kind))
			dir, digest, layers := oneImage(t, 100_000, 2000, 200_000)

			subject, err := registry.client(t).PushIndex(ctx, dir, digest, imageRef)
			if err != nil {
				t.Fatal(err)
			}
			if want := registry.host + "/lasuite/docs-backend-default@" + digest.String(); subject.String() != want {
				t.Errorf("pushed %s, want %s", subject, want)
			}
			// Only blobs above 64 KiB are requested first. docker-registry takes the others
			// in two requests as well.
			small := []string{"POST blobs/uploads"}
			if kind == "docker-registry" {
				small = append(small, "PUT blobs/uploads")
			}
			large := []string{"POST blobs/uploads", "PUT blobs/uploads"}
			manifests := []string{"PUT manifests", "PUT manifests"}
			expectRequests(t, registry.since(), slices.Concat([]string{"HEAD manifests", "HEAD blobs", "HEAD blobs"}, large, large, small, small, manifests)...)
			sound(t, registry.client(t), imageRef, digest)
			registry.since()

			// All layers but one are known: they are neither requested nor read.
			other, changed, more := oneImage(t, 100_000)
			merged, mergedDigest := appended(t, dir, layers, other, more)
			for _, layer := range layers {
				if err := os.Remove(filepath.Join(merged, "blobs", "sha256", layer.Digest.Hex)); err != nil {
					t.Fatal(err)
				}
			}
			client := registry.client(t)
			for _, layer := range layers {
				client.MarkBlobPresent(subject.Context(), layer.Digest)
			}
			if _, err := client.PushIndex(ctx, merged, mergedDigest, imageRef); err != nil {
				t.Fatal(err)
			}
			expectRequests(t, registry.since(), slices.Concat(large, small, manifests)...)
			sound(t, registry.client(t), imageRef, mergedDigest)
			registry.since()

			// A sibling's blobs are mounted from a repository that has them.
			if _, err := client.PushIndex(ctx, other, changed, catalog.ParseRef("docs-frontend-default:5.4.1-1")); err != nil {
				t.Fatal(err)
			}
			want := slices.Concat([]string{"HEAD manifests", "HEAD blobs"}, small, manifests)
			if kind == "docker-registry" { // the others have one store for all repositories
				want = append(want, "POST blobs/uploads?mount")
			}
			expectRequests(t, registry.since(), want...)
			sound(t, registry.client(t), catalog.ParseRef("docs-frontend-default:5.4.1-1"), changed)
		})
	}
}

// appended returns a layout with an image that has the layers of two images.
func appended(t *testing.T, dir string, layers []v1.Descriptor, otherDir string, more []v1.Descriptor) (string, v1.Hash) {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for i, from := range [][]v1.Descriptor{layers, more} {
		path, err := layout.FromPath([]string{dir, otherDir}[i])
		if err != nil {
			t.Fatal(err)
		}
		index, err := path.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		one, err := index.ImageIndex(manifest.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		if manifest, err = one.IndexManifest(); err != nil {
			t.Fatal(err)
		}
		inner, err := one.Image(manifest.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, described := range from {
			layer, err := inner.LayerByDigest(described.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if image, err = mutate.AppendLayers(image, layer); err != nil {
				t.Fatal(err)
			}
		}
	}
	index := mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}), types.OCIImageIndex)
	merged := t.TempDir()
	path, err := layout.Write(merged, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return merged, digest
}

// Two concurrent images that share a layer send it once.
func TestPushSiblingsAtOnce(t *testing.T) {
	registry := record(t, handlerOf(t, "docker-registry"))
	client := registry.client(t)
	dir, digest, _ := oneImage(t, 300_000, 100_000)
	var wait sync.WaitGroup
	for _, ref := range []catalog.Ref{{Repository: "docs-a-default", Tag: "1-1"}, {Repository: "docs-b-default", Tag: "1-1"}, {Repository: "docs-c-default", Tag: "1-1"}} {
		wait.Go(func() {
			if _, err := client.PushIndex(context.Background(), dir, digest, ref); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	counts := map[string]int{}
	for _, request := range registry.since() {
		counts[request]++
	}
	if counts["PUT blobs/uploads"] != 3 || counts["POST blobs/uploads?mount"] != 6 {
		t.Errorf("requests: %v", counts)
	}
}

// The image arrives after any temporary failure of a request.
func TestPushIndexFaults(t *testing.T) {
	dir, digest, _ := oneImage(t, 5_000_000, 2000)
	for name, spoil := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"reset": func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"reset in the middle": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		},
		"429 after the body": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"lost answer": func(_ http.ResponseWriter, r *http.Request, inner http.Handler) {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= 8; n++ { // the number of requests without a fault
				registry := record(t, handlerOf(t, "no referrers"))
				client := registry.client(t)
				faulty := false
				registry.meddle = func(i int, _ string, w http.ResponseWriter, r *http.Request) bool {
					if i == n {
						faulty = true
						spoil(w, r, registry.inner)
					}
					return i == n
				}
				if _, err := client.PushIndex(context.Background(), dir, digest, imageRef); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
				if !faulty {
					t.Errorf("request %d: nothing was faulty: %q", n, registry.since())
				}
				sound(t, client, imageRef, digest)
			}
		})
	}
}

// An expired token is replaced, whichever request is refused, and the request is sent again
// with its whole body.
func TestExpiredToken(t *testing.T) {
	dir, digest, _ := oneImage(t, 2_000_000, 200_000, 2000)
	for n := 1; n <= 11; n++ {
		registry := guarded(t, handlerOf(t, "no referrers"), "publisher", true)
		knows(t, registry)
		guard := registry.inner.(*guard)
		registry.meddle = func(i int, _ string, _ http.ResponseWriter, _ *http.Request) bool {
			if i == n {
				guard.expire()
			}
			return false
		}
		client := registry.client(t)
		if _, err := client.PushIndex(context.Background(), dir, digest, imageRef); err != nil {
			t.Errorf("request %d: %v", n, err)
		}
		registry.meddle = nil
		sound(t, client, imageRef, digest)
	}
}

// A permanent failure is reported on one line that names its subject. A blob that is too
// large is not even sent.
func TestPushIndexRefusals(t *testing.T) {
	dir, digest, layers := oneImage(t, 5_000_000)
	for _, test := range []struct {
		status int
		on     string
		want   string // after "pushing SUBJECT: "
	}{
		{413, "PUT blobs/uploads", "sending blob " + layers[0].Digest.String() + " of 5.0 MB: 413 Request Entity Too Large: DENIED: no luck; raise the upload limit of the registry, or of a proxy in front of it"},
		{413, "PUT manifests", "raise the upload limit"},
		{403, "POST blobs/uploads", "403 Forbidden: DENIED: no luck; log in with: libre login 127.0.0.1:"},
		{404, "POST blobs/uploads", "not found"},
		{400, "PUT manifests", "400 Bad Request: DENIED: no luck"},
	} {
		registry := record(t, handlerOf(t, "no referrers"))
		var received, refused atomic.Int64
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			// The config is small and does not matter here.
			if what != test.on || r.Method == http.MethodPut && strings.HasPrefix(what, "PUT blobs") && r.ContentLength < 1_000_000 {
				return false
			}
			refused.Add(1)
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"no\nluck"}]}`)
			if r.Header.Get("Expect") == "" {
				n, _ := io.Copy(io.Discard, r.Body)
				received.Add(n)
			}
			return true
		}
		_, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageRef)
		begin := "pushing " + registry.host + "/lasuite/docs-backend-default@" + digest.String() + ": "
		if text := fmt.Sprint(err); strings.Contains(text, "\n") || !strings.HasPrefix(text, begin) || !strings.Contains(text, test.want) {
			t.Errorf("%d to %s: %s\nwant %s", test.status, test.on, text, test.want)
		}
		if fault.Is(err, fault.Credentials) != (test.status == 403) {
			t.Errorf("%d: %T", test.status, err)
		}
		if limit := "raise the upload limit"; test.status == 413 && (!strings.Contains(fault.Fix(err), limit) || strings.Contains(fault.Reason(err), limit)) {
			t.Errorf("%d to %s: reason %q, fix %q", test.status, test.on, fault.Reason(err), fault.Fix(err))
		}
		if received.Load() > 1_000_000 || refused.Load() > 3 {
			t.Errorf("%d to %s: sent %d bytes, refused %d times", test.status, test.on, received.Load(), refused.Load())
		}
	}
}

func TestPushIndexOfBadLayouts(t *testing.T) {
	registry := record(t, handlerOf(t, "no referrers"))
	dir, digest, layers := oneImage(t, 2000)
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.WriteFile(filepath.Join(blobs, layers[0].Digest.Hex), []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageRef); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a short blob: %v", err)
	}
	if err := os.Remove(filepath.Join(blobs, layers[0].Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageRef); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing blob: %v", err)
	}
	registry = record(t, handlerOf(t, "no referrers")) // with no requests of the above still under way
	if err := os.WriteFile(filepath.Join(blobs, digest.Hex), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageRef); err == nil || !strings.Contains(err.Error(), "its content has digest") {
		t.Errorf("a changed index: %v", err)
	}
	if requests := registry.since(); len(requests) != 1 || requests[0] != "HEAD manifests" {
		t.Errorf("a changed index: %q", requests)
	}
}
