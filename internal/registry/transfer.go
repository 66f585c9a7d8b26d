package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

const (
	// blobsAtOnce is how many blobs of one image are on their way at a time.
	blobsAtOnce = 4
	// smallBlob is up to which size a blob is sent without asking whether it is
	// there: the question takes as long.
	smallBlob = 64 << 10
	// largeBlob is from which size a registry is let say no before the blob is sent.
	largeBlob = 1 << 20
)

// An origin has images: manifests and blobs by digest.
type origin interface {
	manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// blob opens a blob at its beginning, as often as it is asked to.
	blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error)
}

// transfer is an image on its way to a repository: all its blobs, then manifests,
// each after those that it names.
type transfer struct {
	client     *Client
	repository name.Repository
	from       origin
	known      func(v1.Hash) bool // blobs that are in the repository; nil for none
	askAbove   int64              // the size in bytes above which a blob is asked for first

	askManifests bool // whether manifests are asked for first

	manifests []manifest
	blobs     []v1.Descriptor
	seen      map[v1.Hash]bool
}

// manifest is one as it was read.
type manifest struct {
	digest    v1.Hash
	mediaType types.MediaType
	content   []byte
	refers    bool // to a subject
}

func (t *transfer) run(ctx context.Context, root v1.Hash) error {
	t.seen = map[v1.Hash]bool{}
	if err := t.read(ctx, v1.Descriptor{Digest: root}); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	for _, blob := range t.blobs {
		group.Go(func() error { return t.sendBlob(groupCtx, blob) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, m := range t.manifests {
		if err := t.sendManifest(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// read collects what belongs to a manifest, and the manifest after it.
func (t *transfer) read(ctx context.Context, described v1.Descriptor) error {
	digest := described.Digest
	if t.seen[digest] {
		return nil
	}
	t.seen[digest] = true
	content, err := t.from.manifest(ctx, digest)
	if err != nil {
		return err
	}
	var names struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests []v1.Descriptor `json:"manifests"`
		Config    v1.Descriptor   `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Subject   *v1.Descriptor  `json:"subject"`
	}
	if err := json.Unmarshal(content, &names); err != nil {
		return fmt.Errorf("reading manifest %s: %w", digest, err)
	}
	// A manifest of OCI may leave its type to who names it.
	mediaType := cmp.Or(names.MediaType, described.MediaType, types.OCIManifestSchema1)
	switch {
	case mediaType.IsIndex():
		for _, child := range names.Manifests {
			if err := t.read(ctx, child); err != nil {
				return err
			}
		}
	case mediaType.IsImage():
		for _, blob := range append(names.Layers, names.Config) {
			if !t.seen[blob.Digest] && blob.MediaType.IsDistributable() {
				t.seen[blob.Digest] = true
				t.blobs = append(t.blobs, blob)
			}
		}
	default:
		return fmt.Errorf("manifest %s is of type %q, expected an image or an index", digest, mediaType)
	}
	t.manifests = append(t.manifests, manifest{digest, mediaType, content, names.Subject != nil})
	return nil
}

func (t *transfer) sendManifest(ctx context.Context, m manifest) error {
	if t.askManifests {
		if _, err := t.client.Head(ctx, t.repository.Digest(m.digest.String())); !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if m.refers {
		// Where a registry lacks the referrers API, the pusher notes who refers to what.
		return t.client.pusher.Put(ctx, t.repository.Digest(m.digest.String()), manifestBytes{m.content, m.mediaType})
	}
	err := retried(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, repositoryURL(t.repository, "manifests/"+m.digest.String()), bytes.NewReader(m.content))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", string(m.mediaType))
		response, err := t.client.do(t.repository, request, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	return tooLarge("manifest", v1.Descriptor{Digest: m.digest, Size: int64(len(m.content))}, err)
}

// whereabouts are the repositories of a registry in which blobs were seen during
// this run.
type whereabouts struct {
	mu    sync.Mutex
	blobs map[v1.Hash]*whereabout
}

// whereabout is held while its blob is on its way: who wants to send the same blob
// to another repository can have it mounted afterwards.
type whereabout struct {
	mu         sync.Mutex
	repository string // "" for none
}

func (w *whereabouts) of(digest v1.Hash) *whereabout {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blobs == nil {
		w.blobs = map[v1.Hash]*whereabout{}
	}
	if w.blobs[digest] == nil {
		w.blobs[digest] = &whereabout{}
	}
	return w.blobs[digest]
}

// Saw notes that a repository has a blob: others have it mounted from there.
func (c *Client) Saw(repository name.Repository, blob v1.Hash) {
	seen := c.whereabouts.of(blob)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.repository == "" {
		seen.repository = repository.RepositoryStr()
	}
}

func (t *transfer) sendBlob(ctx context.Context, blob v1.Descriptor) error {
	here := t.repository.RepositoryStr()
	seen := t.client.whereabouts.of(blob.Digest)
	if t.known != nil && t.known(blob.Digest) {
		if seen.mu.TryLock() {
			seen.repository = here
			seen.mu.Unlock()
		}
		return nil
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.repository == here {
		return nil
	}
	if err := retried(ctx, func() error { return t.tryBlob(ctx, blob, seen.repository) }); err != nil {
		return tooLarge("blob", blob, err)
	}
	seen.repository = here
	return nil
}

// tryBlob sends a blob, if the registry neither has it there nor can mount it from
// another repository, in two requests.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put
func (t *transfer) tryBlob(ctx context.Context, blob v1.Descriptor, mountFrom string) error {
	if blob.Size > t.askAbove {
		request, err := http.NewRequestWithContext(ctx, http.MethodHead, repositoryURL(t.repository, "blobs/"+blob.Digest.String()), nil)
		if err != nil {
			return err
		}
		response, err := t.client.do(t.repository, request, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
	location, mounted, err := t.start(ctx, blob.Digest, mountFrom)
	if err != nil || mounted {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, location.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	if blob.Size > 0 {
		request.ContentLength = blob.Size
		request.Body = neverRead{}
		request.GetBody = func() (io.ReadCloser, error) { return t.from.blob(ctx, blob.Digest) }
	}
	if blob.Size > largeBlob {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := t.client.do(t.repository, request, http.StatusCreated)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// start begins an upload and says where to send the blob to, or has the blob
// mounted from another repository.
func (t *transfer) start(ctx context.Context, digest v1.Hash, mountFrom string) (location *url.URL, mounted bool, err error) {
	address, expected := repositoryURL(t.repository, "blobs/uploads/"), []int{http.StatusAccepted}
	if mountFrom != "" {
		address += "?" + url.Values{"mount": {digest.String()}, "from": {mountFrom}}.Encode()
		expected = append(expected, http.StatusCreated)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return nil, false, err
	}
	response, err := t.client.do(t.repository, request, expected...)
	if err != nil && mountFrom != "" && ctx.Err() == nil {
		// Registries refuse a mount in many ways, such as by who may read what.
		return t.start(ctx, digest, "")
	}
	if err != nil {
		return nil, false, err
	}
	response.Body.Close()
	if response.StatusCode == http.StatusCreated {
		return nil, true, nil
	}
	said := response.Header.Get("Location")
	if said == "" {
		return nil, false, errors.New("the registry does not say where to upload to")
	}
	if location, err = response.Request.URL.Parse(said); err != nil {
		return nil, false, fmt.Errorf("the registry says where to upload to: %w", err)
	}
	if err := checkElsewhere(response.Request.URL, location); err != nil {
		return nil, false, err
	}
	// What the registry put into the query is its own: it is kept as it is.
	location.RawQuery = strings.TrimPrefix(location.RawQuery+"&digest="+url.QueryEscape(digest.String()), "&")
	return location, false, nil
}

// neverRead stands for the body of a request whose transport opens one anew each
// time it sends the request.
type neverRead struct{}

func (neverRead) Read([]byte) (int, error) {
	return 0, errors.New("a body is read that was not opened")
}
func (neverRead) Close() error { return nil }

// tooLarge names what failed to be sent, and says what a limit is about.
func tooLarge(kind string, sent v1.Descriptor, err error) error {
	var failure *transport.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure) && failure.StatusCode == http.StatusRequestEntityTooLarge:
		size := fmt.Sprintf("%.1f MB", float64(sent.Size)/1e6)
		if sent.Size < 1e6 {
			size = fmt.Sprintf("%.1f kB", float64(sent.Size)/1e3)
		}
		return fmt.Errorf("%s %s has %s: %s; the registry, or a proxy before it, limits what it takes: raise that limit",
			kind, sent.Digest, size, oneLine(failure))
	}
	return fmt.Errorf("%s %s: %w", kind, sent.Digest, err)
}
