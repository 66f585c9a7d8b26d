package build

import (
	"context"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// remember keeps what Nix makes for images, whether it made it in this run or before.
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

// CopyTo copies what the images of this builder are made of to a binary cache, as far as it
// is in the store: another machine then builds none of it. It returns how many outputs
// these were, without what they refer to.
func (b *Builder) CopyTo(ctx context.Context, cache nix.BinaryCache) (outputs int, err error) {
	valid, err := b.Nix.Valid(ctx, slices.Sorted(maps.Keys(b.outputs)))
	if err != nil {
		return 0, err
	}
	paths := slices.Sorted(maps.Keys(valid))
	return len(paths), b.Nix.CopyTo(ctx, cache, paths)
}
