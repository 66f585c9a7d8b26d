package build

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
)

// BuiltImage is an image of the layout for one platform, as the catalogue defines it now.
type BuiltImage struct {
	Target   *release.Target
	Index    v1.Descriptor
	Manifest v1.Descriptor
}

// BuiltImages lists the images of an evaluation that the layout has, for each platform, and
// the ones that it lacks. It builds nothing.
func (b *Builder) BuiltImages(evaluation *nix.Evaluation) (built []BuiltImage, missing []catalog.ID, err error) {
	targets := release.Targets(evaluation.Images)
	local, err := (&state.Reader{Output: b.Output}).Local()
	if err != nil {
		return nil, nil, err
	}
	plans, entries := local.Plans(targets, evaluation.PkgsErr)
	for i, target := range targets {
		if len(target.Specs) == 0 {
			continue
		}
		if plans[i].Action != state.ToNothing {
			missing = append(missing, target.ID)
			continue
		}
		dist, err := layout.Open(b.Output)
		if err != nil {
			return nil, nil, err
		}
		manifests, err := dist.Manifests(entries[i].Descriptor)
		if err != nil {
			return nil, nil, err
		}
		for _, manifest := range manifests {
			built = append(built, BuiltImage{target, entries[i].Descriptor, manifest})
		}
	}
	return built, missing, nil
}

// SBOMOfBuilt lists what an image of the layout is made of, as SBOM does.
func (b *Builder) SBOMOfBuilt(ctx context.Context, image BuiltImage, version string) (*sbom.Document, error) {
	return b.SBOM(ctx, b.Output, image.Target, image.Index, image.Manifest, version)
}
