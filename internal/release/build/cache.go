package build

import (
	"context"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// RememberPublished records the outputs of images that are published and not built in this run, so
// that CopyTo copies what an earlier run failed to copy.
func (b *Builder) RememberPublished(targets []*release.Target) {
	var paths []string
	for _, target := range targets {
		for _, spec := range target.Specs {
			for _, derivation := range spec.Content.Derivations() {
				paths = append(paths, derivation.Out)
			}
		}
	}
	b.remember(paths)
}

// remember records store paths for CopyTo.
func (b *Builder) remember(paths []string) {
	if b.outputs == nil {
		b.outputs = map[string]bool{}
	}
	for _, path := range paths {
		b.outputs[path] = true
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
