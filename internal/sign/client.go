package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxBlobSize is the largest attachment that is read into memory: cosign's
// default limit.
const maxBlobSize = 128 << 20

// A Client reads and writes what is attached to digests in registries. It may
// be used by several goroutines at once, but of those that write to one digest,
// others than the first must wait: without the referrers API, and in the format
// Classic, attachments share a tag that is read, extended and written back.
type Client struct {
	registry Registry
	puller   *remote.Puller
	options  []remote.Option

	subjects sync.Map // name.Digest string → *v1.Descriptor
}

// A Registry is how registries are talked to.
type Registry interface {
	// Options are for reading, with go-containerregistry's functions.
	Options() []remote.Option
	// PutBlob sees to it that a repository has a blob.
	PutBlob(ctx context.Context, repository name.Repository, content []byte) error
	// PutManifest writes a manifest under a digest or a tag. Where it has a
	// subject, it is in the list of the subject's referrers afterwards.
	PutManifest(ctx context.Context, reference name.Reference, mediaType types.MediaType, content []byte) error
}

// NewClient honours a remote.Reuse among the options of the registry. The context
// comes with each call.
func NewClient(registry Registry) (*Client, error) {
	options := registry.Options()
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, fmt.Errorf("registry options: %w", err)
	}
	// What goes through remote's functions shares the login handshake too.
	shared := append(append([]remote.Option{}, options...), remote.Reuse(puller))
	return &Client{registry: registry, puller: puller, options: shared}, nil
}

// with is the options for one call of remote.
func (c *Client) with(ctx context.Context) []remote.Option {
	return append(append([]remote.Option{}, c.options...), remote.WithContext(ctx))
}

// descriptor asks for a subject's media type and size, which its referrers
// repeat. A digest's never change.
func (c *Client) descriptor(ctx context.Context, subject name.Digest) (*v1.Descriptor, error) {
	if known, ok := c.subjects.Load(subject.String()); ok {
		return known.(*v1.Descriptor), nil
	}
	got, err := c.puller.Head(ctx, subject)
	if notFound(err) {
		return nil, &RegistryError{fmt.Sprintf("attach to %s", subject), errors.New("the registry does not show it")}
	}
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("look at %s", subject), err}
	}
	descriptor := &v1.Descriptor{MediaType: got.MediaType, Digest: got.Digest, Size: got.Size}
	c.subjects.Store(subject.String(), descriptor)
	return descriptor, nil
}

// referrers lists the manifests that name the subject, by the referrers API or
// from the tag that stands in for it.
func (c *Client) referrers(ctx context.Context, subject name.Digest) ([]v1.Descriptor, error) {
	index, err := remote.Referrers(subject, c.with(ctx)...)
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("list what refers to %s", subject), err}
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("list what refers to %s", subject), err}
	}
	return manifest.Manifests, nil
}

// putBlob sends a part of an attachment and describes it.
func (c *Client) putBlob(ctx context.Context, repository name.Repository, content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err == nil {
		err = c.registry.PutBlob(ctx, repository, content)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// readBlob reads a layer as it is stored.
func readBlob(layer v1.Layer) ([]byte, error) {
	size, err := layer.Size()
	if err != nil {
		return nil, err
	}
	if size > maxBlobSize {
		return nil, fmt.Errorf("an attachment of %d bytes is larger than %d", size, maxBlobSize)
	}
	// A remote layer checks size and digest as it is read. Attachments are not
	// compressed: this is the stored form.
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

// notFound says that a registry answered and has no such thing.
func notFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
