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
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// A faulty registry counts requests, and may answer one of them differently.
type faulty struct {
	host     string
	requests atomic.Int64
	spoil    func(n int64, w http.ResponseWriter, r *http.Request) bool
}

func newFaulty(t *testing.T) (*faulty, *Client) {
	t.Helper()
	s := &faulty{}
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" { // the greeting
			inner.ServeHTTP(w, r)
			return
		}
		if n := s.requests.Add(1); s.spoil == nil || !s.spoil(n, w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	client, err := NewClient(s.host+"/lasuite", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

// remoteOptions makes the library send requests as a client does.
func remoteOptions(c *Client) []remote.Option {
	return []remote.Option{remote.WithAuthFromKeychain(c.keys), remote.WithTransport(c.transport)}
}

// refuse answers the first requests with a status.
func (s *faulty) refuse(first int64, status int, header ...string) {
	s.requests.Store(0)
	s.spoil = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n > first {
			return false
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, `{"errors":[{"code":"DENIED","message":"no\nluck"}]}`, status)
		return true
	}
}

var note = Artifact{
	Type:        "application/vnd.sh.libre.test.v1+json",
	Content:     []byte("{\"a\":1}\n"),
	Annotations: map[string]string{"b": "2", "a": "1"},
}

var noteRef = catalog.Ref{Repository: "docs-default", Tag: "5.4.1-1"}

// The digest of a published artifact must not change: a change of these bytes changes the
// digest of every record.
func TestArtifactDigest(t *testing.T) {
	_, client := newFaulty(t)
	digest, err := client.ArtifactDigest(noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:4d95ba417f36b3675b59e999de60359e7e5d8104e9a9ec962e9d6fb72e003f33"
	if digest.DigestStr() != want {
		t.Errorf("digest %s, want %s", digest.DigestStr(), want)
	}
}

func TestPushArtifact(t *testing.T) {
	for _, size := range []int{10, inlineSize + 1} {
		artifact := note
		artifact.Content = []byte(`"` + strings.Repeat("x", size) + `"`)
		registry, client := newFaulty(t)
		ctx := context.Background()
		digest, err := client.PushArtifact(ctx, noteRef, artifact)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := client.ArtifactDigest(noteRef, artifact); err != nil || digest != want {
			t.Errorf("pushed %s, announced %s, %v", digest, want, err)
		}
		got, err := client.Get(ctx, digest)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := v1.ParseManifest(bytes.NewReader(got.Content))
		if err != nil {
			t.Fatal(err)
		}
		before := registry.requests.Load()
		content, err := client.Blob(ctx, digest, manifest.Layers[0], mostSmall)
		if err != nil || string(content) != string(artifact.Content) {
			t.Errorf("read %d bytes, want %d, %v", len(content), len(artifact.Content), err)
		}
		if asked := registry.requests.Load() > before; asked != (size > inlineSize) {
			t.Errorf("%d bytes: asked the registry for the content: %v", size, asked)
		}
		// A descriptor's data counts only if its digest is right.
		manifest.Layers[0].Data = []byte("something else")
		if _, err := client.Blob(ctx, digest, manifest.Layers[0], mostSmall); err == nil {
			t.Error("took data of another digest")
		}
	}
}

func TestSetTag(t *testing.T) {
	_, client := newFaulty(t)
	ctx := context.Background()
	other := note
	other.Content = []byte("{}\n")
	first, err := client.PushArtifact(ctx, noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.PushArtifact(ctx, noteRef, other)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := client.Tag(noteRef)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Head(ctx, tag); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v, want ErrNotFound", err)
	}
	for _, digest := range []name.Digest{first, first, second} {
		if err := client.SetTag(ctx, noteRef, digest); err != nil {
			t.Fatal(err)
		}
		if head, err := client.Head(ctx, tag); err != nil || head.Digest.String() != digest.DigestStr() {
			t.Errorf("the tag is %v, %v, want %s", head, err, digest.DigestStr())
		}
	}
	// Another run's manifest must be read first.
	again, err := NewClient(client.String(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.SetTag(ctx, noteRef, first); err != nil {
		t.Fatal(err)
	}
	if head, err := client.Head(ctx, tag); err != nil || head.Digest.String() != first.DigestStr() {
		t.Errorf("the tag is %v, %v, want %s", head, err, first.DigestStr())
	}
}

// An error is returned if a registry accepts a tag and keeps the old one, or if another
// writer is faster.
func TestTagThatOthersSetIsReported(t *testing.T) {
	registry, client := newFaulty(t)
	ctx := context.Background()
	other := note
	other.Content = []byte("{}\n")
	first, err := client.PushArtifact(ctx, noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.PushArtifact(ctx, noteRef, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SetTag(ctx, noteRef, first); err != nil {
		t.Fatal(err)
	}
	registry.spoil = func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
		}
		return r.Method == http.MethodPut
	}
	if err := client.SetTag(ctx, noteRef, second); !errors.Is(err, ErrTagMoved) || !strings.Contains(err.Error(), first.DigestStr()) {
		t.Errorf("error %v", err)
	}
}

// An error is returned if a registry forgets a tag that it accepted.
func TestTagThatTheRegistryForgetsIsReported(t *testing.T) {
	registry, client := newFaulty(t)
	ctx := context.Background()
	digest, err := client.PushArtifact(ctx, noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	registry.spoil = func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
		}
		return r.Method == http.MethodPut
	}
	if err := client.SetTag(ctx, noteRef, digest); err == nil || !strings.Contains(err.Error(), "the tag does not exist") {
		t.Errorf("error %v", err)
	}
}

func TestRetries(t *testing.T) {
	for _, status := range []int{408, 425, 429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			registry, client := newFaulty(t)
			registry.refuse(2, status, "Retry-After", "0")
			if _, err := client.PushArtifact(context.Background(), noteRef, note); err != nil {
				t.Error(err)
			}
			registry.refuse(2, status, "Retry-After", "0")
			tag, err := client.Tag(noteRef)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Head(context.Background(), tag); !errors.Is(err, ErrNotFound) {
				t.Errorf("%v, want ErrNotFound", err)
			}
			// It is not known yet whether the registry supports HEAD. GET is certain.
			if n := registry.requests.Load(); n != 3+1 {
				t.Errorf("%d requests, want 4", n)
			}
		})
	}
}

func TestNoRetries(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 413, 416, 501} {
		registry, client := newFaulty(t)
		registry.refuse(1000, status)
		tag, err := client.Tag(noteRef)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Get(context.Background(), tag)
		if n := registry.requests.Load(); n != 1 {
			t.Errorf("%d: %d requests, want 1", status, n)
		}
		if got, want := fault.Is(err, fault.Credentials), status == 401 || status == 403; got != want {
			t.Errorf("%d: %T, a refusal %v, want %v", status, err, got, want)
		}
		if got, want := errors.Is(err, ErrNotFound), status == 404; got != want {
			t.Errorf("%d: not found %v, want %v", status, got, want)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "\n") || !strings.HasPrefix(text, "reading "+tag.String()+": ") {
			t.Errorf("%d: %q", status, text)
		}
	}
}

// An answer that ends too early is requested again.
func TestTruncatedAnswer(t *testing.T) {
	registry, client := newFaulty(t)
	digest, err := client.PushArtifact(context.Background(), noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	registry.requests.Store(0)
	registry.spoil = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n > 1 {
			return false
		}
		w.Header().Set("Content-Length", "400")
		_, _ = w.Write([]byte("{"))
		panic(http.ErrAbortHandler)
	}
	if _, err := client.Get(context.Background(), digest); err != nil {
		t.Error(err)
	}
	if n := registry.requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// Errors do not contain a login that the registry's answer repeats.
func TestSecretsInRefusals(t *testing.T) {
	const password = "hunter2"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		http.Error(w, r.Header.Get("Authorization")+" "+given, http.StatusForbidden)
	})
	server := httptest.NewServer(echo)
	defer server.Close()
	request, err := http.NewRequest(http.MethodPut, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("publisher", password)
	response, err := newTransport(Options{}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "Basic … …\n" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestNewClient(t *testing.T) {
	for _, test := range []struct {
		prefix, want string // "" for an error
	}{
		{"registry.example/lasuite", "registry.example/lasuite/docs-default:5.4.1-1"},
		{"registry.example/lasuite/", "registry.example/lasuite/docs-default:5.4.1-1"},
		{"localhost:5000", "localhost:5000/docs-default:5.4.1-1"},
		{"Not A Registry", ""},
		{"registry.example/UPPER", ""},
		{"https://registry.example", ""},
	} {
		client, err := NewClient(test.prefix, Options{})
		if (err == nil) != (test.want != "") {
			t.Errorf("%q: %v", test.prefix, err)
		}
		if err != nil {
			continue
		}
		if tag, err := client.Tag(noteRef); err != nil || tag.String() != test.want {
			t.Errorf("%q: %s, want %s, %v", test.prefix, tag, test.want, err)
		}
	}
}
