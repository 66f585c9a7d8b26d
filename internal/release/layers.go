package release

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
)

// learn reads which layers the registry has of the release that was published
// before: these are neither written nor sent again, nor asked for. Layer keys are
// what anyone with push rights can claim: only what a record of ours names is
// believed.
func (p *Publisher) learn(ctx context.Context, release *variantRelease) error {
	if p.Signing == nil {
		return nil
	}
	repository, _, _ := strings.Cut(release.refName(), ":")
	tags, err := p.Registry.Tags(ctx, repository)
	if err != nil {
		return err
	}
	newest := newestRelease(tags)
	if newest == "" {
		return nil
	}
	tag, err := p.Registry.Tag(repository + ":" + newest)
	if err != nil {
		return err
	}
	record, err := ShowRecord(ctx, p.Registry, p.Signing, tag)
	if isUnsigned(err) || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err != nil {
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
		image.known = map[v1.Hash]bool{}
		for _, digest := range component.Systems {
			if err := p.learnImage(ctx, image, there.Context().Digest(digest)); err != nil {
				return err
			}
		}
	}
	return nil
}

// learnImage reads the layers of one platform's image: two requests.
func (p *Publisher) learnImage(ctx context.Context, i *publication, digest name.Digest) error {
	got, err := p.Registry.Get(ctx, digest)
	if err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Manifest, &manifest); err != nil {
		return err
	}
	content, err := p.Registry.Blob(ctx, digest, manifest.Config)
	if err != nil {
		return err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(content, &config); err != nil {
		return err
	}
	for n, layer := range manifest.Layers {
		i.known[layer.Digest] = true
		p.Registry.Saw(digest.Context(), layer.Digest)
		if key := layer.Annotations[image.LayerKeyAnnotation]; key != "" && n < len(config.RootFS.DiffIDs) {
			p.layers.AddRemote(image.Layer{Descriptor: layer, DiffID: config.RootFS.DiffIDs[n], Key: key})
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
