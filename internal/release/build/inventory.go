package build

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sbom"
)

// An inventory has what the package set knows about store paths, for each image that uses it.
// An evaluation takes seconds, so one evaluation asks for all images of a run.
type inventory struct {
	mu    sync.Mutex
	known map[imagePath]nix.Known
}

type imagePath struct {
	image  catalog.ID
	system string
	path   string
}

// askInventory asks the package set about the store paths of several images. SBOM then need not
// ask for each image.
func (b *Builder) askInventory(ctx context.Context, specs []*catalog.Spec, store nix.Store) error {
	var questions []nix.Question
	for _, spec := range specs {
		all := nixSpecs(spec)
		paths := closurePaths(store, all)
		if len(paths) == 0 {
			continue
		}
		origins, err := originsOf(all, paths)
		if err != nil {
			return err
		}
		for _, one := range all {
			questions = append(questions, nix.Question{Spec: one, Paths: storeNames(paths, origins)})
		}
	}
	return b.known.ask(ctx, b.Catalogue, questions)
}

// closurePaths returns the paths of a store that images need.
func closurePaths(store nix.Store, specs []*catalog.Spec) []string {
	paths := map[string]bool{}
	for _, spec := range specs {
		for _, output := range outputsOf(spec) {
			if _, valid := store[output.Path]; valid {
				for _, info := range store.Closure(output.Path) {
					paths[info.Path] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

// storeNames returns store paths with the names and versions of their packages.
func storeNames(paths []string, origins map[string]nix.Origin) []nix.StoreName {
	var names []nix.StoreName
	for _, path := range paths {
		name := nix.StoreName{Path: path, PName: origins[path].PName, Version: origins[path].Version}
		if name.PName == "" {
			name.PName, name.Version = sbom.ParseStorePath(path)
		}
		names = append(names, name)
	}
	return names
}

// inventory returns what the package set of the images knows about store paths. It warns about
// the number of unknown paths, without the paths in own, which the definitions make.
func (b *Builder) inventory(ctx context.Context, id catalog.ID, specs []*catalog.Spec, names []nix.StoreName, own []string) (map[string]nix.Known, error) {
	known := map[string]nix.Known{}
	left := names
	for _, spec := range specs {
		if err := b.known.ask(ctx, b.Catalogue, []nix.Question{{Spec: spec, Paths: left}}); err != nil {
			return nil, fmt.Errorf("asking the package set about what is in %s: %w", id, err)
		}
		var unknown []nix.StoreName
		for _, name := range left {
			known[name.Path] = b.known.get(spec, name.Path)
			if !known[name.Path].Known {
				unknown = append(unknown, name)
			}
		}
		left = unknown
	}
	var unknown []string
	for _, name := range left {
		if !slices.Contains(own, name.Path) {
			unknown = append(unknown, name.PName)
		}
	}
	if len(unknown) > 0 {
		b.Watcher.Warn(id, fmt.Sprintf("the package set does not know %d of %d store paths: %s", len(unknown), len(names), strings.Join(unknown, ", ")))
	}
	return known, nil
}

// ask asks the questions that have no answer yet.
func (i *inventory) ask(ctx context.Context, from *nix.Catalogue, questions []nix.Question) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var left []nix.Question
	for _, q := range questions {
		var paths []nix.StoreName
		for _, name := range q.Paths {
			if _, asked := i.known[pathOf(q.Spec, name.Path)]; !asked {
				paths = append(paths, name)
			}
		}
		if len(paths) > 0 {
			left = append(left, nix.Question{Spec: q.Spec, Paths: paths})
		}
	}
	if len(left) == 0 {
		return nil
	}
	answers, err := from.Inventory(ctx, left)
	if err != nil {
		return err
	}
	if i.known == nil {
		i.known = map[imagePath]nix.Known{}
	}
	for n, q := range left {
		for _, name := range q.Paths {
			i.known[pathOf(q.Spec, name.Path)] = answers[n][name.Path]
		}
	}
	return nil
}

func (i *inventory) get(spec *catalog.Spec, path string) nix.Known {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known[pathOf(spec, path)]
}

func pathOf(spec *catalog.Spec, path string) imagePath {
	return imagePath{spec.ID(), spec.System, path}
}
