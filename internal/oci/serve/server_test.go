package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	gcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/oci/layout"
)

// serve starts a server and returns its host.
func serve(t *testing.T, layoutDir, writableDir string) string {
	t.Helper()
	s, err := New(layoutDir, writableDir)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimPrefix(h.URL, "http://")
}

// newLayout makes a layout like a build's. Each name is an index of two images.
func newLayout(t *testing.T, refNames ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := gcr.Write(dir, emptyIndex())
	if err != nil {
		t.Fatal(err)
	}
	for _, refName := range refNames {
		appendIndex(t, l, refName)
	}
	return dir
}

func appendIndex(t *testing.T, l gcr.Path, refName string) v1.ImageIndex {
	t.Helper()
	index, err := random.Index(2000, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendIndex(index, gcr.WithAnnotations(map[string]string{layout.RefNameAnnotation: refName})); err != nil {
		t.Fatal(err)
	}
	return index
}

func emptyIndex() v1.ImageIndex {
	index, err := random.Index(1, 1, 0)
	if err != nil {
		panic(err)
	}
	return index
}

func ref(t *testing.T, host, s string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(host+"/"+s, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type response struct {
	status int
	header http.Header
	body   string
}

// code returns the error code in the body.
func (r response) code() string {
	var body struct {
		Errors []struct{ Code, Message string }
	}
	json.Unmarshal([]byte(r.body), &body)
	if len(body.Errors) != 1 || body.Errors[0].Message == "" {
		return fmt.Sprintf("no error: %q", r.body)
	}
	return body.Errors[0].Code
}

func request(t *testing.T, method, host, path, body string, header ...string) response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(b)}
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestServeLayout(t *testing.T) {
	dir := newLayout(t, "docs-backend-default:5.4.1-1", "docs-backend-default:5.4.0-3", "docs-frontend-lyon:5.4.1-1", "latest", "UPPER:1")
	host := serve(t, dir, "")

	index, err := remote.Index(ref(t, host, "docs-backend-default:5.4.1-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	// A manifest of the index by digest, as a client for one platform pulls it.
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := m.Manifests[0].Digest.String()
	image, err := remote.Image(ref(t, host, "docs-backend-default@"+child))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	if r := request(t, "GET", host, "/v2/docs-frontend-lyon/manifests/"+child, ""); r.status != 404 || r.code() != "MANIFEST_UNKNOWN" {
		t.Errorf("a manifest of another repository: %d %s", r.status, r.body)
	}

	for path, want := range map[string]string{
		"/v2/_catalog":                                         `{"repositories":["docs-backend-default","docs-frontend-lyon"]}`,
		"/v2/_catalog?n=1":                                     `{"repositories":["docs-backend-default"]}`,
		"/v2/docs-backend-default/tags/list":                   `{"name":"docs-backend-default","tags":["5.4.0-3","5.4.1-1"]}`,
		"/v2/docs-backend-default/tags/list?n=1":               `{"name":"docs-backend-default","tags":["5.4.0-3"]}`,
		"/v2/docs-backend-default/tags/list?n=0":               `{"name":"docs-backend-default","tags":[]}`,
		"/v2/docs-backend-default/tags/list?last=5.4.0-3":      `{"name":"docs-backend-default","tags":["5.4.1-1"]}`,
		"/v2/docs-backend-default/tags/list?last=5.4.0-9&n=10": `{"name":"docs-backend-default","tags":["5.4.1-1"]}`,
		"/v2/docs-backend-default/tags/list?last=9":            `{"name":"docs-backend-default","tags":[]}`,
		"/v2/docs-backend-default/referrers/" + child:          `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
		"/v2/": `{}`,
	} {
		if r := request(t, "GET", host, path, ""); r.status != 200 || r.body != want {
			t.Errorf("GET %s: %d %s, want %s", path, r.status, r.body, want)
		}
	}
	if link := request(t, "GET", host, "/v2/_catalog?n=1", "").header.Get("Link"); link != `</v2/_catalog?last=docs-backend-default&n=1>; rel="next"` {
		t.Errorf("Link: %s", link)
	}
}

func TestServeBlobs(t *testing.T) {
	dir := newLayout(t, "a:1")
	host := serve(t, dir, "")
	content := strings.Repeat("0123456789", 100)
	digest := digestOf(content)
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", digest[7:]), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	path := "/v2/a/blobs/" + digest
	r := request(t, "GET", host, path, "")
	if r.status != 200 || r.body != content || r.header.Get("Docker-Content-Digest") != digest || r.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("GET: %d %v", r.status, r.header)
	}
	r = request(t, "HEAD", host, path, "")
	if r.status != 200 || r.body != "" || r.header.Get("Content-Length") != "1000" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
	r = request(t, "GET", host, path, "", "Range", "bytes=995-")
	if r.status != 206 || r.body != "56789" || r.header.Get("Content-Range") != "bytes 995-999/1000" {
		t.Errorf("range: %d %q %v", r.status, r.body, r.header)
	}
	if r := request(t, "GET", host, path, "", "Range", "bytes=2000-"); r.status != 416 {
		t.Errorf("range after the end: %d", r.status)
	}
	if r := request(t, "GET", host, path, "", "If-None-Match", `"`+digest+`"`); r.status != 304 {
		t.Errorf("unchanged: %d", r.status)
	}
}

func TestServeErrors(t *testing.T) {
	dir := newLayout(t, "docs-backend-default:5.4.1-1")
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	readOnly, writable := serve(t, dir, ""), serve(t, dir, filepath.Join(t.TempDir(), "pushed"))
	unknown := digestOf("unknown")
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/v2/lasuite/docs-backend-default/manifests/5.4.1-1", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/manifests/9", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/manifests/.hidden", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/manifests/" + unknown, 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/blobs/" + unknown, 404, "BLOB_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/blobs/sha256:abc", 400, "DIGEST_INVALID"},
		{"GET", "/v2/docs-backend-default/blobs/sha256:" + strings.Repeat("../", 21) + "x", 404, "UNSUPPORTED"},
		{"GET", "/v2/docs-backend-default/blobs/sha256:..%2f..%2f..%2fsecret", 404, "UNSUPPORTED"},
		{"GET", "/v2/docs-backend-default/blobs/..", 400, "DIGEST_INVALID"},
		{"GET", "/v2/../manifests/x", 400, "NAME_INVALID"},
		{"GET", "/v2/Docs/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/" + strings.Repeat("a", 256) + "/tags/list", 400, "NAME_INVALID"},
		{"GET", "/v2/other/tags/list", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/docs-backend-default/tags/list?n=x", 400, "PAGINATION_NUMBER_INVALID"},
		{"GET", "/v2/docs-backend-default/referrers/x", 400, "DIGEST_INVALID"},
		{"GET", "/v2/docs-backend-default/blobs/uploads/", 405, "UNSUPPORTED"},
		{"GET", "/v2/docs-backend-default/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN"},
		{"GET", "/", 404, "UNSUPPORTED"},
		{"GET", "/v2/docs-backend-default", 404, "UNSUPPORTED"},
	} {
		for kind, host := range map[string]string{"read-only": readOnly, "writable": writable} {
			if r := request(t, tt.method, host, tt.path, ""); r.status != tt.status || r.code() != tt.code {
				t.Errorf("%s: %s %s: %d %s, want %d %s", kind, tt.method, tt.path, r.status, r.body, tt.status, tt.code)
			}
		}
	}
	for method, path := range map[string]string{
		"POST":   "/v2/docs-backend-default/blobs/uploads/",
		"PUT":    "/v2/docs-backend-default/manifests/5.4.1-1",
		"PATCH":  "/v2/docs-backend-default/blobs/uploads/x",
		"DELETE": "/v2/docs-backend-default/manifests/5.4.1-1",
	} {
		r := request(t, method, readOnly, path, "{}")
		if r.status != 405 || r.code() != "UNSUPPORTED" || !strings.Contains(r.body, "--writable DIR") || r.header.Get("Allow") == "" {
			t.Errorf("read-only: %s: %d %s", method, r.status, r.body)
		}
	}
	if r := request(t, "DELETE", writable, "/v2/docs-backend-default/manifests/5.4.1-1", ""); r.status != 405 || r.code() != "UNSUPPORTED" {
		t.Errorf("delete what is in the layout: %d %s", r.status, r.body)
	}
}

// A build in another terminal writes into the layout while it is served.
func TestServeChangedLayout(t *testing.T) {
	dir := newLayout(t, "a:1")
	host := serve(t, dir, "")
	if r := request(t, "GET", host, "/v2/b/manifests/2", ""); r.status != 404 {
		t.Fatalf("before: %d", r.status)
	}
	index := appendIndex(t, gcr.Path(dir), "b:2")
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if r := request(t, "HEAD", host, "/v2/b/manifests/2", ""); r.status != 200 || r.header.Get("Docker-Content-Digest") != want.String() {
		t.Errorf("after: %d %v", r.status, r.header)
	}
	// Missing or broken content is an error, and does not end the server.
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := request(t, "GET", host, "/v2/b/manifests/2", ""); r.status != 500 || r.code() != "UNKNOWN" {
		t.Errorf("broken: %d %s", r.status, r.body)
	}
}

// A user removes dist while it is served, and builds again.
func TestServeRemovedLayout(t *testing.T) {
	for _, writable := range []string{"", t.TempDir()} {
		dir := newLayout(t, "a:1")
		host := serve(t, dir, writable)
		if r := request(t, "GET", host, "/v2/a/manifests/1", ""); r.status != 200 {
			t.Fatalf("before: %d", r.status)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/v2/a/manifests/1", "/v2/b/manifests/1", "/v2/a/tags/list"} {
			if r := request(t, "GET", host, path, ""); r.status != 404 {
				t.Errorf("%q: %s of a layout that is gone: %d %s", writable, path, r.status, r.body)
			}
		}
		if err := os.Rename(newLayout(t, "a:1", "b:2"), dir); err != nil {
			t.Fatal(err)
		}
		if r := request(t, "GET", host, "/v2/b/manifests/2", ""); r.status != 200 {
			t.Errorf("built again: %d %s", r.status, r.body)
		}
	}
}

func TestNewErrors(t *testing.T) {
	empty, used, dist := t.TempDir(), t.TempDir(), newLayout(t, "a:1")
	if err := os.WriteFile(filepath.Join(used, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, layout, writable, want string }{
		{"no layout", empty, "", "opening the OCI layout " + empty + ": open oci-layout: no such file"},
		{"no layout, writable", empty, filepath.Join(t.TempDir(), "w"), "opening the OCI layout " + empty},
		{"a directory in use", dist, used, "neither empty nor an OCI layout"},
		{"the layout itself", dist, dist, "a directory of their own"},
	} {
		if _, err := New(tt.layout, tt.writable); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	w := t.TempDir()
	first, err := New("", w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New("", w); err == nil || !strings.Contains(err.Error(), "another process is writing to it") {
		t.Errorf("two servers: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := New("", w)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestSplitRefName(t *testing.T) {
	digest := digestOf("")
	for refName, want := range map[string][3]string{
		"docs-backend-default:5.4.1-1": {"docs-backend-default", "5.4.1-1", "true"},
		"a/b:1":                        {"a/b", "1", "true"},
		"a@" + digest:                  {"a", "", "true"},
		"a@sha256:12":                  {"a", "", "false"},
		"a":                            {"", "", "false"},
		"":                             {"", "", "false"},
		"a:":                           {"a", "", "false"},
		"../a:1":                       {"../a", "1", "false"},
		"host:5000/a:1":                {"host:5000/a", "1", "false"},
		"a:x/y":                        {"a", "x/y", "false"},
	} {
		repo, tag, ok := splitRefName(refName)
		if diff := cmp.Diff(want, [3]string{repo, tag, fmt.Sprint(ok)}); diff != "" {
			t.Errorf("%q: %s", refName, diff)
		}
	}
}

// Only one process writes to a folder that takes pushes, whether a build or a server comes
// second.
func TestBuildAndServerDoNotWriteIntoOneFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	s, err := New("", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Create(t.Context(), dir, nil); !errors.Is(err, layout.ErrLocked) {
		t.Errorf("a build while it is served: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Create(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := New("", dir); !errors.Is(err, layout.ErrLocked) {
		t.Errorf("a server while it is built: %v", err)
	}
	if _, err := New(dir, ""); err != nil {
		t.Errorf("a server that only reads: %v", err)
	}
}
