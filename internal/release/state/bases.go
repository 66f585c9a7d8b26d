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

// Bases finds the images that others are built on, in the layout or in a registry, by
// their image keys. The steps of a Containerfile may make something else each time: an
// image must be built on what is published, or will be.
type Bases struct {
	options  BaseOptions
	local    Local
	byKey    map[string]*Base                // nil for what was looked for and not found
	outdated map[string]bool                 // image keys of what the layout has on another base than is published
	byRef    map[catalog.Ref][]*catalog.Spec // what was looked for: one a system
	records  map[catalog.Ref]recordResult    // of releases

	asked   bool // where releases are published, which is:
	client  *registry.Client
	signing *Signing
	err     error
}

// BaseOptions say where to find bases.
type BaseOptions struct {
	// Where says where releases are published, and who signs them. It is called when that
	// is needed; nil, or a nil client: there is no such place.
	Where    func(context.Context) (*registry.Client, *Signing, error)
	ForPush  bool                   // what is published goes before what the layout has
	Recorded map[string]name.Digest // by image key, what records that were verified name
	Output   string                 // the layout's directory, for warnings
	Warn     func(id catalog.ID, warning string)

	// Fetch brings an image of a registry into the layout; nil to leave it there.
	Fetch func(ctx context.Context, spec *catalog.Spec, from name.Digest, source layout.Source) error
}

// Base is an image on one system that others are built on.
type Base struct {
	Descriptor v1.Descriptor
	On         release.BaseImage // what it was built on itself
	Layers     []v1.Hash
	InLayout   bool  // it was in the layout before
	Err        error // why nothing can be built on it
}

type recordResult struct {
	record *Record
	err    error
}

// NewBases looks for nothing yet.
func NewBases(local Local, options BaseOptions) *Bases {
	return &Bases{
		options: options, local: local, byKey: map[string]*Base{}, outdated: map[string]bool{},
		byRef: map[catalog.Ref][]*catalog.Spec{}, records: map[catalog.Ref]recordResult{},
	}
}

// Found is what was found for an image key; nil for nothing.
func (b *Bases) Found(key string) *Base { return b.byKey[key] }

// Specs are the images of a reference that were looked for, one for each system.
func (b *Bases) Specs(ref catalog.Ref) []*catalog.Spec { return b.byRef[ref] }

// IsOutdated tells whether the layout has a target that was built on other images than
// those that are published.
func (b *Bases) IsOutdated(ctx context.Context, target *release.Target) bool {
	return b.options.ForPush && slices.ContainsFunc(target.Specs, func(spec *catalog.Spec) bool {
		return len(spec.Dependencies()) > 0 && b.fromLayout(ctx, spec) == nil
	})
}

// Refused says which image that a target is built on cannot be published.
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

// FindFor looks for all that the targets are built on. Of Containerfile targets, the images
// are found too that the layout has for one system and not for another, unless rebuild says
// that they are built again.
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

// Find looks for an image that others are built on, and fetches it into the layout; nil
// where it has to be built.
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
	isSame := spec.Kind() == catalog.KindNix && fault.Is(err, fault.Unreachable) // built anew it has the same digest
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

// find asks the layout and the registry, for a push the registry first. An error says why
// what is published is not taken.
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

// newBase is an image that was found, with the annotations of its manifest.
func newBase(descriptor v1.Descriptor, annotations map[string]string, layers []v1.Hash) *Base {
	descriptor.Annotations = nil
	return &Base{
		Descriptor: descriptor, Layers: layers,
		On: release.BaseImage{Name: annotations[release.OCIPrefix+"base.name"], Digest: annotations[release.OCIPrefix+"base.digest"]},
	}
}

// fromLayout finds an image in the layout, whole and with the same key.
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

// isOnPublished tells whether an image of the layout was built on what is published of its
// dependencies, where that is known.
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
