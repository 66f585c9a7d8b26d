package publish

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

// loadKnownLayers reads the layers of a former release, and its statement of withdrawn
// releases, by the tag of its record. These layers are neither written, sent nor requested
// again. Anybody with push access can write layer keys, so it uses only images in a verified
// record.
func (p *Publisher) loadKnownLayers(ctx context.Context, r *releasePush, former string) error {
	if p.signing() == nil || former == "" {
		return nil
	}
	tag, err := p.registry().Tag(r.rel.Ref())
	if err != nil {
		return err
	}
	tag = tag.Context().Tag(former)
	record, _, err := state.ReadVerified(ctx, p.registry(), p.signing(), tag)
	if state.IsUnsigned(err) || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.former = record.Withdrawals
	if err := p.registry().MarkArtifactPresent(tag.Context()); err != nil {
		return err
	}
	for _, image := range r.images {
		component := record.Components[image.target.ID.Component]
		if component == nil {
			continue
		}
		there, err := p.registry().Tag(component.Reference)
		if err != nil {
			return err
		}
		image.former = map[string]name.Digest{}
		for platform, digest := range component.Systems {
			image.former[platform] = there.Context().Digest(digest)
			if err := p.loadImageLayers(ctx, image.former[platform]); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadImageLayers reads the layers of one platform's image with one request.
func (p *Publisher) loadImageLayers(ctx context.Context, digest name.Digest) error {
	got, err := p.registry().Get(ctx, digest)
	if err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		p.registry().MarkBlobPresent(digest.Context(), layer.Digest)
		key := layer.Annotations[image.LayerKeyAnnotation]
		if diffID, err := v1.NewHash(layer.Annotations[image.DiffIDAnnotation]); err == nil && key != "" {
			p.layers.Add(image.Layer{Descriptor: layer, DiffID: diffID, Key: key})
		}
	}
	return nil
}
