package registry

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/layout"
)

// PushIndex uploads the blobs and manifests of an image of an OCI layout that the registry
// lacks: blobs, then manifests by digest, the index last. It writes no tag. It does not ask for
// blobs that the repository is known to have, see MarkBlobPresent. The layout may lack blobs
// that any repository is known to have.
func (c *Client) PushIndex(ctx context.Context, layoutDir string, index v1.Hash, ref catalog.Ref) (name.Digest, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return name.Digest{}, err
	}
	l, err := layout.Open(layoutDir)
	if err != nil {
		return name.Digest{}, err
	}
	t := transfer{client: c, repository: tag.Context(), from: layoutOrigin{l, c}, assumeNew: c.blobs.isListed(tag.Context())}
	// The image may be there already and wait for the rest of its release. The registry
	// may have lost some of it since.
	if !t.assumeNew {
		if t.askAll, err = c.has(ctx, tag.Context().Digest(index.String())); err != nil {
			return name.Digest{}, err
		}
	}
	return c.push(ctx, &t, index)
}

// Copy copies a manifest and all that it names from another registry to a repository of this
// one, under the same digest. It writes no tag, and does not send larger blobs that the
// repository has.
func (c *Client) Copy(ctx context.Context, from name.Digest, source *Client, ref catalog.Ref) (name.Digest, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return name.Digest{}, err
	}
	digest, err := v1.NewHash(from.DigestStr())
	if err != nil {
		return name.Digest{}, err
	}
	t := transfer{client: c, repository: tag.Context(), from: registryOrigin{source, from.Context()}}
	return c.push(ctx, &t, digest)
}

// push sends a manifest and what it names, and keeps the manifest for SetTag. It does not read
// the manifest back: SetTag and later attachments do.
func (c *Client) push(ctx context.Context, t *transfer, digest v1.Hash) (name.Digest, error) {
	subject := t.repository.Digest(digest.String())
	if err := t.run(ctx, digest); err != nil {
		return subject, explain("pushing "+subject.String(), subject.RegistryStr(), err)
	}
	c.pushed.Store(subject.String(), t.manifests[len(t.manifests)-1])
	return subject, nil
}

// layoutOrigin is an OCI layout.
type layoutOrigin struct {
	layout *layout.Layout
	client *Client // knows which repository has what the layout lacks
}

func (l layoutOrigin) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	file, err := l.blob(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSmall(file, digest, mostSmall)
}

func (l layoutOrigin) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	file, _, err := l.layout.OpenBlob(digest)
	if errors.Is(err, fs.ErrNotExist) {
		if elsewhere, found := l.client.blobs.anywhere(digest); found {
			return registryOrigin{l.client, elsewhere}.blob(ctx, digest)
		}
	}
	return file, err
}

// registryOrigin is a repository of a registry.
type registryOrigin struct {
	client     *Client
	repository name.Repository
}

func (r registryOrigin) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	got, err := r.client.Get(ctx, r.repository.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	return got.Content, nil
}

func (r registryOrigin) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	return r.client.openBlob(ctx, r.repository, digest)
}
