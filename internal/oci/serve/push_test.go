package serve

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/testkit"
)

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(5000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

func indexOf(images ...v1.Image) v1.ImageIndex {
	index := mutate.IndexMediaType(emptyIndex(), types.OCIImageIndex)
	for _, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image})
	}
	return index
}

func digest(t *testing.T, x interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := x.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func pull(t *testing.T, r name.Reference) v1.ImageIndex {
	t.Helper()
	index, err := remote.Index(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("%s: %v", r, err)
	}
	return index
}

func TestPushSurvivesRestart(t *testing.T) {
	dist, pushed := newLayout(t, "docs:1"), filepath.Join(t.TempDir(), "pushed")
	index, untagged := indexOf(randomImage(t), randomImage(t)), randomImage(t)

	s, err := New(dist, pushed)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	host := strings.TrimPrefix(h.URL, "http://")
	if err := remote.WriteIndex(ref(t, host, "lasuite/docs:2"), index); err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref(t, host, "docs@"+digest(t, untagged)), untagged); err != nil {
		t.Fatal(err)
	}
	// An upload that never ends.
	if r := request(t, "POST", host, "/v2/docs/blobs/uploads/", ""); r.status != 202 {
		t.Fatalf("%d", r.status)
	}
	h.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(pushed, ".uploads")); err != nil || len(left) > 0 {
		t.Errorf("uploads left: %v, %v", left, err)
	}

	host = serve(t, dist, pushed)
	if got := digest(t, pull(t, ref(t, host, "lasuite/docs:2"))); got != digest(t, index) {
		t.Errorf("got %s", got)
	}
	pull(t, ref(t, host, "lasuite/docs@"+digest(t, index)))
	pull(t, ref(t, host, "docs:1"))
	if image, err := remote.Image(ref(t, host, "docs@"+digest(t, untagged))); err != nil {
		t.Error(err)
	} else if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	if r := request(t, "GET", host, "/v2/_catalog", ""); r.body != `{"repositories":["docs","lasuite/docs"]}` {
		t.Error(r.body)
	}
	// Other programs can read it as a layout, too.
	t.Run("skopeo", func(t *testing.T) {
		testkit.Require(t, "skopeo")
		run(t, "skopeo", "inspect", "--raw", "oci:"+pushed+":lasuite/docs:2")
	})
}

func TestPushedTagWins(t *testing.T) {
	dist := newLayout(t, "docs:1")
	host := serve(t, dist, filepath.Join(t.TempDir(), "pushed"))
	built := pull(t, ref(t, host, "docs:1"))
	pushed := indexOf(randomImage(t))
	if err := remote.WriteIndex(ref(t, host, "docs:1"), pushed); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, pull(t, ref(t, host, "docs:1"))); got != digest(t, pushed) {
		t.Errorf("got %s", got)
	}
	pull(t, ref(t, host, "docs@"+digest(t, built)))
	if err := remote.Delete(ref(t, host, "docs:1")); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, pull(t, ref(t, host, "docs:1"))); got != digest(t, built) {
		t.Errorf("after the deletion: %s", got)
	}
}

func TestConcurrentPushes(t *testing.T) {
	pushed := filepath.Join(t.TempDir(), "pushed")
	host := serve(t, "", pushed)
	shared := randomImage(t) // all push its blobs at the same time
	var g errgroup.Group
	for i := range 16 {
		index := indexOf(shared, randomImage(t))
		r := ref(t, host, fmt.Sprintf("app%d:v%d", i%4, i))
		g.Go(func() error { return remote.WriteIndex(r, index) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		pull(t, ref(t, host, fmt.Sprintf("app%d:v%d", i%4, i)))
	}
	b, err := os.ReadFile(filepath.Join(pushed, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	tags := 0
	for _, d := range index.Manifests {
		if _, tag, _ := splitRefName(d.Annotations[layout.RefNameAnnotation]); tag != "" {
			tags++
		}
	}
	if tags != 16 {
		t.Errorf("%d tags in index.json", tags)
	}
}

func TestDelete(t *testing.T) {
	host := serve(t, "", filepath.Join(t.TempDir(), "pushed"))
	image := randomImage(t)
	for _, tag := range []string{"1", "2"} {
		for _, repo := range []string{"a", "b"} {
			if err := remote.Write(ref(t, host, repo+":"+tag), image); err != nil {
				t.Fatal(err)
			}
		}
	}
	status := func(method, path string) int { return request(t, method, host, path, "").status }
	d := digest(t, image)
	for _, step := range []struct {
		method, path string
		want         int
	}{
		{"DELETE", "/v2/a/manifests/1", 202},
		{"GET", "/v2/a/manifests/1", 404},
		{"GET", "/v2/a/manifests/2", 200},
		{"GET", "/v2/a/manifests/" + d, 200},
		{"DELETE", "/v2/a/manifests/1", 404},
		{"DELETE", "/v2/a/manifests/" + d, 202},
		{"GET", "/v2/a/manifests/2", 404},
		{"GET", "/v2/a/manifests/" + d, 404},
		{"GET", "/v2/b/manifests/2", 200},
		{"DELETE", "/v2/b/blobs/" + d, 405},
	} {
		if got := status(step.method, step.path); got != step.want {
			t.Errorf("%s %s: %d, want %d", step.method, step.path, got, step.want)
		}
	}
}

func TestReferrers(t *testing.T) {
	host := serve(t, "", filepath.Join(t.TempDir(), "pushed"))
	subject := randomImage(t)
	if err := remote.Write(ref(t, host, "docs:1"), subject); err != nil {
		t.Fatal(err)
	}
	manifest, err := subject.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	config := string(mustJSON(t, manifest.Config))
	attach := func(artifactType, configType string) string {
		m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",%s"config":%s,"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":1},"annotations":{"kind":"sbom"}}`,
			artifactType, strings.Replace(config, string(types.OCIConfigJSON), configType, 1), digest(t, subject))
		r := request(t, "PUT", host, "/v2/docs/manifests/"+digestOf(m), m, "Content-Type", string(types.OCIManifestSchema1))
		if r.status != 201 || r.header.Get("OCI-Subject") != digest(t, subject) {
			t.Fatalf("%d %s %v", r.status, r.body, r.header)
		}
		return digestOf(m)
	}
	sbom := attach(`"artifactType":"application/spdx",`, "application/vnd.oci.empty.v1+json")
	old := attach("", "application/old")

	list := func(query string) (found []string, filtered string) {
		r := request(t, "GET", host, "/v2/docs/referrers/"+digest(t, subject)+query, "")
		var index v1.IndexManifest
		if err := json.Unmarshal([]byte(r.body), &index); err != nil || r.status != 200 || r.header.Get("Content-Type") != string(types.OCIImageIndex) {
			t.Fatalf("%d %v %s", r.status, r.header, r.body)
		}
		for _, d := range index.Manifests {
			found = append(found, d.Digest.String()+" "+d.ArtifactType+" "+d.Annotations["kind"])
		}
		return found, r.header.Get("OCI-Filters-Applied")
	}
	if got, filtered := list(""); len(got) != 2 || got[0] != sbom+" application/spdx sbom" || got[1] != old+" application/old sbom" || filtered != "" {
		t.Errorf("all: %q %q", got, filtered)
	}
	if got, filtered := list("?artifactType=application/spdx"); len(got) != 1 || filtered != "artifactType" {
		t.Errorf("filtered: %q %q", got, filtered)
	}
	if got, _ := list("?artifactType=none"); len(got) != 0 {
		t.Errorf("none: %q", got)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPutManifestErrors(t *testing.T) {
	host := serve(t, "", filepath.Join(t.TempDir(), "pushed"))
	const oci = "application/vnd.oci.image.manifest.v1+json"
	missing := `{"schemaVersion":2,"config":{"mediaType":"x","size":1,"digest":"` + digestOf("missing") + `"},"layers":[]}`
	for _, tt := range []struct {
		name, arg, mediaType, body string
		status                     int
		code                       string
	}{
		{"digest of other content", digestOf("other"), oci, missing, 400, "DIGEST_INVALID"},
		{"illegal tag", "a:b", oci, missing, 400, "MANIFEST_INVALID"},
		{"long tag", strings.Repeat("a", 129), oci, missing, 400, "MANIFEST_INVALID"},
		{"missing blob", "1", oci, missing, 404, "MANIFEST_BLOB_UNKNOWN"},
		{"missing child", "1", "application/vnd.oci.image.index.v1+json", `{"manifests":[{"mediaType":"` + oci + `","size":1,"digest":"` + digestOf("missing") + `"}]}`, 404, "MANIFEST_BLOB_UNKNOWN"},
		{"no JSON", "1", oci, "{", 400, "MANIFEST_INVALID"},
		{"no config", "1", oci, "{}", 400, "MANIFEST_INVALID"},
		{"path for a digest", "1", oci, strings.Replace(missing, digestOf("missing"), "sha256:../../../etc/passwd", 1), 400, "MANIFEST_INVALID"},
		{"another media type inside", "1", oci, `{"mediaType":"application/vnd.oci.image.index.v1+json"}`, 400, "MANIFEST_INVALID"},
		{"unknown media type", "1", "application/json", missing, 400, "MANIFEST_INVALID"},
		{"no media type", "1", "", missing, 400, "MANIFEST_INVALID"},
		{"too large", "1", oci, strings.Repeat(" ", maxManifestSize+1), 413, "SIZE_INVALID"},
	} {
		r := request(t, "PUT", host, "/v2/docs/manifests/"+tt.arg, tt.body, "Content-Type", tt.mediaType)
		if r.status != tt.status || r.code() != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, r.status, r.body, tt.status, tt.code)
		}
	}
	if r := request(t, "GET", host, "/v2/_catalog", ""); r.body != `{"repositories":[]}` {
		t.Errorf("something was pushed: %s", r.body)
	}
}

func TestUploads(t *testing.T) {
	pushed := filepath.Join(t.TempDir(), "pushed")
	host := serve(t, "", pushed)
	const content = "hello world"
	want := digestOf(content)
	start := func() string {
		r := request(t, "POST", host, "/v2/docs/blobs/uploads/", "")
		if r.status != 202 {
			t.Fatalf("start: %d %s", r.status, r.body)
		}
		return r.header.Get("Location")
	}
	expect := func(what string, r response, status int, code string) {
		t.Helper()
		if r.status != status || code != "" && r.code() != code {
			t.Errorf("%s: %d %s, want %d %s", what, r.status, r.body, status, code)
		}
	}

	at := start()
	expect("in the middle", request(t, "PATCH", host, at, "world", "Content-Range", "6-10"), 416, "BLOB_UPLOAD_INVALID")
	expect("first chunk", request(t, "PATCH", host, at, "hello ", "Content-Range", "0-5"), 202, "")
	expect("wrong length", request(t, "PATCH", host, at, "wor", "Content-Range", "6-10"), 400, "SIZE_INVALID")
	expect("no range", request(t, "PATCH", host, at, "wor", "Content-Range", "x"), 400, "BLOB_UPLOAD_INVALID")
	r := request(t, "GET", host, at, "")
	expect("status", r, 204, "")
	if r.header.Get("Range") != "0-5" {
		t.Errorf("status: %v", r.header)
	}
	expect("of another repository", request(t, "PUT", host, strings.Replace(at, "docs", "meet", 1)+"?digest="+want, "world"), 404, "BLOB_UPLOAD_UNKNOWN")
	expect("no digest", request(t, "PUT", host, at, "world"), 400, "DIGEST_INVALID")
	expect("the rest", request(t, "PUT", host, at+"?digest="+want, "world"), 201, "")
	expect("ended", request(t, "PATCH", host, at, "!"), 404, "BLOB_UPLOAD_UNKNOWN")
	if r := request(t, "GET", host, "/v2/docs/blobs/"+want, ""); r.body != content {
		t.Errorf("%d %s", r.status, r.body)
	}
	expect("mount", request(t, "POST", host, "/v2/meet/blobs/uploads/?mount="+want+"&from=docs", ""), 201, "")
	expect("mount of what is not there", request(t, "POST", host, "/v2/meet/blobs/uploads/?mount="+digestOf("x")+"&from=docs", ""), 202, "")
	expect("in one request", request(t, "POST", host, "/v2/docs/blobs/uploads/?digest="+digestOf("one"), "one"), 201, "")
	expect("in one request, other content", request(t, "POST", host, "/v2/docs/blobs/uploads/?digest="+digestOf("one"), "two"), 400, "DIGEST_INVALID")
	at = start()
	expect("other content", request(t, "PUT", host, at+"?digest="+digestOf("one"), "two"), 400, "DIGEST_INVALID")
	expect("dropped", request(t, "GET", host, at, ""), 404, "BLOB_UPLOAD_UNKNOWN")
	at = start()
	expect("cancel", request(t, "DELETE", host, at, ""), 204, "")
	expect("cancelled", request(t, "PUT", host, at+"?digest="+want, content), 404, "BLOB_UPLOAD_UNKNOWN")
}

// If a connection breaks in the middle of a chunk, nothing of the chunk stays.
func TestTruncatedUpload(t *testing.T) {
	pushed := filepath.Join(t.TempDir(), "pushed")
	host := serve(t, "", pushed)
	at := request(t, "POST", host, "/v2/docs/blobs/uploads/", "").header.Get("Location")
	want := digestOf("hello world")
	for _, method := range []string{"PATCH", "PUT"} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "%s %s?digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello", method, at, want)
		c.Close()
	}
	// The server answers this request after the broken ones, or before it begins with them: the
	// result is the same.
	r := request(t, "PATCH", host, at, "hello world", "Content-Range", "0-10")
	if r.status != 202 || r.header.Get("Range") != "0-10" {
		t.Fatalf("%d %s %v", r.status, r.body, r.header)
	}
	if r := request(t, "PUT", host, at+"?digest="+want, ""); r.status != 201 {
		t.Errorf("%d %s", r.status, r.body)
	}
}
