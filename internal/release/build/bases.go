package build

import (
	"context"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/release"
)

// taken returns the image with a key that was found and need not be made, or nil if there
// is none.
func (r *run) taken(key string) *manifest {
	there := r.bases.Found(key)
	if there == nil {
		return nil
	}
	taken := &manifest{base: there.On, err: there.Err, taken: true, inLayout: there.InLayout}
	taken.result.Descriptor = there.Descriptor
	return taken
}

// keep gives the dependencies of a target their names in the layout, before the target gets its
// own. The next run finds them there, and a later push publishes them.
func (r *run) keep(ctx context.Context, target *release.Target) error {
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
	for _, dependency := range spec.Dependencies() {
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

// keepImage gives a dependency its name in the layout. Targets get their names elsewhere, and
// an image from the layout has a name already.
func (r *run) keepImage(ctx context.Context, ref catalog.Ref) error {
	var specs []*catalog.Spec
	var manifests []v1.Descriptor
	isNew := false
	for _, spec := range r.bases.Specs(ref) {
		there := r.taken(spec.Key())
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
	index, err := image.Index(ctx, r.layout, manifests, release.Labels(specs[0], key, release.BaseImage{}))
	if err != nil {
		return err
	}
	return r.layout.Put(ref.String(), index, map[string]string{image.ImageKeyAnnotation: key})
}
