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

// PushIndex uploads what the registry lacks of an image of an OCI layout: blobs,
// then manifests by digest, the index last. No tag is written. A blob that is
// known is certainly in the repository already: it is not asked for; known is nil
// where nothing is known of the repository. What is known, or was seen in another
// repository, may be missing in the layout.
func (c *Client) PushIndex(ctx context.Context, layoutDir string, index v1.Hash, ref catalog.Ref, known func(v1.Hash) bool) (name.Digest, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return name.Digest{}, err
	}
	l, err := layout.Open(layoutDir)
	if err != nil {
		return name.Digest{}, err
	}
	t := transfer{client: c, repository: tag.Context(), from: layoutOrigin{l, c}, known: known}
	// What nothing is known of may have been sent already, and be waiting for the rest
	// of its release. A registry may have lost some of it since.
	if known == nil {
		if t.askAll, err = c.has(ctx, tag.Context().Digest(index.String())); err != nil {
			return name.Digest{}, err
		}
	}
	return c.push(ctx, &t, index)
}

// Copy brings a manifest with all that it names from another registry to a
// repository of this one, under the same digest; no tag is written. Larger blobs
// that are there are not moved.
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

// push sends what is below a manifest, and keeps the manifest for SetTag. Whether
// the registry has it afterwards shows when it is tagged, or something attached.
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
	client *Client // has seen what the layout lacks
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
		// Who sends a blob holds its whereabout.
		if elsewhere := l.client.locations.of(digest).repositories; len(elsewhere) > 0 {
			return registryOrigin{l.client, elsewhere[0]}.blob(ctx, digest)
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
