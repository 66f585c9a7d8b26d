package state

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
)

// Bases finds base images by their image keys, in the layout or in a registry. A second run of
// a Containerfile may have another result, so an image must be built on the published base, or
// on one that will be published.
type Bases struct {
	options  BaseOptions
	local    Local
	byKey    map[string]*Base                // nil if it was searched and not found
	outdated map[string]bool                 // image keys of images in the layout that are built on another base than the published one
	byRef    map[catalog.Ref][]*catalog.Spec // specs that were searched, one for each system
	records  map[catalog.Ref]recordResult    // by reference of the release

	asked   bool // whether options.Where was called; its result is:
	client  *registry.Client
	signing *Signing
	err     error
}

// BaseOptions configures where bases are searched.
type BaseOptions struct {
	// Where returns the registry of published releases and how they are signed. It is
	// called when first needed. If it is nil or returns a nil client, there is no registry.
	Where    func(context.Context) (*registry.Client, *Signing, error)
	ForPush  bool                   // prefer published bases to those in the layout
	Recorded map[string]name.Digest // by image key, digests from verified release records
	Output   string                 // directory of the layout, for warnings
	Warn     func(id catalog.ID, warning string)

	// Fetch copies an image from a registry into the layout. If it is nil, images stay in
	// the registry.
	Fetch func(ctx context.Context, spec *catalog.Spec, from name.Digest, source layout.Source) error
}

// Base is a base image on one system.
type Base struct {
	Descriptor v1.Descriptor
	On         release.BaseImage // the base that it was built on itself
	Layers     []v1.Hash
	InLayout   bool  // the layout had it before this run
	Err        error // why no image can be built on it
}

type recordResult struct {
	record *Record
	err    error
}

// NewBases returns empty Bases.
func NewBases(local Local, options BaseOptions) *Bases {
	return &Bases{
		options: options, local: local, byKey: map[string]*Base{}, outdated: map[string]bool{},
		byRef: map[catalog.Ref][]*catalog.Spec{}, records: map[catalog.Ref]recordResult{},
	}
}

// Found returns the base with an image key, or nil if none was found.
func (b *Bases) Found(key string) *Base { return b.byKey[key] }

// Specs returns the specs that were searched for a reference, one for each system.
func (b *Bases) Specs(ref catalog.Ref) []*catalog.Spec { return b.byRef[ref] }

// IsOutdated reports whether the layout's image of a target is built on other images than
// the published ones.
func (b *Bases) IsOutdated(ctx context.Context, target *release.Target) bool {
	return b.options.ForPush && slices.ContainsFunc(target.Specs, func(spec *catalog.Spec) bool {
		return len(spec.Dependencies()) > 0 && b.fromLayout(ctx, spec) == nil
	})
}

// Refused returns an error if a base of the target cannot be published.
func (b *Bases) Refused(ctx context.Context, target *release.Target) error {
	for _, spec := range target.Specs {
		for _, dependency := range spec.Dependencies() {
			if there := b.Find(ctx, dependency); there != nil && there.Err != nil {
				return fmt.Errorf("base %s: %w", dependency.ID(), there.Err)
			}
		}
	}
	return nil
}

// FindFor finds all bases of the targets. For Containerfile targets it also finds images
// that the layout has for some systems only, unless rebuild requests to build them again.
func (b *Bases) FindFor(ctx context.Context, targets []*release.Target, rebuild bool) {
	for _, target := range targets {
		for _, spec := range target.Specs {
			if spec.Kind() == catalog.KindContainerfile && !rebuild {
				if there := b.fromLayout(ctx, spec); there != nil {
					b.byKey[spec.Key()] = there
				}
			}
			if b.byKey[spec.Key()] != nil {
				continue
			}
			for _, dependency := range spec.Dependencies() {
				b.Find(ctx, dependency)
			}
		}
	}
}

// Find finds a base and fetches it into the layout. It returns nil if the base must be built.
func (b *Bases) Find(ctx context.Context, spec *catalog.Spec) *Base {
	key := spec.Key()
	if there, known := b.byKey[key]; known {
		return there
	}
	if same := b.byRef[spec.Ref()]; !slices.ContainsFunc(same, func(s *catalog.Spec) bool { return s.Key() == key }) {
		b.byRef[spec.Ref()] = append(same, spec)
	}
	there, err := b.find(ctx, spec)
	b.byKey[key] = there
	if there != nil && there.Err != nil {
		return there
	}
	instead := "the one in " + b.options.Output + " is used instead"
	if there == nil {
		instead = "it is built again"
	}
	isSame := spec.Kind() == catalog.KindNix && fault.Is(err, fault.Unreachable) // building it again gives the same digest
	if err != nil && !isSame && ctx.Err() == nil {
		b.options.Warn(spec.ID(), "its published image is not used as a base: "+fault.Reason(err)+"; "+instead)
	}
	if there == nil {
		for _, below := range spec.Dependencies() {
			b.Find(ctx, below)
		}
	}
	return there
}

// find searches the layout and the registry. For a push it searches the registry first. The
// error is the reason why a published image is not used.
func (b *Bases) find(ctx context.Context, spec *catalog.Spec) (*Base, error) {
	if !b.options.ForPush {
		if there := b.fromLayout(ctx, spec); there != nil {
			return there, nil
		}
		return b.fromRegistry(ctx, spec)
	}
	there, err := b.fromRegistry(ctx, spec)
	if errors.As(err, new(*otherKeyError)) {
		return &Base{Err: &fault.Fault{
			Err: fmt.Errorf("it is published with other content, so nothing can be published on this one: %w", err),
			Fix: "libre bump --repack " + spec.App + ", and push it too",
		}}, err
	}
	if there == nil {
		there = b.fromLayout(ctx, spec)
	}
	return there, err
}

// newBase returns a base with the annotations of its manifest.
func newBase(descriptor v1.Descriptor, annotations map[string]string, layers []v1.Hash) *Base {
	descriptor.Annotations = nil
	return &Base{
		Descriptor: descriptor, Layers: layers,
		On: release.BaseImage{Name: annotations[release.OCIPrefix+"base.name"], Digest: annotations[release.OCIPrefix+"base.digest"]},
	}
}

// fromLayout returns the base in the layout, or nil if it is not there, not complete or has
// another key.
func (b *Bases) fromLayout(ctx context.Context, spec *catalog.Spec) *Base {
	entry, found := b.local.entries[spec.Ref().String()]
	if !found {
		return nil
	}
	dist := b.local.layout
	manifests, err := dist.Manifests(entry)
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(manifests, func(d v1.Descriptor) bool { return d.Annotations[image.ImageKeyAnnotation] == spec.Key() })
	if at < 0 || !dist.Content(manifests[at]).Complete {
		return nil
	}
	if b.options.ForPush && !b.isOnPublished(ctx, spec, manifests[at]) {
		b.outdated[spec.Key()] = true
		return nil
	}
	layers, err := dist.Layers(manifests[at])
	if err != nil {
		return nil
	}
	there := newBase(manifests[at], manifests[at].Annotations, layers)
	there.InLayout = true
	return there
}

// isOnPublished reports whether an image in the layout is built on the published versions
// of its dependencies. It returns true for dependencies whose published version is unknown.
func (b *Bases) isOnPublished(ctx context.Context, spec *catalog.Spec, described v1.Descriptor) bool {
	for _, dependency := range spec.Dependencies() {
		there := b.Find(ctx, dependency)
		switch {
		case there == nil && b.outdated[dependency.Key()]:
			return false
		case there == nil:
		case spec.Tools() != nil:
			all, err := b.local.layout.Layers(described)
			if below := there.Layers; err != nil || len(all) < len(below) || !slices.Equal(all[:len(below)], below) {
				return false
			}
		case described.Annotations[release.OCIPrefix+"base.name"] == dependency.Ref().String() &&
			described.Annotations[release.OCIPrefix+"base.digest"] != there.Descriptor.Digest.String():
			return false
		}
	}
	return true
}
