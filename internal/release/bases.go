package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
)

// dependencies are the images of the catalogue that an image is made of: its bases, or
// what tools are added to. A Nix image with tools is assembled with what is below them.
func dependencies(spec *catalog.Spec) []*catalog.Spec {
	if spec.Kind != "containerfile" {
		return nil
	}
	if spec.Tools != nil {
		return []*catalog.Spec{production(spec)}
	}
	var all []*catalog.Spec
	for _, name := range slices.Sorted(maps.Keys(spec.Bases)) {
		if base := spec.Bases[name].Image; base != nil {
			all = append(all, base)
		}
	}
	return all
}

// takenImages are those that a run takes as they are, from the layout or from a registry,
// where they are there with the same image key. Else they are made: the steps of a
// Containerfile may give something else each time, and then what is built on them would
// stand on what was never published. What goes into the layout for that stays there under
// its name.
type takenImages struct {
	byKey    map[string]*manifest            // nil for what is looked for and not found
	outdated map[string]bool                 // image keys of what the layout has on another base than is published
	byRef    map[catalog.Ref][]*catalog.Spec // what was looked for: one a system
	records  map[catalog.Ref]lookedUp        // of releases
	entries  built                           // of the layout

	asked   bool // where releases are published, which is:
	client  *registry.Client
	signing *Signing
	err     error
}

// where asks once where releases are published.
func (t *takenImages) where(ctx context.Context, published func(context.Context) (*registry.Client, *Signing, error)) (*registry.Client, *Signing, error) {
	if !t.asked {
		t.asked = true
		t.client, t.signing, t.err = published(ctx)
	}
	return t.client, t.signing, t.err
}

type lookedUp struct {
	record *Record
	err    error
}

func newTakenImages(have built) takenImages {
	return takenImages{byKey: map[string]*manifest{}, outdated: map[string]bool{}, byRef: map[catalog.Ref][]*catalog.Spec{}, records: map[catalog.Ref]lookedUp{}, entries: have}
}

// isOutdated tells whether the layout has a target as it was made of other images than
// those that are published.
func (r *run) isOutdated(ctx context.Context, target *Target) bool {
	return r.publishing && slices.ContainsFunc(target.Specs, func(spec *catalog.Spec) bool {
		return len(dependencies(spec)) > 0 && r.fromLayout(ctx, spec) == nil
	})
}

// refusedBase says which image that a target is made of cannot be published.
func (r *run) refusedBase(ctx context.Context, target *Target) error {
	for _, spec := range target.Specs {
		for _, dependency := range dependencies(spec) {
			if there := r.take(ctx, dependency); there != nil && there.err != nil {
				return fmt.Errorf("base %s: %w", dependency.ID(), there.err)
			}
		}
	}
	return nil
}

// takeFor looks for what the targets are made of. Of their own images, those are taken that the
// layout has for one system and not for another.
func (r *run) takeFor(ctx context.Context, missing []*Target) {
	for _, target := range missing {
		for _, spec := range target.Specs {
			if spec.Kind == "containerfile" && !r.rebuild {
				if there := r.fromLayout(ctx, spec); there != nil {
					r.taken.byKey[spec.Key()] = there
				}
			}
			if r.taken.byKey[spec.Key()] != nil {
				continue
			}
			for _, dependency := range dependencies(spec) {
				r.take(ctx, dependency)
			}
		}
	}
}

// take looks for an image that others are made of, and brings it into the layout; nil where
// it has to be made. What will be published stands on what is published, whatever the
// layout has.
func (r *run) take(ctx context.Context, spec *catalog.Spec) *manifest {
	key := spec.Key()
	if there, known := r.taken.byKey[key]; known {
		return there
	}
	if same := r.taken.byRef[spec.Ref()]; !slices.ContainsFunc(same, func(s *catalog.Spec) bool { return s.Key() == key }) {
		r.taken.byRef[spec.Ref()] = append(same, spec)
	}
	var there *manifest
	var err error
	if r.publishing {
		there, err = r.fromRegistry(ctx, spec)
	}
	if r.publishing && errors.As(err, new(*otherKeyError)) {
		there = &manifest{err: &fault.Fault{
			Err: fmt.Errorf("it is published with other content, and nothing is published on what is not: %w", err),
			Fix: "libre bump --repack " + spec.App + ", and push it too",
		}}
		there.once.Do(func() {})
		r.taken.byKey[key] = there
		return there
	}
	instead := "the one in " + r.Output + " is taken instead"
	if there == nil {
		there = r.fromLayout(ctx, spec)
	}
	if there == nil && !r.publishing {
		there, err = r.fromRegistry(ctx, spec)
	}
	if there == nil {
		instead = "it is built anew"
	}
	r.taken.byKey[key] = there
	isSame := spec.Kind == "nix" && fault.Is(err, fault.Unreachable) // built anew it has the same digest
	if err != nil && !isSame && ctx.Err() == nil {
		r.Watcher.Warn(spec.ID(), "what is published of it is not taken as a base: "+fault.Reason(err)+"; "+instead)
	}
	if there == nil {
		for _, below := range dependencies(spec) {
			r.take(ctx, below)
		}
	}
	return there
}

// asTaken is an image that nothing is to be done for.
func asTaken(descriptor v1.Descriptor, annotations map[string]string, layers []v1.Hash) *manifest {
	taken := &manifest{base: baseImage{annotations[ociPrefix+"base.name"], annotations[ociPrefix+"base.digest"]}, layers: layers}
	taken.result.Descriptor = descriptor
	taken.result.Descriptor.Annotations = nil
	taken.once.Do(func() {})
	return taken
}

// fromLayout finds an image in the layout, whole and with the same key.
func (r *run) fromLayout(ctx context.Context, spec *catalog.Spec) *manifest {
	entry, found := r.taken.entries.entries[spec.Ref().String()]
	if !found {
		return nil
	}
	manifests, err := r.layout.Manifests(entry)
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(manifests, func(d v1.Descriptor) bool { return d.Annotations[image.ImageKeyAnnotation] == spec.Key() })
	if at < 0 || !r.layout.Content(manifests[at]).Complete {
		return nil
	}
	if r.publishing && !r.standsOnPublished(ctx, spec, manifests[at]) {
		r.taken.outdated[spec.Key()] = true
		return nil
	}
	layers, err := r.layout.Layers(manifests[at])
	if err != nil {
		return nil
	}
	there := asTaken(manifests[at], manifests[at].Annotations, layers)
	there.inLayout = true
	return there
}

// standsOnPublished tells whether an image of the layout was made of what is published of
// its dependencies, where that is known.
func (r *run) standsOnPublished(ctx context.Context, spec *catalog.Spec, described v1.Descriptor) bool {
	for _, dependency := range dependencies(spec) {
		there := r.take(ctx, dependency)
		switch {
		case there == nil && r.taken.outdated[dependency.Key()]:
			return false
		case there == nil:
		case spec.Tools != nil:
			all, err := r.layout.Layers(described)
			if below := there.layers; err != nil || len(all) < len(below) || !slices.Equal(all[:len(below)], below) {
				return false
			}
		case described.Annotations[ociPrefix+"base.name"] == dependency.Ref().String() &&
			described.Annotations[ociPrefix+"base.digest"] != there.result.Descriptor.Digest.String():
			return false
		}
	}
	return true
}

// keep gives what a target was made of its name in the layout, before the target gets its
// own: the next run takes it from there, and it is what will be published.
func (r *run) keep(ctx context.Context, target *Target) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[catalog.Ref]bool{}
	for _, spec := range target.Specs {
		if err := r.keepBelow(ctx, spec, seen); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) keepBelow(ctx context.Context, spec *catalog.Spec, seen map[catalog.Ref]bool) error {
	for _, dependency := range dependencies(spec) {
		ref := dependency.Ref()
		if seen[ref] {
			continue
		}
		seen[ref] = true
		if err := r.keepBelow(ctx, dependency, seen); err != nil {
			return err
		}
		if err := r.keepImage(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// keepImage names an image that was made of what is there of it. Targets are named by
// themselves, and what came from the layout has its name.
func (r *run) keepImage(ctx context.Context, ref catalog.Ref) error {
	var specs []*catalog.Spec
	var manifests []v1.Descriptor
	isNew := false
	for _, spec := range r.taken.byRef[ref] {
		there := r.taken.byKey[spec.Key()]
		if there == nil {
			there = r.finished[spec.Key()]
		}
		if there == nil || there.err != nil {
			continue
		}
		specs, manifests = append(specs, spec), append(manifests, there.result.Descriptor)
		isNew = isNew || !there.inLayout
	}
	if !isNew || r.named[ref] {
		return nil
	}
	slices.SortFunc(specs, func(a, b *catalog.Spec) int { return strings.Compare(a.System, b.System) })
	key := catalog.IndexKey(specs)
	index, err := image.Index(ctx, r.layout, manifests, labels(specs[0], key, baseImage{}))
	if err != nil {
		return err
	}
	return r.layout.Put(ref.String(), index, map[string]string{image.ImageKeyAnnotation: key})
}
