package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
)

// Index writes the OCI index of an image, from its manifests, one per platform. A single
// platform gets an index too. Index sorts the manifests by platform. It returns an error if a
// manifest has no platform, or if two have the same one.
func Index(ctx context.Context, l *layout.Layout, manifests []v1.Descriptor, annotations map[string]string) (v1.Descriptor, error) {
	if len(manifests) == 0 {
		return v1.Descriptor{}, errors.New("writing an image index: no manifests")
	}
	manifests = slices.Clone(manifests)
	for _, d := range manifests {
		if d.Platform == nil || d.Platform.OS == "" || d.Platform.Architecture == "" {
			return v1.Descriptor{}, fmt.Errorf("writing an image index: %s has no platform", d.Digest)
		}
	}
	slices.SortFunc(manifests, func(a, b v1.Descriptor) int { return comparePlatforms(a.Platform, b.Platform) })
	for i := range manifests[1:] {
		if comparePlatforms(manifests[i].Platform, manifests[i+1].Platform) == 0 {
			return v1.Descriptor{}, fmt.Errorf("writing an image index: two manifests for %s", manifests[i].Platform)
		}
	}
	d, err := l.WriteJSON(ctx, types.OCIImageIndex, v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     manifests,
		Annotations:   annotations,
	})
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("writing an image index: %w", err)
	}
	return d, nil
}

func comparePlatforms(a, b *v1.Platform) int {
	return cmp.Or(
		cmp.Compare(a.OS, b.OS),
		cmp.Compare(a.Architecture, b.Architecture),
		cmp.Compare(a.Variant, b.Variant),
		cmp.Compare(a.OSVersion, b.OSVersion),
	)
}
