package build

import (
	"context"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// remember records which outputs the images need, whether Nix made them in this run or before.
func (b *Builder) remember(r *run, targets []*release.Target) {
	if b.outputs == nil {
		b.outputs = map[string]bool{}
	}
	for _, target := range targets {
		for _, output := range r.outputs(target) {
			b.outputs[output.Path] = true
		}
	}
}

// Remember records the outputs of images that are published and not built in this run, so that
// CopyTo copies what an earlier run failed to copy.
func (b *Builder) Remember(targets []*release.Target) {
	if b.outputs == nil {
		b.outputs = map[string]bool{}
	}
	for _, target := range targets {
		for _, spec := range target.Specs {
			for _, derivation := range spec.Content.Derivations() {
				b.outputs[derivation.Out] = true
			}
		}
	}
}

// CopyTo copies the outputs that the images of this builder need to a binary cache, if they are
// in the store. Other machines then need not build them. It returns the number of outputs,
// without their dependencies.
func (b *Builder) CopyTo(ctx context.Context, cache nix.BinaryCache) (outputs int, err error) {
	valid, err := b.Nix.Valid(ctx, slices.Sorted(maps.Keys(b.outputs)))
	if err != nil {
		return 0, err
	}
	paths := slices.Sorted(maps.Keys(valid))
	return len(paths), b.Nix.CopyTo(ctx, cache, paths)
}
