package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

func TestTags(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			if tags, err := client.Tags(ctx, "docs-default"); err != nil || tags != nil {
				t.Errorf("no repository: %q, %v", tags, err)
			}
			digest, err := client.PushArtifact(ctx, noteRef, note)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 7 {
				want = append(want, fmt.Sprintf("5.4.%d-1", i))
				if err := client.SetTag(ctx, catalog.Ref{Repository: "docs-default", Tag: want[i]}, digest); err != nil {
					t.Fatal(err)
				}
			}
			registry.meddle = func(_ int, what string, _ http.ResponseWriter, r *http.Request) bool {
				if query := r.URL.Query(); what == "GET tags" && !query.Has("n") {
					query.Set("n", "3")
					r.URL.RawQuery = query.Encode()
				}
				return false
			}
			tags, err := client.Tags(ctx, "docs-default")
			if slices.Sort(tags); err != nil || !slices.Equal(tags, want) {
				t.Errorf("%q, want %q, %v", tags, want, err)
			}
		})
	}
}

func TestCopy(t *testing.T) {
	ctx := context.Background()
	dir, digest, layers := oneImage(t, 3*mostSmall, 2000)
	source := guarded(t, handlerOf(t, "referrers"), "reader", true)
	writable := func() *recorded { return guarded(t, handlerOf(t, "no referrers"), "writer", false) }
	target, half, bare := writable(), writable(), writable()
	knows(t, source, target, half, bare)
	from, to := source.client(t), target.client(t)
	subject, err := from.PushIndex(ctx, dir, digest, imageRef)
	if err != nil {
		t.Fatal(err)
	}

	// A blob that ends too early, and a blob that the target loses, are both read again.
	source.meddle, target.meddle = endEarly(source.inner), loseOnce()
	source.since()
	copied, err := to.Copy(ctx, subject, from, imageRef)
	if err != nil {
		t.Fatal(err)
	}
	if want := target.host + "/lasuite/docs-backend-default@" + digest.String(); copied.String() != want {
		t.Errorf("copied %s, want %s", copied, want)
	}
	sound(t, to, imageRef, digest)

	// A second copy sends no blob. After a loss it sends what is missing.
	source.since()
	target.since()
	if _, err := to.Copy(ctx, subject, from, imageRef); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, append(source.since(), target.since()...), "GET manifests", "GET manifests", "PUT manifests", "PUT manifests")
	if err := remote.WriteLayer(mustTag(t, half.client(t), imageRef).Context(), staticLayer(t, dir, layers[0]), remoteOptions(half.client(t))...); err != nil {
		t.Fatal(err)
	}
	half.since()
	if _, err := half.client(t).Copy(ctx, subject, source.client(t), imageRef); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, source.since(), "GET manifests", "GET manifests", "GET blobs", "GET blobs")

	// The image's referrers are found at the target, which does not have the referrers API.
	tag := mustTag(t, from, imageRef)
	described, err := from.Head(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	attached := mustJSON(t, map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": "application/x",
		"config":  v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: layers[1].Digest, Size: layers[1].Size},
		"layers":  []v1.Descriptor{layers[1]},
		"subject": v1.Descriptor{MediaType: described.MediaType, Digest: described.Digest, Size: described.Size},
	})
	attachedDigest, _, err := v1.SHA256(bytes.NewReader(attached))
	if err != nil {
		t.Fatal(err)
	}
	if err := from.PutManifest(ctx, tag.Context().Digest(attachedDigest.String()), types.OCIManifestSchema1, attached); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Copy(ctx, tag.Context().Digest(attachedDigest.String()), from, imageRef); err != nil {
		t.Fatal(err)
	}
	referrers, err := remote.Referrers(copied, remoteOptions(to)...)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := referrers.IndexManifest(); err != nil || len(list.Manifests) != 1 || list.Manifests[0].Digest != attachedDigest {
		t.Errorf("referrers: %v, %v", list, err)
	}

	// The error names the source if the source refuses.
	source.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what == "GET blobs" {
			w.WriteHeader(http.StatusForbidden)
		}
		return what == "GET blobs"
	}
	_, err = bare.client(t).Copy(ctx, subject, source.client(t), imageRef)
	if !fault.Is(err, fault.Credentials) || !strings.Contains(err.Error(), "libre login "+source.host) {
		t.Errorf("%v", err)
	}
}

// endEarly cuts the first large blob in half.
func endEarly(inner http.Handler) func(int, string, http.ResponseWriter, *http.Request) bool {
	var once sync.Once
	return func(_ int, what string, w http.ResponseWriter, r *http.Request) (hit bool) {
		if what != "GET blobs" {
			return false
		}
		whole := httptest.NewRecorder()
		inner.ServeHTTP(whole, r)
		if whole.Body.Len() < 1_000_000 {
			w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
			_, _ = w.Write(whole.Body.Bytes())
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
		short := false
		once.Do(func() { short = true })
		if short {
			// more than the client reads ahead
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(whole.Body.Bytes())
		return true
	}
}

// loseOnce breaks the connection during the first blob.
func loseOnce() func(int, string, http.ResponseWriter, *http.Request) bool {
	var once sync.Once
	return func(_ int, what string, _ http.ResponseWriter, r *http.Request) bool {
		if what == "PUT blobs/uploads" {
			once.Do(func() {
				_, _ = io.CopyN(io.Discard, r.Body, 100)
				panic(http.ErrAbortHandler)
			})
		}
		return false
	}
}

func staticLayer(t *testing.T, dir string, described v1.Descriptor) v1.Layer {
	t.Helper()
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	content, err := path.Bytes(described.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return staticBlob(content, described.MediaType)
}
