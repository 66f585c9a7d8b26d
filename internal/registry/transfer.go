package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// blobsAtOnce is how many blobs of one image are sent at a time.
const blobsAtOnce = 4

// An origin has images: manifests and blobs by digest.
type origin interface {
	manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// blob opens a blob at its beginning. It may be called several times.
	blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error)
}

// transfer sends an image to a repository: all its blobs, then its manifests, each after
// those that it names.
type transfer struct {
	client     *Client
	repository name.Repository
	from       origin
	assumeNew  bool // do not ask for blobs up to largeBlob before they are sent
	askAll     bool // ask for each manifest and blob before it is sent
	ahead      bool // no manifest names the blobs yet: try once, and rely on them for aheadLasts only

	manifests []manifest
	blobs     []v1.Descriptor
	seen      map[v1.Hash]bool
}

// manifest is a manifest that was read.
type manifest struct {
	digest    v1.Hash
	mediaType types.MediaType
	content   []byte
	subject   *v1.Descriptor // nil for none
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
	for _, blob := range t.blobs {
		t.client.blobs.add(t.repository, blob.Digest) // those that were sent ahead stay now
	}
	return nil
}

// read collects the manifests and blobs that a manifest names, then the manifest.
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
	// An OCI manifest need not name its type: the descriptor does.
	mediaType := cmp.Or(names.MediaType, described.MediaType)
	if mediaType == "" {
		if mediaType, err = manifestType(content, ""); err != nil {
			return err
		}
	}
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
	t.manifests = append(t.manifests, manifest{digest, mediaType, content, names.Subject})
	return nil
}

func (t *transfer) sendManifest(ctx context.Context, m manifest) error {
	reference := t.repository.Digest(m.digest.String())
	if t.askAll {
		if has, err := t.client.has(ctx, reference); err != nil || has {
			return err
		}
	}
	return t.client.putManifest(ctx, reference, m)
}

// sendManifest sends a manifest under its digest or a tag. listed reports whether the
// registry answers that it lists the manifest among the referrers of its subject.
func (c *Client) sendManifest(ctx context.Context, reference name.Reference, m manifest) (listed bool, err error) {
	repository := reference.Context()
	err = retried(ctx, func() error {
		address := repositoryURL(repository, "manifests/"+reference.Identifier())
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(m.content))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", string(m.mediaType))
		response, err := c.do(repository, request, taken...)
		if err != nil {
			return err
		}
		if listed = response.Header.Get("OCI-Subject") != ""; listed {
			c.referrersAPI(repository).isPresent()
		}
		return response.Body.Close()
	})
	return listed, tooLarge("manifest", v1.Descriptor{Digest: m.digest, Size: int64(len(m.content))}, err)
}

// sendBlob sends a blob unless the repository has it, as far as this run knows.
func (t *transfer) sendBlob(ctx context.Context, blob v1.Descriptor) error {
	blobs := &t.client.blobs
	if blobs.has(t.repository, blob.Digest) {
		return nil
	}
	defer blobs.lock(blob.Digest)()
	if blobs.has(t.repository, blob.Digest) {
		return nil // it was sent meanwhile
	}
	from := blobs.mountSource(blob.Digest, t.repository)
	try := func() error { return t.tryBlob(ctx, blob, from) }
	if t.ahead {
		err := try()
		if err == nil {
			blobs.addUntil(time.Now().Add(aheadLasts), t.repository, blob.Digest)
		}
		return err
	}
	if err := retried(ctx, try); err != nil {
		return tooLarge("blob", blob, err)
	}
	blobs.add(t.repository, blob.Digest)
	return nil
}
