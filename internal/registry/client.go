// Package registry is a client of OCI registries.
package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// Client reads and writes registries, and publishes under one prefix:
// REGISTRY[/NAMESPACE]. Push, verify, sign and base digests all use it. Logins come from
// the config files of docker and podman and their helpers. It uses plain HTTP for
// registries on the loopback address, and HTTPS for all others.
type Client struct {
	prefix    string
	names     []name.Option
	keys      *Keychain
	transport http.RoundTripper

	sessions       sync.Map // logins: a repository's name → *session
	headed         sync.Map // a registry's name → *atomic.Bool, whether it answers HEAD as specified
	pendingUploads sync.Map // uploads that wait for a blob: a repository's name → pendingUpload
	pushed         sync.Map // of this run: a reference by digest → manifest
	referrers      sync.Map // a namespace, with its registry → *referrersAPI
	blobs          ledger
}

// ErrNotFound means that a registry has no such manifest.
var ErrNotFound = errors.New("not found")

// NewClient checks the prefix. It sends no request.
func NewClient(prefix string, options Options) (*Client, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, fmt.Errorf("registry %q (%w), expected REGISTRY[/NAMESPACE], such as registry.example/coop", withoutLogin(prefix), err)
	}
	c := NewReader(options)
	c.prefix = strings.TrimSuffix(prefix, "/")
	return c, nil
}

// NewReader returns a client without a prefix, for full references to any registry.
func NewReader(options Options) *Client {
	c := &Client{keys: NewKeychain(options.Notes), transport: newTransport(options)}
	if options.Insecure {
		c.names = append(c.names, name.Insecure)
	}
	return c
}

// String returns the prefix.
func (c *Client) String() string { return c.prefix }

// Tag returns a reference below the prefix.
func (c *Client) Tag(ref catalog.Ref) (name.Tag, error) {
	return name.NewTag(c.prefix+"/"+ref.String(), c.names...)
}

// Parse reads a full reference, registry included, by tag or by digest. If it is not
// valid, the error is a fault of kind Usage.
func (c *Client) Parse(reference string) (name.Reference, error) {
	parsed, err := name.ParseReference(reference, c.names...)
	if err == nil {
		return parsed, nil
	}
	// The error of ParseReference does not say why.
	if _, err = name.NewTag(reference, c.names...); strings.Contains(reference, "@") {
		_, err = name.NewDigest(reference, c.names...)
	}
	return nil, &fault.Fault{
		Kind: fault.Usage, Err: fmt.Errorf("%s is not a reference: %w", text.Short(reference, 200), err),
		Fix: "give REGISTRY[/NAMESPACE]/NAME:TAG, or @sha256: and 64 digits instead of the tag",
	}
}

// Sibling returns a reference in the same registry and namespace as another.
func (c *Client) Sibling(reference name.Reference, ref catalog.Ref) (name.Tag, error) {
	return name.NewTag(path.Dir(reference.Context().Name())+"/"+ref.String(), c.names...)
}

// Open opens the content of a descriptor in a repository. If the digest is wrong, the last read
// fails.
func (c *Client) Open(ctx context.Context, repository name.Repository, described v1.Descriptor) (io.ReadCloser, error) {
	from := registryOrigin{c, repository}
	if described.MediaType.IsImage() || described.MediaType.IsIndex() {
		content, err := from.manifest(ctx, described.Digest)
		return io.NopCloser(bytes.NewReader(content)), err
	}
	return from.blob(ctx, described.Digest)
}

// ErrTagMoved means that a tag that was just set points to another digest: someone else
// set it at the same time, or the registry does not replace tags.
var ErrTagMoved = errors.New("points to another digest")

// SetTag points a tag to a manifest that the registry has, and reads it back. If the tag
// then points elsewhere, the error is ErrTagMoved.
func (c *Client) SetTag(ctx context.Context, ref catalog.Ref, digest name.Digest) error {
	tag, err := c.Tag(ref)
	if err != nil {
		return err
	}
	doing := "tagging " + tag.String()
	pushed, ok := c.pushed.Load(digest.String())
	if !ok {
		got, err := c.Get(ctx, digest)
		if err != nil {
			return err
		}
		pushed = manifest{digest: got.Digest, mediaType: got.MediaType, content: got.Content}
	}
	if err := c.putManifest(ctx, tag, pushed.(manifest)); err != nil {
		return explain(doing, tag.RegistryStr(), err)
	}
	head, err := c.HeadAt(ctx, tag, digest.DigestStr())
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%s: the registry accepted the tag, but the tag does not exist", doing)
	case err == nil && head.Digest.String() != digest.DigestStr():
		return fmt.Errorf("%s: the registry accepted the tag, which then %w: %s", doing, ErrTagMoved, head.Digest)
	}
	return err
}
