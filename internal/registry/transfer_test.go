package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/testkit"
)

// kinds are the registries that there are to get along with.
var kinds = []string{"referrers", "no referrers", "libre serve", "docker-registry"}

func handlerOf(t *testing.T, kind string) http.Handler {
	t.Helper()
	switch kind {
	case "libre serve":
		return forward(serve(t, "", filepath.Join(t.TempDir(), "pushed")))
	case "docker-registry":
		return forward(testkit.DockerRegistry(t, t.TempDir()))
	}
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(kind == "referrers"))
}

// forward hands requests on. The host stays: registries say where to upload to by it.
func forward(host string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", host },
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// recorded notes what a registry is asked for, but the greetings, and may get in
// the way.
type recorded struct {
	host  string
	inner http.Handler

	mu       sync.Mutex
	requests []string
	meddle   func(n int, what string, w http.ResponseWriter, r *http.Request) bool
}

func record(t *testing.T, inner http.Handler) *recorded {
	t.Helper()
	r := &recorded{inner: inner}
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

var nameless = regexp.MustCompile(`^/v2/.+/(manifests|blobs/uploads|blobs|tags|referrers)/.*$`)

func (r *recorded) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/v2/" || request.URL.Path == "/token" {
		r.inner.ServeHTTP(w, request)
		return
	}
	what := request.Method + " " + nameless.ReplaceAllString(request.URL.Path, "$1")
	if request.URL.Query().Has("mount") {
		what += "?mount"
	}
	r.mu.Lock()
	r.requests = append(r.requests, what)
	n, meddle := len(r.requests), r.meddle
	r.mu.Unlock()
	if meddle == nil || !meddle(n, what, w, request) {
		r.inner.ServeHTTP(w, request)
	}
}

// since empties the record and gives what was in it.
func (r *recorded) since() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

func (r *recorded) client(t *testing.T) *Client {
	t.Helper()
	client, err := NewClient(r.host+"/lasuite", false)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// oneImage is a layout with an index of one image, of layers of so many bytes.
func oneImage(t *testing.T, sizes ...int64) (dir string, digest v1.Hash, layers []v1.Descriptor) {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, size := range sizes {
		layer, err := random.Layer(size, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			t.Fatal(err)
		}
	}
	index := mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}), types.OCIImageIndex)
	dir = t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	if digest, err = index.Digest(); err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return dir, digest, manifest.Layers
}

const imageName = "docs-backend-default:5.4.1-1"

// sound reads all of an image of a registry and checks every digest.
func sound(t *testing.T, client *Client, refName string, digest v1.Hash) {
	t.Helper()
	tag, err := client.Tag(refName)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag.Context().Digest(digest.String()), client.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
}

func expectRequests(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("requests:\ngot  %q\nwant %q", got, want)
	}
}

func TestPushIndexRequests(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			registry := record(t, handlerOf(t, kind))
			dir, digest, layers := oneImage(t, 100_000, 2000, 200_000)

			subject, err := registry.client(t).PushIndex(ctx, dir, digest, imageName, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := registry.host + "/lasuite/docs-backend-default@" + digest.String(); subject.String() != want {
				t.Errorf("pushed %s, want %s", subject, want)
			}
			expectRequests(t, registry.since(), "HEAD blobs", "HEAD blobs", "POST blobs/uploads", "POST blobs/uploads", "POST blobs/uploads", "POST blobs/uploads",
				"PUT blobs/uploads", "PUT blobs/uploads", "PUT blobs/uploads", "PUT blobs/uploads", "PUT manifests", "PUT manifests", "HEAD manifests")
			sound(t, registry.client(t), imageName, digest)
			registry.since()

			// All layers but one are known: they are neither asked for nor read.
			other, changed, more := oneImage(t, 100_000)
			merged, mergedDigest := appended(t, dir, layers, other, more)
			for _, layer := range layers {
				if err := os.Remove(filepath.Join(merged, "blobs", "sha256", layer.Digest.Hex)); err != nil {
					t.Fatal(err)
				}
			}
			client := registry.client(t)
			known := func(digest v1.Hash) bool {
				return slices.ContainsFunc(layers, func(layer v1.Descriptor) bool { return layer.Digest == digest })
			}
			if _, err := client.PushIndex(ctx, merged, mergedDigest, imageName, known); err != nil {
				t.Fatal(err)
			}
			expectRequests(t, registry.since(), "HEAD blobs", "POST blobs/uploads", "PUT blobs/uploads",
				"POST blobs/uploads", "PUT blobs/uploads", "PUT manifests", "PUT manifests", "HEAD manifests")
			sound(t, registry.client(t), imageName, mergedDigest)
			registry.since()

			// A sibling's blobs are mounted, from where they were known or sent to.
			if _, err := client.PushIndex(ctx, other, changed, "docs-frontend-default:5.4.1-1", nil); err != nil {
				t.Fatal(err)
			}
			want := []string{"HEAD blobs", "POST blobs/uploads", "PUT blobs/uploads", "PUT manifests", "PUT manifests", "HEAD manifests"}
			if kind == "docker-registry" { // the others have one store for all repositories
				want = append(want, "POST blobs/uploads?mount")
			}
			expectRequests(t, registry.since(), want...)
			sound(t, registry.client(t), "docs-frontend-default:5.4.1-1", changed)
		})
	}
}

// appended is a layout with an image that has the layers of two.
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

// Two images at once that share a layer send it once.
func TestPushSiblingsAtOnce(t *testing.T) {
	registry := record(t, handlerOf(t, "docker-registry"))
	client := registry.client(t)
	dir, digest, _ := oneImage(t, 300_000, 100_000)
	var wait sync.WaitGroup
	for _, refName := range []string{"docs-a-default:1-1", "docs-b-default:1-1", "docs-c-default:1-1"} {
		wait.Go(func() {
			if _, err := client.PushIndex(context.Background(), dir, digest, refName, nil); err != nil {
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

// A registry that mounts nothing, or does not know what that is, is sent the blob.
func TestNoMount(t *testing.T) {
	for _, status := range []int{202, 400, 401, 403, 404, 405} {
		registry := record(t, handlerOf(t, "no referrers"))
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(what, "?mount") {
				return false
			}
			if status == http.StatusAccepted {
				r.URL.RawQuery = ""
				return false
			}
			w.WriteHeader(status)
			return true
		}
		client := registry.client(t)
		dir, digest, _ := oneImage(t, 100_000)
		for _, refName := range []string{"docs-a-default:1-1", "docs-b-default:1-1"} {
			if _, err := client.PushIndex(context.Background(), dir, digest, refName, nil); err != nil {
				t.Errorf("%d: %v", status, err)
			}
			sound(t, client, refName, digest)
		}
	}
}

// Whatever request fails in a way that passes, the image gets there.
func TestPushIndexFaults(t *testing.T) {
	dir, digest, _ := oneImage(t, 2_000_000, 2000)
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
			for n := 1; n <= 10; n++ {
				registry := record(t, handlerOf(t, "no referrers"))
				client := registry.client(t)
				registry.meddle = func(i int, _ string, w http.ResponseWriter, r *http.Request) bool {
					if i == n {
						spoil(w, r, registry.inner)
					}
					return i == n
				}
				if _, err := client.PushIndex(context.Background(), dir, digest, imageName, nil); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
				if requests := registry.since(); len(requests) < 10 {
					t.Errorf("request %d: nothing was spoilt: %q", n, requests)
				}
				sound(t, client, imageName, digest)
			}
		})
	}
}

// A token that expires is replaced, whichever request it is that is refused, and
// the request is sent again with all of its body.
func TestExpiredToken(t *testing.T) {
	dir, digest, _ := oneImage(t, 2_000_000, 200_000, 2000)
	for n := 1; n <= 14; n++ {
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
		if _, err := client.PushIndex(context.Background(), dir, digest, imageName, nil); err != nil {
			t.Errorf("request %d: %v", n, err)
		}
		registry.meddle = nil
		sound(t, client, imageName, digest)
	}
}

// What does not pass is one line that says what it was about; a blob that is too
// large is not even sent.
func TestPushIndexRefusals(t *testing.T) {
	dir, digest, layers := oneImage(t, 3_000_000)
	for _, test := range []struct {
		status int
		on     string
		want   string // after "pushing SUBJECT: "
	}{
		{413, "PUT blobs/uploads", "blob " + layers[0].Digest.String() + " has 3.0 MB: 413 Request Entity Too Large: no luck; the registry, or a proxy before it, limits what it takes: raise that limit"},
		{413, "PUT manifests", "limits what it takes"},
		{403, "POST blobs/uploads", "403 Forbidden: no luck; log in with: libre login 127.0.0.1:"},
		{404, "POST blobs/uploads", "not found"},
		{400, "PUT manifests", "400 Bad Request: no luck"},
	} {
		registry := record(t, handlerOf(t, "no referrers"))
		received, refused := int64(0), 0
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			// The config is small and no matter here.
			if what != test.on || r.Method == http.MethodPut && strings.HasPrefix(what, "PUT blobs") && r.ContentLength < 1_000_000 {
				return false
			}
			refused++
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"no\nluck"}]}`)
			if r.Header.Get("Expect") == "" {
				received, _ = io.Copy(io.Discard, r.Body)
			}
			return true
		}
		_, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageName, nil)
		begin := "pushing " + registry.host + "/lasuite/docs-backend-default@" + digest.String() + ": "
		if text := fmt.Sprint(err); strings.Contains(text, "\n") || !strings.HasPrefix(text, begin) || !strings.Contains(text, test.want) {
			t.Errorf("%d to %s: %s\nwant %s", test.status, test.on, text, test.want)
		}
		var refusal *CredentialError
		if errors.As(err, &refusal) != (test.status == 403) {
			t.Errorf("%d: %T", test.status, err)
		}
		if received > 1_000_000 || refused > 2 {
			t.Errorf("%d to %s: sent %d bytes, refused %d times", test.status, test.on, received, refused)
		}
	}
}

func TestPushIndexLocations(t *testing.T) {
	dir, digest, _ := oneImage(t, 2000)
	for _, test := range []struct {
		location func(absolute *url.URL) string
		want     string // in the error, "" for none
	}{
		{func(u *url.URL) string { return u.Path }, ""},
		{func(u *url.URL) string { return u.String() }, ""},
		{func(u *url.URL) string { return "//" + u.Host + u.Path + "?_state=a%2Fb%3D+c" }, ""},
		{func(u *url.URL) string { return "" }, "does not say where to upload to"},
		{func(u *url.URL) string { return "http://10.0.0.1/v2/" }, "another host of a private network"},
		{func(u *url.URL) string { return "http://[::1]:80/" }, "another host of a private network"},
		{func(u *url.URL) string { return "http://a b/" }, "where to upload to"},
	} {
		var host, queries string
		inner := handlerOf(t, "no referrers")
		registry := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
				queries += r.URL.RawQuery + "\n"
			}
			if r.Method != http.MethodPost {
				inner.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			inner.ServeHTTP(answer, r)
			w.Header().Set("Location", test.location(&url.URL{Scheme: "http", Host: host, Path: answer.Header().Get("Location")}))
			w.WriteHeader(answer.Code)
		}))
		host = registry.host
		_, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageName, nil)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if strings.Contains(queries, "_state") && !strings.Contains(queries, "_state=a%2Fb%3D+c&digest=sha256%3A") {
			t.Errorf("the registry's query was changed: %s", queries)
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
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageName, nil); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a short blob: %v", err)
	}
	if err := os.Remove(filepath.Join(blobs, layers[0].Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageName, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing blob: %v", err)
	}
	registry.since()
	if err := os.WriteFile(filepath.Join(blobs, digest.Hex), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.client(t).PushIndex(context.Background(), dir, digest, imageName, nil); err == nil || !strings.Contains(err.Error(), "its content has digest") {
		t.Errorf("a changed index: %v", err)
	}
	if requests := registry.since(); len(requests) > 0 {
		t.Errorf("a changed index: %q", requests)
	}
}

func TestTags(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			if tags, err := client.Tags(ctx, "docs-default"); err != nil || tags != nil {
				t.Errorf("no repository: %q, %v", tags, err)
			}
			digest, err := client.PushArtifact(ctx, noteName, note)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 7 {
				want = append(want, fmt.Sprintf("5.4.%d-1", i))
				if _, err := client.SetTag(ctx, "docs-default:"+want[i], digest, false); err != nil {
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
	subject, err := from.PushIndex(ctx, dir, digest, imageName, nil)
	if err != nil {
		t.Fatal(err)
	}

	// A blob that ends too early, and one that the target loses: both are read again.
	source.meddle, target.meddle = endEarly(source.inner), loseOnce()
	source.since()
	copied, err := to.Copy(ctx, subject, from, imageName)
	if err != nil {
		t.Fatal(err)
	}
	if want := target.host + "/lasuite/docs-backend-default@" + digest.String(); copied.String() != want {
		t.Errorf("copied %s, want %s", copied, want)
	}
	sound(t, to, imageName, digest)

	// Again: one question. In part: what is missing is moved.
	source.since()
	target.since()
	if _, err := to.Copy(ctx, subject, from, imageName); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, append(source.since(), target.since()...), "HEAD manifests")
	if err := half.client(t).pusher.Upload(ctx, mustTag(t, half.client(t), imageName).Context(), staticLayer(t, dir, layers[0])); err != nil {
		t.Fatal(err)
	}
	half.since()
	if _, err := half.client(t).Copy(ctx, subject, source.client(t), imageName); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, source.since(), "GET manifests", "GET manifests", "GET blobs", "GET blobs")

	// Who refers to the image is found at the target, which has no list of its own.
	tag := mustTag(t, from, imageName)
	described, err := from.Head(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	attached := manifestBytes{mustJSON(t, map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": "application/x",
		"config":  v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: layers[1].Digest, Size: layers[1].Size},
		"layers":  []v1.Descriptor{layers[1]},
		"subject": v1.Descriptor{MediaType: described.MediaType, Digest: described.Digest, Size: described.Size},
	}), types.OCIManifestSchema1}
	attachedDigest, _, err := v1.SHA256(bytes.NewReader(attached.content))
	if err != nil {
		t.Fatal(err)
	}
	if err := from.pusher.Put(ctx, tag.Context().Digest(attachedDigest.String()), attached); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Copy(ctx, tag.Context().Digest(attachedDigest.String()), from, imageName); err != nil {
		t.Fatal(err)
	}
	referrers, err := remote.Referrers(copied, to.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := referrers.IndexManifest(); err != nil || len(list.Manifests) != 1 || list.Manifests[0].Digest != attachedDigest {
		t.Errorf("referrers: %v, %v", list, err)
	}

	// What the source refuses is said of the source.
	source.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what == "GET blobs" {
			w.WriteHeader(http.StatusForbidden)
		}
		return what == "GET blobs"
	}
	_, err = bare.client(t).Copy(ctx, subject, source.client(t), imageName)
	var refusal *CredentialError
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "libre login "+source.host) {
		t.Errorf("%v", err)
	}
}

// endEarly ends the first large blob in its middle.
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
			// More than is read ahead of who asked for it.
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(whole.Body.Bytes())
		return true
	}
}

// loseOnce loses the connection during the first blob.
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
