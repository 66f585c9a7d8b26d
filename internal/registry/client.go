package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Client publishes under one prefix: REGISTRY[/NAMESPACE]. Credentials come from
// the config files of docker and podman and their helpers. A registry on the
// loopback address is spoken to by HTTP, any other by HTTPS.
type Client struct {
	prefix    string
	names     []name.Option
	transport http.RoundTripper
	options   []remote.Option
	puller    *remote.Puller
	pusher    *remote.Pusher
}

// ErrNotFound says that a registry has no such manifest.
var ErrNotFound = errors.New("not found")

// CredentialError is a registry's refusal: it does not know who asks (401), or
// does not let them (403).
type CredentialError struct{ Err error }

func (e *CredentialError) Error() string { return e.Err.Error() }
func (e *CredentialError) Unwrap() error { return e.Err }

// NewClient checks the prefix; it asks nothing yet. insecure allows HTTP and
// unknown certificates elsewhere than on the loopback address.
func NewClient(prefix string, insecure bool) (*Client, error) {
	c := &Client{prefix: strings.TrimSuffix(prefix, "/"), transport: newTransport(insecure)}
	if insecure {
		c.names = append(c.names, name.Insecure)
	}
	if strings.Contains(prefix, "://") {
		return nil, fmt.Errorf("registry %q, expected REGISTRY[/NAMESPACE], without a scheme", prefix)
	}
	if _, err := name.NewRepository(c.prefix+"/x", append(c.names, name.StrictValidation)...); err != nil {
		return nil, fmt.Errorf("registry %q, expected REGISTRY[/NAMESPACE]: %w", prefix, err)
	}
	c.options = []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(c.transport),
		remote.WithRetryStatusCodes(retriedCodes...),
		remote.WithRetryPredicate(temporary),
		remote.WithRetryBackoff(backoff),
		remote.WithUserAgent("libre"),
	}
	var err error
	if c.puller, err = remote.NewPuller(c.options...); err != nil {
		return nil, err
	}
	if c.pusher, err = remote.NewPusher(c.options...); err != nil {
		return nil, err
	}
	c.options = append(c.options, remote.Reuse(c.puller), remote.Reuse(c.pusher))
	return c, nil
}

// Options are for others that talk to the same registry; they share its login.
func (c *Client) Options() []remote.Option { return c.options }

// Tag is the reference of a name of ours, such as docs-backend-default:5.4.1-1.
func (c *Client) Tag(refName string) (name.Tag, error) {
	return name.NewTag(c.prefix+"/"+refName, c.names...)
}

// Parse reads a whole reference, registry included, by tag or by digest.
func (c *Client) Parse(reference string) (name.Reference, error) {
	return name.ParseReference(reference, c.names...)
}

// Sibling is another name of ours beside a reference: in the same registry and
// namespace.
func (c *Client) Sibling(reference name.Reference, refName string) (name.Tag, error) {
	repository := reference.Context().Name()
	return name.NewTag(repository[:strings.LastIndex(repository, "/")+1]+refName, c.names...)
}

// CheckPush asks whether a push would be let in, before anything is built.
func (c *Client) CheckPush(refName string) error {
	tag, err := c.Tag(refName)
	if err != nil {
		return err
	}
	retried := transport.NewRetry(c.transport, transport.WithRetryStatusCodes(retriedCodes...),
		transport.WithRetryPredicate(temporary), transport.WithRetryBackoff(backoff))
	if err := remote.CheckPushPermission(tag, authn.DefaultKeychain, retried); err != nil {
		return Explain("asking "+tag.RegistryStr()+" for leave to push", err)
	}
	return nil
}

// Head gives the descriptor of a manifest, or ErrNotFound.
func (c *Client) Head(ctx context.Context, reference name.Reference) (*v1.Descriptor, error) {
	descriptor, err := c.puller.Head(ctx, reference)
	if err != nil {
		return nil, Explain("looking at "+reference.String(), err)
	}
	return descriptor, nil
}

// Get gives a manifest and its bytes, or ErrNotFound.
func (c *Client) Get(ctx context.Context, reference name.Reference) (*remote.Descriptor, error) {
	got, err := c.puller.Get(ctx, reference)
	if err != nil {
		return nil, Explain("reading "+reference.String(), err)
	}
	return got, nil
}

// Blob reads a small blob beside a manifest that describes it, and may hold it.
func (c *Client) Blob(ctx context.Context, reference name.Reference, described v1.Descriptor) ([]byte, error) {
	digest := described.Digest
	if len(described.Data) > 0 {
		return readSmall(bytes.NewReader(described.Data), digest)
	}
	layer, err := c.puller.Layer(ctx, reference.Context().Digest(digest.String()))
	if err != nil {
		return nil, Explain("reading "+digest.String(), err)
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, Explain("reading "+digest.String(), err)
	}
	defer content.Close()
	return readSmall(content, digest)
}

// PushIndex uploads what the registry lacks of an image of an OCI layout: blobs,
// then manifests by digest, the index last, and looks whether it is there. No tag
// is written.
func (c *Client) PushIndex(ctx context.Context, layoutDir string, index v1.Hash, refName string) (name.Digest, error) {
	tag, err := c.Tag(refName)
	if err != nil {
		return name.Digest{}, err
	}
	subject := tag.Context().Digest(index.String())
	path, err := layout.FromPath(layoutDir)
	if err != nil {
		return subject, fmt.Errorf("reading %s: %w", layoutDir, err)
	}
	all, err := path.ImageIndex()
	if err != nil {
		return subject, fmt.Errorf("reading %s: %w", layoutDir, err)
	}
	image, err := all.ImageIndex(index)
	if err != nil {
		return subject, fmt.Errorf("reading %s: %w", layoutDir, err)
	}
	if err := c.pusher.Push(ctx, subject, image); err != nil {
		return subject, Explain("pushing "+subject.String(), err)
	}
	return subject, c.shows(ctx, "pushing", subject, index)
}

// ErrTaken says that a tag points to something else already.
var ErrTaken = errors.New("the tag is taken")

// SetTag points a tag to a manifest that the registry has, and looks whether it
// does. A tag that points elsewhere is moved where replace says so, and what it
// pointed to is returned; else it is ErrTaken.
func (c *Client) SetTag(ctx context.Context, refName string, digest name.Digest, replace bool) (replaced *v1.Hash, err error) {
	tag, err := c.Tag(refName)
	if err != nil {
		return nil, err
	}
	head, err := c.Head(ctx, tag)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, err
	case head.Digest.String() == digest.DigestStr():
		return nil, nil
	case !replace:
		return nil, fmt.Errorf("tagging %s: %w: it is %s", tag, ErrTaken, head.Digest)
	default:
		replaced = &head.Digest
	}
	got, err := c.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	if err := c.pusher.Put(ctx, tag, got); err != nil {
		return nil, Explain("tagging "+tag.String(), err)
	}
	return replaced, c.shows(ctx, "tagging", tag, got.Digest)
}

// shows checks that a registry has what it took.
func (c *Client) shows(ctx context.Context, doing string, reference name.Reference, want v1.Hash) error {
	head, err := c.Head(ctx, reference)
	if errors.Is(err, ErrNotFound) || err == nil && head.Digest != want {
		return fmt.Errorf("%s %s: the registry took it and does not show it", doing, reference)
	}
	return err
}

// Artifact is a small OCI artifact of one JSON document.
// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
type Artifact struct {
	Type        string // artifactType, and the document's media type
	Content     []byte
	Annotations map[string]string
}

// inlineSize is up to which size a document is repeated in the manifest, in its
// descriptor's data: who has the manifest then needs no further request. Registries
// limit manifests to 4 MiB.
// https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties
const inlineSize = 64 << 10

// parts are the blobs of an artifact and its manifest.
func (a Artifact) parts() (blobs []v1.Layer, manifest manifestBytes, digest v1.Hash, err error) {
	document := static.NewLayer(a.Content, types.MediaType(a.Type))
	empty := static.NewLayer([]byte("{}"), "application/vnd.oci.empty.v1+json")
	described, err := partial.Descriptor(document)
	if err != nil {
		return nil, manifest, digest, err
	}
	config, err := partial.Descriptor(empty)
	if err != nil {
		return nil, manifest, digest, err
	}
	if len(a.Content) <= inlineSize {
		described.Data = a.Content
	}
	manifest, digest, err = artifactManifest(a, *config, *described)
	return []v1.Layer{empty, document}, manifest, digest, err
}

// ArtifactDigest is what PushArtifact would push: the same content has the same
// digest.
func (c *Client) ArtifactDigest(refName string, artifact Artifact) (name.Digest, error) {
	tag, err := c.Tag(refName)
	if err != nil {
		return name.Digest{}, err
	}
	_, _, digest, err := artifact.parts()
	return tag.Context().Digest(digest.String()), err
}

// PushArtifact pushes an artifact by digest.
func (c *Client) PushArtifact(ctx context.Context, refName string, artifact Artifact) (name.Digest, error) {
	subject, err := c.ArtifactDigest(refName, artifact)
	if err != nil {
		return subject, err
	}
	blobs, manifest, _, err := artifact.parts()
	if err != nil {
		return subject, err
	}
	for _, blob := range blobs {
		if err := c.pusher.Upload(ctx, subject.Context(), blob); err != nil {
			return subject, Explain("pushing "+subject.String(), err)
		}
	}
	if err := c.pusher.Push(ctx, subject, manifest); err != nil {
		return subject, Explain("pushing "+subject.String(), err)
	}
	return subject, nil
}

// Explain says what was being done, and tells refusals and absence from the rest.
func Explain(doing string, err error) error {
	var failure *transport.Error
	if errors.As(err, &failure) {
		switch failure.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return &CredentialError{fmt.Errorf("%s: %s; log in with: podman login, or docker login", doing, oneLine(failure))}
		case http.StatusNotFound:
			return fmt.Errorf("%s: %w", doing, ErrNotFound)
		}
		return fmt.Errorf("%s: %s", doing, oneLine(failure))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// oneLine is a registry's answer, which is outside text, on one line.
func oneLine(failure *transport.Error) string {
	status := fmt.Sprintf("%d %s", failure.StatusCode, http.StatusText(failure.StatusCode))
	if len(failure.Errors) > 0 && failure.Errors[0].Message != "" {
		return fmt.Sprintf("%s: %s", status, strings.Join(strings.Fields(failure.Errors[0].Message), " "))
	}
	return status
}
