package build

import (
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// BuiltImages lists the images of an evaluation that the layout has, for each platform and
// without their documents, and the ones that it lacks. It builds nothing.
func (b *Builder) BuiltImages(evaluation *nix.Evaluation) (built []Described, missing []catalog.ID, err error) {
	targets := release.Targets(evaluation.Images)
	local, err := (&state.Reader{Output: b.Output}).Local()
	if err != nil {
		return nil, nil, err
	}
	plans, entries := local.Plans(targets, evaluation.PkgsErr)
	for i, target := range targets {
		switch {
		case len(target.Specs) == 0:
			continue
		case plans[i].Action != state.ToNothing:
			missing = append(missing, target.ID)
			continue
		}
		manifests, err := local.Manifests(entries[i].Descriptor)
		if err != nil {
			return nil, nil, err
		}
		for _, manifest := range manifests {
			built = append(built, Described{Target: target, Index: entries[i].Descriptor, Manifest: manifest})
		}
	}
	return built, missing, nil
}
