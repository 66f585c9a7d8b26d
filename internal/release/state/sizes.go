package state

import (
	"bytes"
	"context"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
)

// PublishedSizes returns the size of each image in the newest release that is published: the sum
// of its layers for all platforms, in bytes. It verifies nothing, since a wrong size only makes
// a bad estimate. It leaves out what is not published or cannot be read.
func PublishedSizes(ctx context.Context, client *registry.Client, plans []Plan) map[catalog.ID]int64 {
	byRelease := map[catalog.Ref][]catalog.ID{}
	for _, plan := range plans {
		if plan.Former != (catalog.Ref{}) {
			byRelease[plan.Former] = append(byRelease[plan.Former], plan.ID)
		}
	}
	releases := slices.Collect(maps.Keys(byRelease))
	found := make([]map[catalog.ID]int64, len(releases))
	InParallel(Readers, releases, func(n int, release catalog.Ref) {
		found[n] = sizesIn(ctx, client, release, byRelease[release])
	})
	sizes := map[catalog.ID]int64{}
	for _, some := range found {
		maps.Copy(sizes, some)
	}
	return sizes
}

// sizesIn returns the sizes of images in a release.
func sizesIn(ctx context.Context, client *registry.Client, release catalog.Ref, ids []catalog.ID) map[catalog.ID]int64 {
	sizes := map[catalog.ID]int64{}
	tag, err := client.Tag(release)
	if err != nil {
		return nil
	}
	record, _, err := readRecord(ctx, client, tag)
	if err != nil {
		return nil
	}
	for _, id := range ids {
		image, _, err := record.Image(client, id.Component)
		if err != nil {
			continue
		}
		for _, digest := range record.Components[id.Component].Systems {
			got, err := client.Get(ctx, image.Context().Digest(digest))
			if err != nil {
				continue
			}
			manifest, err := v1.ParseManifest(bytes.NewReader(got.Content))
			if err != nil {
				continue
			}
			for _, layer := range manifest.Layers {
				sizes[id] += max(layer.Size, 0)
			}
		}
	}
	return sizes
}
