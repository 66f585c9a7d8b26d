package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
)

// Artifact is a small OCI artifact of one JSON document.
// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
type Artifact struct {
	Type        string // artifactType, and the document's media type
	Content     []byte
	Annotations map[string]string
	Subject     *v1.Descriptor // the manifest that it refers to; nil: none
}

// inlineSize is the largest size, in bytes, of a document that is repeated in the
// manifest, in its descriptor's data field: reading it then needs no further request.
// Registries limit manifests to 4 MiB.
// https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties
const inlineSize = 64 << 10

// emptyConfig is the content of every artifact's config.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
var emptyConfig = []byte("{}")

// ArtifactDigest returns the digest that PushArtifact would push. It depends on the
// content only.
func (c *Client) ArtifactDigest(ref catalog.Ref, artifact Artifact) (name.Digest, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return name.Digest{}, err
	}
	_, digest, err := artifact.blobs()
	return tag.Context().Digest(digest.String()), err
}

// PushArtifact pushes an artifact by digest.
func (c *Client) PushArtifact(ctx context.Context, ref catalog.Ref, artifact Artifact) (name.Digest, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return name.Digest{}, err
	}
	blobs, digest, err := artifact.blobs()
	if err != nil {
		return name.Digest{}, err
	}
	t := transfer{client: c, repository: tag.Context(), from: blobs}
	return c.push(ctx, &t, digest)
}

// MarkArtifactPresent records that a repository has an artifact, and so the config that
// all artifacts share.
func (c *Client) MarkArtifactPresent(repository name.Repository) error {
	digest, _, err := v1.SHA256(bytes.NewReader(emptyConfig))
	c.blobs.add(repository, digest)
	return err
}

// blobs returns the artifact's blobs and manifest, and the manifest's digest. The manifest
// type of go-containerregistry lacks artifactType.
func (a Artifact) blobs() (memoryOrigin, v1.Hash, error) {
	all := memoryOrigin{}
	config, err := all.add(emptyConfig, "application/vnd.oci.empty.v1+json")
	if err != nil {
		return nil, v1.Hash{}, err
	}
	document, err := all.add(a.Content, types.MediaType(a.Type))
	if err != nil {
		return nil, v1.Hash{}, err
	}
	if len(a.Content) <= inlineSize {
		document.Data = a.Content
	}
	content, err := json.Marshal(struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     types.MediaType   `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Config        v1.Descriptor     `json:"config"`
		Layers        []v1.Descriptor   `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
		Subject       *v1.Descriptor    `json:"subject,omitempty"`
	}{2, types.OCIManifestSchema1, a.Type, config, []v1.Descriptor{document}, a.Annotations, a.Subject})
	if err != nil {
		return nil, v1.Hash{}, err
	}
	manifest, err := all.add(content, types.OCIManifestSchema1)
	return all, manifest.Digest, err
}

// memoryOrigin holds small blobs and manifests.
type memoryOrigin map[v1.Hash][]byte

func (m memoryOrigin) add(content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	m[digest] = content
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

func (m memoryOrigin) manifest(_ context.Context, digest v1.Hash) ([]byte, error) {
	content, ok := m[digest]
	if !ok {
		return nil, fmt.Errorf("no manifest %s", digest)
	}
	return content, nil
}

func (m memoryOrigin) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	content, err := m.manifest(ctx, digest)
	return io.NopCloser(bytes.NewReader(content)), err
}
