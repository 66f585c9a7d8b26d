package state

import (
	"context"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
)

// Defect is a mistake in the definition of a component that is found without building. The
// commands show, plan, check and build report it in the same words.
type Defect struct {
	Found containerfile.Defect
	IDs   []catalog.ID // images with the defect; the app itself comes before its variants
}

// Name returns app/component, with the variant unless it is the default one.
func (d Defect) Name() string {
	if id := d.IDs[0]; id.Variant != "default" {
		return id.String()
	}
	return d.IDs[0].App + "/" + d.IDs[0].Component
}

func (d Defect) Error() string { return d.Name() + ": " + d.Found.Err.Error() }

// has reports whether an image has the defect. A debug image has the defects of the default
// one.
func (d Defect) has(id catalog.ID) bool {
	if id.Variant == "debug" {
		id.Variant = "default"
	}
	return slices.Contains(d.IDs, id)
}

// Defects finds the defects of images, each once for a component. It fetches nothing: it
// checks sources only if they are in the store.
func Defects(ctx context.Context, n *nix.Nix, images []*catalog.Spec) ([]Defect, error) {
	specs := containerfileSpecs(images)
	if len(specs) == 0 {
		return nil, nil
	}
	sources, err := n.SourcesInStore(ctx, specs)
	if err != nil {
		return nil, err
	}
	var all []Defect
	for _, spec := range specs {
		all = addDefects(all, spec, sources[spec])
	}
	return all, nil
}

// containerfileSpecs returns the images that an engine builds, the default variant first,
// without debug images, which are built from the default ones.
func containerfileSpecs(images []*catalog.Spec) []*catalog.Spec {
	var specs []*catalog.Spec
	for _, spec := range images {
		if spec.Kind() == catalog.KindContainerfile && spec.Skip == nil && spec.Variant != "debug" {
			specs = append(specs, spec)
		}
	}
	slices.SortStableFunc(specs, func(a, b *catalog.Spec) int { return a.ID().Compare(b.ID()) })
	return specs
}

// addDefects adds an image's defects to those of its component.
func addDefects(all []Defect, spec *catalog.Spec, source string) []Defect {
	for _, found := range containerfile.Defects(spec, source) {
		at := slices.IndexFunc(all, func(d Defect) bool {
			return d.IDs[0].App == spec.App && d.IDs[0].Component == spec.Component && d.Found.Err.Error() == found.Err.Error()
		})
		if at < 0 {
			all = append(all, Defect{Found: found})
			at = len(all) - 1
		}
		if !slices.Contains(all[at].IDs, spec.ID()) { // it may be there from another system
			all[at].IDs = append(all[at].IDs, spec.ID())
		}
	}
	return all
}

// MarkDefects marks the plans of images that cannot be built. It returns the defects of the
// planned images.
func MarkDefects(plans []Plan, defects []Defect) []Defect {
	return slices.DeleteFunc(defects, func(defect Defect) bool {
		elsewhere := true
		for i := range plans {
			if !defect.has(plans[i].ID) {
				continue
			}
			elsewhere = false
			if defect.Found.Fatal && plans[i].Action == ToBuild {
				plans[i].Action, plans[i].Reason = ToFail, defect.Found.Err.Error()
			}
		}
		return elsewhere
	})
}
