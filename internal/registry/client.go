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

// Client publishes under one prefix: REGISTRY[/NAMESPACE]. Credentials come from
// the config files of docker and podman and their helpers. A registry on the
// loopback address is spoken to by HTTP, any other by HTTPS.
type Client struct {
	prefix    string
	names     []name.Option
	keys      *Keychain
	transport http.RoundTripper

	sessions       sync.Map // logins: a repository's name → *session
	headed         sync.Map // a registry's name → *atomic.Bool, whether it answers HEAD
	pendingUploads sync.Map // uploads that wait for a blob: a repository's name → begunUpload
	pushed         sync.Map // of this run: a reference by digest → manifest
	referrers      sync.Map // a repository's name → *referrersAPI
	blobs          ledger
}

// ErrNotFound says that a registry has no such manifest.
var ErrNotFound = errors.New("not found")

// NewClient checks the prefix; it asks nothing yet.
func NewClient(prefix string, options Options) (*Client, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, fmt.Errorf("registry %q (%w), expected REGISTRY[/NAMESPACE], such as registry.example/coop", withoutLogin(prefix), err)
	}
	c := NewReader(options)
	c.prefix = strings.TrimSuffix(prefix, "/")
	return c, nil
}

// NewReader is a client for whole references, of whatever registry: it has no prefix.
func NewReader(options Options) *Client {
	c := &Client{keys: NewKeychain(options.Notes), transport: newTransport(options)}
	if options.Insecure {
		c.names = append(c.names, name.Insecure)
	}
	return c
}

// String is the prefix.
func (c *Client) String() string { return c.prefix }

// Tag is a reference of ours below the prefix.
func (c *Client) Tag(ref catalog.Ref) (name.Tag, error) {
	return name.NewTag(c.prefix+"/"+ref.String(), c.names...)
}

// Parse reads a whole reference, registry included, by tag or by digest. What is none is
// a fault of kind Usage.
func (c *Client) Parse(reference string) (name.Reference, error) {
	parsed, err := name.ParseReference(reference, c.names...)
	if err == nil {
		return parsed, nil
	}
	// That error does not say why.
	if _, err = name.NewTag(reference, c.names...); strings.Contains(reference, "@") {
		_, err = name.NewDigest(reference, c.names...)
	}
	return nil, &fault.Fault{
		Kind: fault.Usage, Err: fmt.Errorf("%s is no reference: %w", text.Short(reference, 200), err),
		Fix: "give REGISTRY[/NAMESPACE]/NAME:TAG, or @sha256: and 64 digits instead of the tag",
	}
}

// Sibling is another name of ours beside a reference: in the same registry and
// namespace.
func (c *Client) Sibling(reference name.Reference, ref catalog.Ref) (name.Tag, error) {
	return name.NewTag(path.Dir(reference.Context().Name())+"/"+ref.String(), c.names...)
}

// Open opens what a descriptor describes, as a repository has it; whoever reads
// it to its end knows that it has the digest.
func (c *Client) Open(ctx context.Context, repository name.Repository, described v1.Descriptor) (io.ReadCloser, error) {
	from := registryOrigin{c, repository}
	if described.MediaType.IsImage() || described.MediaType.IsIndex() {
		content, err := from.manifest(ctx, described.Digest)
		return io.NopCloser(bytes.NewReader(content)), err
	}
	return from.blob(ctx, described.Digest)
}

// ErrTagMoved says that a tag which was just set points to something else: somebody
// has set it at the same time, or the registry replaces no tag.
var ErrTagMoved = errors.New("shows another digest")

// SetTag points a tag to a manifest that the registry has, wherever it pointed to
// before, and looks whether it does; if not, that may be ErrTagMoved.
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
		return fmt.Errorf("%s: the registry took it and does not show it", doing)
	case err == nil && head.Digest.String() != digest.DigestStr():
		return fmt.Errorf("%s: the registry took it and then %w: %s", doing, ErrTagMoved, head.Digest)
	}
	return err
}
