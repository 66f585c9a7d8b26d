package registry

import (
	"context"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
)

// AcceptsZstd reports whether a registry accepts images with layers of zstd. It pushes a tiny
// image, by digest, with one layer of that media type, and removes it where it may. Some
// registries check the media types of images, and refuse unknown ones.
func (c *Client) AcceptsZstd(ctx context.Context, ref catalog.Ref) (bool, error) {
	tag, err := c.Tag(ref)
	if err != nil {
		return false, err
	}
	image := memoryOrigin{}
	config, err := image.add([]byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}`), types.OCIConfigJSON)
	if err != nil {
		return false, err
	}
	layer, err := image.add(emptyZstd, types.OCILayerZStd)
	if err != nil {
		return false, err
	}
	content, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer}})
	if err != nil {
		return false, err
	}
	manifest, err := image.add(content, types.OCIManifestSchema1)
	if err != nil {
		return false, err
	}
	sending := transfer{client: c, repository: tag.Context(), from: image}
	if err := sending.run(ctx, manifest.Digest); isRefusal(err) {
		return false, nil
	} else if err != nil {
		return false, explain("pushing an image with a zstd layer to "+tag.Context().String(), tag.RegistryStr(), err)
	}
	_ = c.remove(ctx, tag.Context().Digest(manifest.Digest.String())) // if this fails, it stays there
	return true, nil
}

// emptyZstd is a frame of zstd without content.
// https://www.rfc-editor.org/rfc/rfc8878.html#name-zstandard-frames
var emptyZstd = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00}
