package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A Client reads and writes the attachments of digests in registries. Several goroutines
// may use it at once, but only one at a time may write to the same digest. Without the
// referrers API, and in the format Classic, attachments share a tag, which the client
// reads, extends and writes.
type Client struct {
	registry Registry
	limits   Limits

	subjects   sync.Map // name.Digest string → *v1.Descriptor
	tagged     sync.Map // name.Digest string → bool, whether its referrers were last listed at its tag
	largeReads chan struct{}
	foreign    atomic.Int64 // bytes, as in Attachments, for all subjects
}

// A Registry reads and writes manifests and blobs in any registry. If a registry answers
// with an HTTP error, the returned error's chain has the method Status() int.
type Registry interface {
	// Describe returns a manifest's media type, digest and size.
	Describe(ctx context.Context, reference name.Reference) (*v1.Descriptor, error)
	// ReadArtifact reads a manifest of at most the given number of bytes.
	ReadArtifact(ctx context.Context, reference name.Reference, most int) ([]byte, error)
	// ReadBlob opens a blob. The last read fails if the content does not have the digest.
	ReadBlob(ctx context.Context, repository name.Repository, digest v1.Hash) (io.ReadCloser, error)
	// Blob reads a blob of at most the given number of bytes. described is the blob's
	// descriptor from the manifest, which may contain the content.
	Blob(ctx context.Context, reference name.Reference, described v1.Descriptor, most int) ([]byte, error)
	// Referrers lists the manifests that name a subject: with the referrers API or, without
	// one, from the list at the subject's tag. It returns those that keep accepts. keep may
	// change the descriptor.
	Referrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) (all []v1.Descriptor, byAPI bool, err error)
	// TaggedReferrers lists the referrers in the list at the subject's tag.
	TaggedReferrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) ([]v1.Descriptor, error)
	// DeleteReferrer deletes a manifest that names the subject, and removes it from the
	// list at the subject's tag. It is not an error if the registry refuses to delete.
	DeleteReferrer(ctx context.Context, subject, referrer name.Digest) error
	// PutBlob uploads a blob unless the repository has it already.
	PutBlob(ctx context.Context, repository name.Repository, content []byte) error
	// PutManifest writes a manifest under a digest or a tag.
	PutManifest(ctx context.Context, reference name.Reference, mediaType types.MediaType, content []byte) error
	// PutReferrers writes manifests that name a subject. Then the list of the subject's
	// referrers has them. Only one caller at a time may write for a subject.
	PutReferrers(ctx context.Context, subject name.Digest, mediaType types.MediaType, contents ...[]byte) error
}

// NewClient returns a client. It sends no request.
func NewClient(registry Registry, limits Limits) *Client {
	return &Client{registry: registry, limits: limits.orDefault(), largeReads: make(chan struct{}, maxLargeReads)}
}

// descriptor returns a subject's media type and size, which its referrers repeat. It sends
// one request for each digest.
func (c *Client) descriptor(ctx context.Context, subject name.Digest) (*v1.Descriptor, error) {
	if known, ok := c.subjects.Load(subject.String()); ok {
		return known.(*v1.Descriptor), nil
	}
	got, err := c.registry.Describe(ctx, subject)
	if notFound(err) {
		return nil, &RegistryError{fmt.Sprintf("attach to %s", subject), errors.New("the registry does not have it")}
	}
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("read %s", subject), err}
	}
	c.subjects.Store(subject.String(), got)
	return got, nil
}

// referrers lists the manifests that name the subject. If tagged, it lists those at the
// subject's tag, from the time before the registry had the referrers API.
func (c *Client) referrers(ctx context.Context, subject name.Digest, tagged bool, keep func(*v1.Descriptor) bool) (all []v1.Descriptor, err error) {
	if seen, _ := c.tagged.Load(subject.String()); tagged && seen == true {
		return nil, nil
	}
	if tagged {
		all, err = c.registry.TaggedReferrers(ctx, subject, keep)
	} else {
		var byAPI bool
		all, byAPI, err = c.registry.Referrers(ctx, subject, keep)
		c.tagged.Store(subject.String(), !byAPI)
	}
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("list what refers to %s", subject), err}
	}
	return all, nil
}

// putBlob uploads a part of an attachment and returns its descriptor.
func (c *Client) putBlob(ctx context.Context, repository name.Repository, content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err == nil {
		err = c.registry.PutBlob(ctx, repository, content)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// A refusal is an error that has the HTTP status of the registry's answer.
type refusal interface {
	error
	Status() int // of HTTP
}

// notFound reports whether the registry answered that the requested object does not exist.
func notFound(err error) bool {
	var answer refusal
	return errors.As(err, &answer) && answer.Status() == http.StatusNotFound
}
