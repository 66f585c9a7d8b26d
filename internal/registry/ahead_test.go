package registry

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/oci/layout"
)

// newAhead returns an Ahead for the layout in dir.
func newAhead(client *Client, dir string) *Ahead {
	return client.NewAhead(func() (*layout.Layout, error) { return layout.Open(dir) })
}

// Layers that were sent ahead are sent once: PushIndex sends the config and the manifests.
func TestLayersAreSentAhead(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			dir, digest, layers := oneImage(t, 100_000, 2000, 200_000)
			ahead := newAhead(client, dir)
			for _, layer := range layers {
				ahead.Send(t.Context(), imageRef, layer)
			}
			ahead.Wait()
			small, large := []string{"POST blobs/uploads"}, []string{"HEAD blobs", "POST blobs/uploads", "PUT blobs/uploads"}
			if kind == "docker-registry" {
				small = append(small, "PUT blobs/uploads")
			}
			expectRequests(t, registry.since(), slices.Concat(small, large, large)...)
			if _, err := client.PushIndex(t.Context(), dir, digest, imageRef); err != nil {
				t.Fatal(err)
			}
			expectRequests(t, registry.since(), slices.Concat([]string{"HEAD manifests"}, small, []string{"PUT manifests", "PUT manifests"})...)
			sound(t, registry.client(t), imageRef, digest)
		})
	}
}

// The first layer that is refused ends the sending, without a second try. PushIndex sends all.
func TestAheadEndsWithItsFirstError(t *testing.T) {
	registry := record(t, handlerOf(t, "docker-registry"))
	registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what == "PUT blobs/uploads" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return what == "PUT blobs/uploads"
	}
	client := registry.client(t)
	dir, digest, layers := oneImage(t, slices.Repeat([]int64{100_000}, 20)...)
	ahead := newAhead(client, dir)
	for _, layer := range layers {
		ahead.Send(t.Context(), imageRef, layer)
	}
	ahead.Wait()
	ahead.Send(t.Context(), imageRef, layers[0])
	ahead.Wait()
	tries := slices.DeleteFunc(registry.since(), func(request string) bool { return !strings.HasPrefix(request, "PUT") })
	if len(tries) == 0 || len(tries) > blobsAtOnce {
		t.Errorf("%d layers were tried, want at most %d", len(tries), blobsAtOnce)
	}
	registry.mu.Lock()
	registry.meddle = nil
	registry.mu.Unlock()
	if _, err := client.PushIndex(t.Context(), dir, digest, imageRef); err != nil {
		t.Fatal(err)
	}
	sound(t, registry.client(t), imageRef, digest)
}
