package release

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
)

// loadKnownLayers reads which layers the registry has of a former release, whose record has
// a tag: these are neither written nor sent again, nor asked for. Layer keys are
// what anyone with push rights can claim: only what a record of ours names is
// believed.
func (p *Publisher) loadKnownLayers(ctx context.Context, release *variantRelease, former string) error {
	if p.Signing == nil || former == "" {
		return nil
	}
	tag, err := p.Registry.Tag(release.ref())
	if err != nil {
		return err
	}
	tag = tag.Context().Tag(former)
	record, _, err := ShowRecord(ctx, p.Registry, p.Signing, tag)
	if isUnsigned(err) || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.Registry.SawArtifact(tag.Context()); err != nil {
		return err
	}
	for _, image := range release.images {
		component := record.Components[image.target.Component]
		if component == nil {
			continue
		}
		there, err := p.Registry.Tag(component.Reference)
		if err != nil {
			return err
		}
		image.known, image.former = map[v1.Hash]bool{}, map[string]name.Digest{}
		for platform, digest := range component.Systems {
			image.former[platform] = there.Context().Digest(digest)
			if err := p.learnImage(ctx, image, image.former[platform]); err != nil {
				return err
			}
		}
	}
	return nil
}

// learnImage reads the layers of one platform's image: one request.
func (p *Publisher) learnImage(ctx context.Context, i *publication, digest name.Digest) error {
	got, err := p.Registry.Get(ctx, digest)
	if err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		i.known[layer.Digest] = true
		p.Registry.MarkBlobPresent(digest.Context(), layer.Digest)
		key := layer.Annotations[image.LayerKeyAnnotation]
		if diffID, err := v1.NewHash(layer.Annotations[image.DiffIDAnnotation]); err == nil && key != "" {
			p.layers.AddRemote(image.Layer{Descriptor: layer, DiffID: diffID, Key: key})
		}
	}
	return nil
}

// newestRelease is the tag with the highest version among those of releases.
func newestRelease(tags []string) string {
	newest, version, packageVersion := "", "", 0
	for _, tag := range tags {
		v, pv, ok := catalog.ParseTag(tag)
		if !ok {
			continue
		}
		if order := catalog.CompareVersions(v, version); newest == "" || order > 0 || order == 0 && pv > packageVersion {
			newest, version, packageVersion = tag, v, pv
		}
	}
	return newest
}
