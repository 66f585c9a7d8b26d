package registry

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
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

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/serve"
	"github.com/libresh/libre/internal/testkit"
)

// kinds are the kinds of registries that libre must support.
var kinds = []string{"referrers", "no referrers", "libre serve", "docker-registry"}

func handlerOf(t *testing.T, kind string) http.Handler {
	t.Helper()
	switch kind {
	case "libre serve":
		server, err := serve.New("", filepath.Join(t.TempDir(), "pushed"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		return server
	case "docker-registry":
		return forward(testkit.DockerRegistry(t, t.TempDir()))
	}
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(kind == "referrers"))
}

// forward forwards requests. It keeps the host, because registries use it in upload URLs.
func forward(host string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", host },
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// A recorded registry records its requests except for GET /v2/, and may answer instead of the
// registry.
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

// since empties the record and returns its former content.
func (r *recorded) since() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

func (r *recorded) client(t *testing.T) *Client {
	t.Helper()
	client, err := NewClient(r.host+"/lasuite", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// oneImage returns a layout with an index of one image, with layers of the given sizes in
// bytes.
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

var imageRef = catalog.Ref{Repository: "docs-backend-default", Tag: "5.4.1-1"}

// sound reads a whole image from a registry and checks every digest.
func sound(t *testing.T, client *Client, ref catalog.Ref, digest v1.Hash) {
	t.Helper()
	tag, err := client.Tag(ref)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag.Context().Digest(digest.String()), remoteOptions(client)...)
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
