package registry

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PushIndex uploads what the registry lacks of an image of an OCI layout: blobs,
// then manifests by digest, the index last, and looks whether it is there. No tag
// is written. A blob that is known, which may be nil, is certainly in the
// repository already: it is not asked for. What is known, or was seen in another
// repository, may be missing in the layout.
func (c *Client) PushIndex(ctx context.Context, layoutDir string, index v1.Hash, refName string, known func(v1.Hash) bool) (name.Digest, error) {
	tag, err := c.Tag(refName)
	if err != nil {
		return name.Digest{}, err
	}
	subject := tag.Context().Digest(index.String())
	t := transfer{client: c, repository: tag.Context(), from: layoutOrigin{layoutDir, c, tag.Context().Registry}, known: known, askAbove: smallBlob}
	// An index is written after all that it names; a registry may have lost some of
	// that since. Then everything is asked for, and what is there is not sent.
	if _, err := c.Head(ctx, subject); err == nil {
		t.askAbove, t.askManifests = -1, true
	} else if !errors.Is(err, ErrNotFound) {
		return subject, err
	}
	return subject, c.push(ctx, &t, subject, index)
}

// Copy brings a manifest with all that it names from another registry to a
// repository of this one, under the same digest; no tag is written. What is there
// is not moved.
func (c *Client) Copy(ctx context.Context, from name.Digest, source *Client, refName string) (name.Digest, error) {
	tag, err := c.Tag(refName)
	if err != nil {
		return name.Digest{}, err
	}
	digest, err := v1.NewHash(from.DigestStr())
	if err != nil {
		return name.Digest{}, err
	}
	subject := tag.Context().Digest(digest.String())
	// A manifest is written after all that it names.
	if _, err := c.Head(ctx, subject); !errors.Is(err, ErrNotFound) {
		return subject, err
	}
	t := transfer{client: c, repository: tag.Context(), from: registryOrigin{source, from.Context()}}
	return subject, c.push(ctx, &t, subject, digest)
}

func (c *Client) push(ctx context.Context, t *transfer, subject name.Digest, digest v1.Hash) error {
	if err := t.run(ctx, digest); err != nil {
		return explain("pushing "+subject.String(), subject.RegistryStr(), err)
	}
	return c.shows(ctx, "pushing", subject, digest)
}

// layoutOrigin is the directory of an OCI layout.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
type layoutOrigin struct {
	dir      string
	client   *Client // has seen what the layout lacks
	registry name.Registry
}

func (l layoutOrigin) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	file, err := l.blob(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSmall(file, digest)
}

func (l layoutOrigin) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	file, err := os.Open(filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex))
	if errors.Is(err, fs.ErrNotExist) {
		// Who sends a blob holds its whereabout.
		if elsewhere := l.client.whereabouts.of(digest).repository; elsewhere != "" {
			return registryOrigin{l.client, l.registry.Repo(elsewhere)}.blob(ctx, digest)
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
	return got.Manifest, nil
}

func (r registryOrigin) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	blob := r.repository.Digest(digest.String())
	layer, err := r.client.puller.Layer(ctx, blob)
	if err != nil {
		return nil, explain("reading "+blob.String(), blob.RegistryStr(), err)
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, explain("reading "+blob.String(), blob.RegistryStr(), err)
	}
	return content, nil
}
