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

// A Client reads and writes what is attached to digests in registries. It may
// be used by several goroutines at once, but of those that write to one digest,
// others than the first must wait: without the referrers API, and in the format
// Classic, attachments share a tag that is read, extended and written back.
type Client struct {
	registry Registry
	limits   Limits

	subjects sync.Map // name.Digest string → *v1.Descriptor
	tagged   sync.Map // name.Digest string → bool, whether its referrers were last listed at its tag
	looks    chan struct{}
	foreign  atomic.Int64 // as a View's, of all of them
}

// A Registry reads and writes manifests and blobs of any registry. An error that is an
// answer with an HTTP status has the method Status() int in its chain.
type Registry interface {
	// Describe gives a manifest's media type, digest and size.
	Describe(ctx context.Context, reference name.Reference) (*v1.Descriptor, error)
	// ReadArtifact reads a manifest of at most so many bytes.
	ReadArtifact(ctx context.Context, reference name.Reference, most int) ([]byte, error)
	// ReadBlob opens a blob, whose last read fails where it has another digest.
	ReadBlob(ctx context.Context, repository name.Repository, digest v1.Hash) (io.ReadCloser, error)
	// Blob reads a blob of at most so many bytes beside a manifest that describes it, and
	// may hold it.
	Blob(ctx context.Context, reference name.Reference, described v1.Descriptor, most int) ([]byte, error)
	// Referrers are the manifests that name a subject, by the referrers API or, where
	// there is none, as they are listed at the subject's tag: those that keep wants, and
	// what it leaves of them.
	Referrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) (all []v1.Descriptor, byAPI bool, err error)
	// TaggedReferrers are those that are listed at the subject's tag.
	TaggedReferrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) ([]v1.Descriptor, error)
	// PutBlob sees to it that a repository has a blob.
	PutBlob(ctx context.Context, repository name.Repository, content []byte) error
	// PutManifest writes a manifest under a digest or a tag. Where it has a
	// subject, it is in the list of the subject's referrers afterwards.
	PutManifest(ctx context.Context, reference name.Reference, mediaType types.MediaType, content []byte) error
}

// NewClient sends no request.
func NewClient(registry Registry, limits Limits) *Client {
	return &Client{registry: registry, limits: limits.orDefault(), looks: make(chan struct{}, lookedAt)}
}

// descriptor returns a subject's media type and size, which its referrers repeat. It asks
// once for each digest.
func (c *Client) descriptor(ctx context.Context, subject name.Digest) (*v1.Descriptor, error) {
	if known, ok := c.subjects.Load(subject.String()); ok {
		return known.(*v1.Descriptor), nil
	}
	got, err := c.registry.Describe(ctx, subject)
	if notFound(err) {
		return nil, &RegistryError{fmt.Sprintf("attach to %s", subject), errors.New("the registry does not show it")}
	}
	if err != nil {
		return nil, &RegistryError{fmt.Sprintf("read %s", subject), err}
	}
	c.subjects.Store(subject.String(), got)
	return got, nil
}

// referrers lists the manifests that name the subject, or, tagged, those at its tag, which
// were written before the registry had the referrers API.
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

// putBlob sends a part of an attachment and describes it.
func (c *Client) putBlob(ctx context.Context, repository name.Repository, content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err == nil {
		err = c.registry.PutBlob(ctx, repository, content)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// refusal is an answer of a registry that means failure.
type refusal interface {
	error
	Status() int // of HTTP
}

// notFound reports whether a registry answered that it has no such thing.
func notFound(err error) bool {
	var answer refusal
	return errors.As(err, &answer) && answer.Status() == http.StatusNotFound
}
