package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// attestations are the types that every image has besides its signature.
var attestations = []string{state.CycloneDXType, state.SPDXType, state.ProvenanceType}

// A watched registry is a proxy for a registry. It records requests, disturbs them if a
// test wants that, and inspects each tag when it is written: the writer gets its answer
// only after the inspection.
type watched struct {
	t       testing.TB
	host    string // of the proxy, which libre uses
	backend string
	proxy   *httputil.ReverseProxy
	signing *state.Signing   // nil if pushes are not signed
	client  *registry.Client // of the backend
	lenient bool             // do not inspect tags when they are written
	answers *sync.Map        // see remember; nil if the proxy does not

	mu       sync.Mutex
	requests []string // METHOD PATH
	repos    map[string]bool
	// meddle, if not nil, may answer instead of the registry.
	meddle func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool
}

// namespace is the namespace in which tests publish.
const namespace = "lasuite"

// newWatched starts a registry of a kind, and expects signatures that the catalogues'
// policy accepts, in a format. With the format "" it expects none.
func newWatched(t testing.TB, kind string, format sign.Format) *watched {
	t.Helper()
	return watch(t, startRegistry(t, kind), format)
}

func watch(t testing.TB, backend string, format sign.Format) *watched {
	t.Helper()
	w := &watched{t: t, backend: backend, repos: map[string]bool{}}
	target := &url.URL{Scheme: "http", Host: w.backend}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256 // without this, most of the work would be opening connections
	t.Cleanup(transport.CloseIdleConnections)
	w.proxy = &httputil.ReverseProxy{
		Transport: transport,
		// Keep the host, because registries use it in upload URLs.
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	w.host = serve(t, w)
	var err error
	if w.client, err = registry.NewClient(w.backend+"/"+namespace, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	if format != "" {
		w.expect(policy(t, shared(t), format))
	}
	return w
}

// expect sets the policy that accepts the signatures of everything with a tag.
func (w *watched) expect(p *sign.Policy) {
	w.t.Helper()
	// Signatures are for the proxy, but are read from the backend.
	p = p.WithCopies(sign.Copy{Of: w.prefix(), In: w.backend + "/" + namespace})
	w.signing = &state.Signing{Client: sign.NewClient(w.client, sign.Limits{}), Policy: p}
}

// hasCopiesOf expects images that are signed for another registry.
func (w *watched) hasCopiesOf(first *watched) {
	w.signing.Policy = w.signing.Policy.WithCopies(sign.Copy{Of: first.prefix(), In: w.backend + "/" + namespace})
}

// prefix returns the prefix for --to.
func (w *watched) prefix() string { return w.host + "/" + namespace }

var manifestPath = regexp.MustCompile(`^/v2/(.+)/manifests/([^/]+)$`)

func (w *watched) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.requests = append(w.requests, r.Method+" "+r.URL.Path)
	meddle := w.meddle
	w.mu.Unlock()
	if meddle == nil || !meddle(rw, r, w.forward) {
		w.forward(rw, r)
	}
}

// forward forwards a request. It inspects a tag that is written before it answers.
func (w *watched) forward(rw http.ResponseWriter, r *http.Request) {
	if w.answers != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.answer(rw, r)
		return
	}
	written := manifestPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPut || written == nil {
		w.proxy.ServeHTTP(rw, r)
		return
	}
	w.mu.Lock()
	w.repos[written[1]] = true
	w.mu.Unlock()
	status := &statusWriter{ResponseWriter: rw, before: func(code int) {
		if code < 300 && isTag(written[2]) && !w.lenient {
			if err := w.inspect(written[1], written[2]); err != nil {
				w.t.Errorf("tagged %s:%s too early: %v", written[1], written[2], err)
			}
		}
	}}
	w.proxy.ServeHTTP(status, r)
}

// isTag reports whether a reference is a release's tag, not a digest or a tag with
// attachments.
func isTag(identifier string) bool {
	return !strings.HasPrefix(identifier, "sha256:") && !strings.HasPrefix(identifier, "sha256-")
}

type statusWriter struct {
	http.ResponseWriter
	before func(code int)
}

func (s *statusWriter) WriteHeader(code int) {
	s.before(code)
	s.ResponseWriter.WriteHeader(code)
}

// inspect checks what a tag points to. An image and its children must be signed and have
// attestations. All images of a record must exist under their tags, which were inspected
// before.
func (w *watched) inspect(repo, tag string) error {
	if w.signing == nil {
		return nil
	}
	ctx := context.Background()
	reference, err := name.NewTag(w.backend + "/" + repo + ":" + tag)
	if err != nil {
		return err
	}
	got, err := w.client.Get(ctx, reference)
	if err != nil {
		return err
	}
	digest := reference.Context().Digest(got.Digest.String())
	if !got.MediaType.IsIndex() {
		return w.inspectRecord(ctx, reference)
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(got.Content))
	if err != nil {
		return err
	}
	subjects := []name.Digest{digest}
	for _, child := range manifest.Manifests {
		subjects = append(subjects, reference.Context().Digest(child.Digest.String()))
	}
	for _, subject := range subjects {
		if err := w.complete(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// complete checks that a digest has a valid attachment of each kind.
func (w *watched) complete(ctx context.Context, subject name.Digest) error {
	view := w.signing.Client.Attachments(subject)
	if _, err := view.Verify(ctx, w.signing.Policy); err != nil {
		return err
	}
	for _, kind := range attestations {
		if _, err := view.VerifyAttestations(ctx, kind, w.signing.Policy); err != nil {
			return err
		}
	}
	return nil
}

func (w *watched) inspectRecord(ctx context.Context, reference name.Tag) error {
	record, _, err := state.ShowRecord(ctx, w.client, w.signing, reference)
	if err != nil {
		return err
	}
	for _, component := range record.Components {
		tag, err := w.client.Tag(component.Reference)
		if err != nil {
			return err
		}
		head, err := w.client.Head(ctx, tag)
		if err != nil {
			return err
		}
		if head.Digest.String() != component.Digest {
			return fmt.Errorf("the record names %s as %s, its tag points to %s", component.Reference, component.Digest, head.Digest)
		}
	}
	return nil
}

// tags returns all tags of images and records: name:tag → digest.
func (w *watched) tags(t testing.TB) map[string]string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for repo := range w.repos {
		repository, err := name.NewRepository(w.backend + "/" + repo)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := remote.List(repository)
		if err != nil {
			continue // nothing was written
		}
		for _, tag := range tags {
			if !isTag(tag) {
				continue
			}
			head, err := remote.Head(repository.Tag(tag))
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(repo, namespace+"/")+":"+tag] = head.Digest.String()
		}
	}
	return all
}

// audit inspects every tag.
func (w *watched) audit(t testing.TB) {
	t.Helper()
	for refName := range w.tags(t) {
		repo, tag, _ := strings.Cut(refName, ":")
		if err := w.inspect(namespace+"/"+repo, tag); err != nil {
			t.Errorf("%s: %v", refName, err)
		}
	}
}

// count returns the number of requests so far.
func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.requests)
}

// since returns the requests after the first n, without GET /v2/, which belongs to logging
// in.
func (w *watched) since(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.requests[n:]), func(r string) bool { return r == "GET /v2/" })
}

func (w *watched) setMeddle(meddle func(http.ResponseWriter, *http.Request, http.HandlerFunc) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddle = meddle
}

// children returns the digests that an index names.
func children(t testing.TB, index name.Reference) []name.Digest {
	t.Helper()
	got, err := remote.Index(index)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := got.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var all []name.Digest
	for _, child := range manifest.Manifests {
		all = append(all, index.Context().Digest(child.Digest.String()))
	}
	return all
}
