package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Images lists the image manifests among the given descriptors and below their indexes,
// without the attestations that BuildKit stores as images.
func (l *Layout) Images(descriptors []v1.Descriptor) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, d := range descriptors {
		switch {
		case d.Annotations["vnd.docker.reference.type"] != "":
		case d.MediaType.IsIndex():
			var index v1.IndexManifest
			if err := l.ReadJSON(d, &index); err != nil {
				return nil, err
			}
			below, err := l.Images(index.Manifests)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
		case d.MediaType.IsImage():
			out = append(out, d)
		}
	}
	return out, nil
}

// Describe returns the descriptor of a manifest or an index by its digest, which need not be in
// index.json. OCI allows documents without a media type: one with a list of manifests is an
// index.
func (l *Layout) Describe(digest v1.Hash) (v1.Descriptor, error) {
	content, err := l.ReadBlob(digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var read struct {
		MediaType types.MediaType   `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(content, &read); err != nil {
		return v1.Descriptor{}, fmt.Errorf("%s is not a manifest: %w", digest, err)
	}
	d := v1.Descriptor{MediaType: read.MediaType, Digest: digest, Size: int64(len(content))}
	switch {
	case d.MediaType != "":
	case read.Manifests != nil:
		d.MediaType = types.OCIImageIndex
	default:
		d.MediaType = types.OCIManifestSchema1
	}
	return d, nil
}

// ErrNoPlatform is returned by ForPlatform if there is no image for the platform.
var ErrNoPlatform = errors.New("it holds no image")

// ForPlatform finds the image for a platform among the given descriptors and below their
// indexes. If a descriptor has no platform, as engines write it for a single image, the
// config decides. The error is an ErrNoPlatform that lists the other platforms.
func (l *Layout) ForPlatform(below []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	images, err := l.Images(below)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var others []string
	for _, d := range images {
		platform, err := l.platform(d)
		if err != nil {
			return v1.Descriptor{}, err
		}
		if platform.Satisfies(want) {
			return d, nil
		}
		others = append(others, platform.String())
	}
	if len(others) == 0 {
		return v1.Descriptor{}, ErrNoPlatform
	}
	return v1.Descriptor{}, fmt.Errorf("%w for %s, only for %s", ErrNoPlatform, want, strings.Join(others, ", "))
}

func (l *Layout) platform(d v1.Descriptor) (v1.Platform, error) {
	if d.Platform != nil {
		return *d.Platform, nil
	}
	config, err := l.Config(d)
	if platform := config.Platform(); platform != nil {
		return *platform, err
	}
	return v1.Platform{}, err
}

// Manifests lists the manifests of an image's index, each with its platform and with the
// annotations of the manifest itself.
func (l *Layout) Manifests(d v1.Descriptor) ([]v1.Descriptor, error) {
	var index v1.IndexManifest
	if err := l.ReadJSON(d, &index); err != nil {
		return nil, err
	}
	for i, child := range index.Manifests {
		var manifest v1.Manifest
		if err := l.ReadJSON(child, &manifest); err != nil {
			return nil, err
		}
		index.Manifests[i].Annotations = manifest.Annotations
	}
	return index.Manifests, nil
}

// Layers lists the digests of an image's layers, the lowest first, given its manifest.
func (l *Layout) Layers(d v1.Descriptor) ([]v1.Hash, error) {
	var manifest v1.Manifest
	if err := l.ReadJSON(d, &manifest); err != nil {
		return nil, err
	}
	var layers []v1.Hash
	for _, layer := range manifest.Layers {
		layers = append(layers, layer.Digest)
	}
	return layers, nil
}

// Config reads the config of an image, given its manifest.
func (l *Layout) Config(d v1.Descriptor) (v1.ConfigFile, error) {
	var manifest v1.Manifest
	var config v1.ConfigFile
	err := l.ReadJSON(d, &manifest)
	if err == nil {
		err = l.ReadJSON(manifest.Config, &config)
	}
	return config, err
}
