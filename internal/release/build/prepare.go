package build

import (
	"context"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// kept counts how often store paths are kept from the garbage collector.
type kept struct {
	mu    sync.Mutex
	paths map[string]int
}

func (k *kept) add(outputs []nix.Output, often int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.paths == nil {
		k.paths = map[string]int{}
	}
	for _, output := range outputs {
		k.paths[output.Path] += often
	}
}

func (k *kept) has(outputs []nix.Output) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.ContainsFunc(outputs, func(o nix.Output) bool { return k.paths[o.Path] == 0 })
}

// Prepare asks Nix about several images at once, so that SBOM need not ask for each. It looks at
// the images that are in the store: it keeps them there until done is called, and asks the package
// set about them. What fails here fails again in SBOM, whose error names the image.
func (b *Builder) Prepare(ctx context.Context, specs []*catalog.Spec) (done func()) {
	done = func() {}
	if len(specs) < 2 {
		return done
	}
	store, err := b.storeOf(ctx, specs)
	if err != nil {
		return done
	}
	if roots, err := os.MkdirTemp("", "libre-roots-"); err == nil {
		done = b.keep(ctx, specs, store, roots)
	}
	_ = b.askInventory(ctx, specs, store)
	return done
}

// keep keeps images that are in the store. roots is a folder for GC roots.
func (b *Builder) keep(ctx context.Context, specs []*catalog.Spec, store nix.Store, roots string) (done func()) {
	outputs := map[string]nix.Output{}
	for _, spec := range specs {
		for _, output := range outputsOf(spec) {
			if _, valid := store[output.Path]; valid {
				outputs[output.Path] = output
			}
		}
	}
	all := slices.Collect(maps.Values(outputs))
	failures, err := b.Nix.Realise(ctx, all, roots, func(nix.LogEvent) {})
	if err != nil || len(failures) > 0 {
		all = nil
	}
	b.kept.add(all, 1)
	return func() {
		b.kept.add(all, -1)
		os.RemoveAll(roots)
	}
}

// storeOf reads the store paths that images need, of those images that are in the store.
func (b *Builder) storeOf(ctx context.Context, specs []*catalog.Spec) (nix.Store, error) {
	var roots []string
	for _, spec := range specs {
		for _, one := range nixSpecs(spec) {
			roots = append(roots, nix.PathsOf(outputsOf(one))...)
		}
	}
	slices.Sort(roots)
	valid, err := b.Nix.Valid(ctx, slices.Compact(roots))
	if err != nil {
		return nil, err
	}
	return b.Nix.ReadStore(ctx, slices.Sorted(maps.Keys(valid)))
}

// outputsOf returns the outputs that have all other store paths of an image in their closures.
func outputsOf(spec *catalog.Spec) (outputs []nix.Output) {
	for _, derivation := range []*catalog.Derivation{spec.Rootfs(), spec.Tools()} {
		if derivation != nil {
			outputs = append(outputs, outputOf(derivation))
		}
	}
	return outputs
}
