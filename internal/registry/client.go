package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	keys      authn.Keychain
	transport http.RoundTripper
	options   []remote.Option
	puller    *remote.Puller
	pusher    *remote.Pusher

	sessions    sync.Map // of uploads: a repository's name → *session
	whereabouts whereabouts
}

const userAgent = "libre"

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
	c := &Client{prefix: strings.TrimSuffix(prefix, "/"), keys: &keychain{}, transport: newTransport(insecure)}
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
		remote.WithAuthFromKeychain(c.keys),
		remote.WithTransport(c.transport),
		remote.WithRetryStatusCodes(retriedCodes...),
		remote.WithRetryPredicate(temporary),
		remote.WithRetryBackoff(backoff),
		remote.WithUserAgent(userAgent),
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

// String is the prefix.
func (c *Client) String() string { return c.prefix }

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
	if err := remote.CheckPushPermission(tag, c.keys, retrying(c.transport)); err != nil {
		return explain("asking "+tag.RegistryStr()+" for leave to push", tag.RegistryStr(), err)
	}
	return nil
}

// Head gives the descriptor of a manifest, or ErrNotFound.
func (c *Client) Head(ctx context.Context, reference name.Reference) (*v1.Descriptor, error) {
	descriptor, err := c.puller.Head(ctx, reference)
	if err != nil {
		return nil, explain("looking at "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return descriptor, nil
}

// Get gives a manifest and its bytes, or ErrNotFound.
func (c *Client) Get(ctx context.Context, reference name.Reference) (*remote.Descriptor, error) {
	got, err := c.puller.Get(ctx, reference)
	if err != nil {
		return nil, explain("reading "+reference.String(), reference.Context().RegistryStr(), err)
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
		return nil, explain("reading "+digest.String(), reference.Context().RegistryStr(), err)
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, explain("reading "+digest.String(), reference.Context().RegistryStr(), err)
	}
	defer content.Close()
	return readSmall(content, digest)
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

// Tags are all tags of a repository of ours, such as docs-default, in the
// registry's order; none where there is no such repository.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	repo, err := name.NewRepository(c.prefix+"/"+repository, c.names...)
	if err != nil {
		return nil, err
	}
	tags, err := c.puller.List(ctx, repo)
	if err != nil {
		if err = explain("listing the tags of "+repo.String(), repo.RegistryStr(), err); errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	return tags, nil
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
		return nil, explain("tagging "+tag.String(), tag.RegistryStr(), err)
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
			return subject, explain("pushing "+subject.String(), subject.RegistryStr(), err)
		}
	}
	if err := c.pusher.Push(ctx, subject, manifest); err != nil {
		return subject, explain("pushing "+subject.String(), subject.RegistryStr(), err)
	}
	return subject, nil
}

// Explain says what was being done, and tells refusals and absence from the rest.
func Explain(doing string, err error) error { return explain(doing, "REGISTRY", err) }

func explain(doing, registry string, err error) error {
	var failure *transport.Error
	if errors.As(err, &failure) {
		switch failure.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return &CredentialError{fmt.Errorf("%s: %s; log in with: libre login %s", doing, oneLine(failure), registry)}
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
