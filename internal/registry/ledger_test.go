package registry

import (
	"slices"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// A blob of one repository does not count as present in another one, nor in another registry.
func TestBlobsAreKnownByRepository(t *testing.T) {
	registry := record(t, handlerOf(t, "docker-registry"))
	client := registry.client(t)
	dir, digest, layers := oneImage(t, 100_000, 2000)
	known := catalog.ParseRef("docs-known-default:1")
	if _, err := client.PushIndex(t.Context(), dir, digest, known); err != nil {
		t.Fatal(err)
	}
	here := mustTag(t, client, known).Context()
	other := mustTag(t, client, catalog.ParseRef("docs-other-default:1"))
	for _, layer := range layers {
		if !client.HasBlob(layer.Digest) || !client.blobs.has(here, layer.Digest) {
			t.Errorf("layer %s was sent and is not known", layer.Digest)
		}
		if client.blobs.has(other.Context(), layer.Digest) {
			t.Errorf("layer %s is known of another repository", layer.Digest)
		}
		if registry.client(t).HasBlob(layer.Digest) {
			t.Errorf("layer %s is known to another client", layer.Digest)
		}
	}
	registry.since()
	if _, err := client.PushIndex(t.Context(), dir, digest, catalog.ParseRef("docs-other-default:1")); err != nil {
		t.Fatal(err)
	}
	if mounts := slices.DeleteFunc(registry.since(), func(request string) bool { return request != "POST blobs/uploads?mount" }); len(mounts) != len(layers)+1 {
		t.Errorf("%d blobs were mounted, want the layers and the config", len(mounts))
	}
	sound(t, registry.client(t), catalog.ParseRef("docs-other-default:1"), digest)
}

// Two images with the same layer send it once: the second waits and mounts it.
func TestSharedBlobIsSentOnce(t *testing.T) {
	registry := record(t, handlerOf(t, "docker-registry"))
	client := registry.client(t)
	dir, digest, _ := oneImage(t, 200_000)
	var group sync.WaitGroup
	for _, ref := range []string{"a-x-default:1", "b-x-default:1", "c-x-default:1"} {
		group.Go(func() {
			if _, err := client.PushIndex(t.Context(), dir, digest, catalog.ParseRef(ref)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	sent := slices.DeleteFunc(registry.since(), func(request string) bool { return request != "PUT blobs/uploads" })
	if len(sent) != 2 {
		t.Errorf("%d blobs were sent, want the layer and the config", len(sent))
	}
}

// Blobs of an image that was read are neither requested nor sent, also concurrently.
func TestMarkedBlobsAreKnown(t *testing.T) {
	client := record(t, handlerOf(t, "docker-registry")).client(t)
	repository := mustTag(t, client, imageRef).Context()
	digests := []v1.Hash{{Algorithm: "sha256", Hex: "a"}, {Algorithm: "sha256", Hex: "b"}}
	if client.HasBlob(digests[0]) || client.blobs.isListed(repository) {
		t.Error("something is known before anything was read")
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { client.MarkBlobPresent(repository, digests...) })
	}
	group.Wait()
	if !client.HasBlob(digests[0]) || !client.HasBlob(digests[1]) || !client.blobs.isListed(repository) {
		t.Error("what was marked is not known")
	}
	if at := client.blobs.blobs[digests[0]].holders; len(at) != 1 {
		t.Errorf("the repository is recorded %d times", len(at))
	}
}

// A blob that no manifest names counts for some time only; one that a manifest names stays.
func TestBlobsThatNoManifestNamesAreKnownForSomeTime(t *testing.T) {
	client := record(t, handlerOf(t, "docker-registry")).client(t)
	repository := mustTag(t, client, imageRef).Context()
	digest := v1.Hash{Algorithm: "sha256", Hex: "a"}
	for _, step := range []struct {
		until time.Time
		known bool
	}{
		{time.Now().Add(-time.Second), false},
		{time.Now().Add(time.Hour), true},
		{time.Now().Add(-time.Second), false},
		{time.Time{}, true},
		{time.Now().Add(-time.Second), true},
	} {
		client.blobs.addUntil(step.until, repository, digest)
		_, anywhere := client.blobs.anywhere(digest)
		mounted := client.blobs.mountSource(digest, repository) != ""
		if has := client.blobs.has(repository, digest); has != step.known || anywhere != has || mounted != has {
			t.Errorf("until %s: has %t, anywhere %t, mounted %t, want %t", step.until, has, anywhere, mounted, step.known)
		}
	}
}
