package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
)

const (
	toolsDir = "opt/libre/bin"
	// defaultPath is what container engines set where an image has no PATH.
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// ToolsSpec is what a debug image adds to the image that it is made from.
type ToolsSpec struct {
	Base        v1.Descriptor     // the image's manifest, in the same layout
	Of          *Spec             // what the image was assembled from: its layers are not read; nil for one that an engine built
	Closure     []nix.PathInfo    // all paths that the tools need
	Root        string            // the store path in Closure whose bin/ holds the tools
	Labels      map[string]string // of the config; replace all of libre's, others stay
	Annotations map[string]string // of the manifest, in the place of the base's
	Created     time.Time
	Codec       Codec
}

// AddTools writes the debug form of an image: its layers, unchanged, and one
// more. That layer holds the store paths of the tools that the image lacks, and
// /opt/libre/bin with a link to each program; PATH ends with that folder. It has
// no entry for a folder that the image has, also by way of a link: an entry
// `bin/` would replace a link /bin → usr/bin and everything would be gone.
func AddTools(ctx context.Context, l *layout.Layout, spec ToolsSpec, opts Options) (Result, error) {
	if err := checkClosure(spec.Closure); err != nil {
		return Result{}, err
	}
	var manifest v1.Manifest
	var config v1.ConfigFile
	if err := l.ReadJSON(spec.Base, &manifest); err != nil {
		return Result{}, fmt.Errorf("adding tools: %w", err)
	}
	if err := l.ReadJSON(manifest.Config, &config); err != nil {
		return Result{}, fmt.Errorf("adding tools to %s: %w", spec.Base.Digest, err)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return Result{}, fmt.Errorf("adding tools to %s: config and manifest differ in the number of layers", spec.Base.Digest)
	}
	if len(manifest.Layers) >= MaxLayers {
		return Result{}, fmt.Errorf("adding tools to %s: it has %d layers already, %d is the most", spec.Base.Digest, len(manifest.Layers), MaxLayers)
	}
	source, err := spec.source(ctx, l, manifest.Layers, opts.StoreRoot)
	if err != nil {
		return Result{}, fmt.Errorf("adding tools to %s: %w", spec.Base.Digest, err)
	}
	added, warnings, err := writeLayers(ctx, l, []layerSource{source}, spec.Codec, opts)
	if err != nil {
		return Result{}, err
	}
	var layers []Layer
	for i, d := range manifest.Layers {
		layers = append(layers, Layer{Descriptor: d, DiffID: config.RootFS.DiffIDs[i], Key: d.Annotations[LayerKeyAnnotation], Name: "base"})
	}
	config.Config.Env = extendPath(config.Config.Env, "/"+toolsDir)
	config.Config.Labels = relabel(config.Config.Labels, func(string) bool { return true }, spec.Labels)
	config.History = append(config.History, v1.History{CreatedBy: "libre: " + source.summary})
	result, err := writeImage(ctx, l, config, spec.Created, spec.Annotations, append(layers, added...))
	result.Warnings = warnings
	return result, err
}

// source is the layer of tools over an image of the given layers.
func (s ToolsSpec) source(ctx context.Context, l *layout.Layout, layers []v1.Descriptor, storeRoot string) (layerSource, error) {
	var base *baseTree
	var err error
	if s.Of != nil {
		base, err = assembledTree(ctx, s.Of, storeRoot)
	} else {
		base, err = readBaseTree(ctx, l, layers)
	}
	if err != nil {
		return layerSource{}, err
	}
	return toolsLayer(base, s, storeRoot)
}

// toolsLayer decides what the layer holds. Its key names every entry that does
// not follow from a store path.
func toolsLayer(base *baseTree, spec ToolsSpec, storeRoot string) (layerSource, error) {
	names, err := toolNames(filepath.Join(storeRoot+spec.Root, "bin"))
	if err != nil {
		return layerSource{}, err
	}
	paths, err := missingPaths(base, spec.Closure)
	if err != nil {
		return layerSource{}, err
	}
	places := placement{base: base}
	var stores []string // for each path, the folder that it goes to
	for _, p := range paths {
		dir, err := places.dir(path.Dir(p.Path))
		if err != nil {
			return layerSource{}, err
		}
		stores = append(stores, dir)
	}
	bin, err := places.dir(toolsDir)
	if err != nil {
		return layerSource{}, err
	}
	slices.Sort(places.missing)

	key := newKey("tools", spec.Codec)
	key.addPaths(paths)
	key.add("folders")
	for _, dir := range places.missing {
		key.add(dir)
	}
	key.add("stores")
	for _, dir := range stores {
		key.add(dir)
	}
	key.add("links", bin, spec.Root)
	for _, name := range names {
		key.add(name)
	}
	return layerSource{key: key.sum(), name: "tools", summary: "tools " + spec.Root, fill: func(ctx context.Context, w io.Writer) error {
		return writeTar(ctx, w, func(t *tree) error {
			for _, dir := range places.missing {
				if err := t.dir(dir, 0o755, 0, 0); err != nil {
					return err
				}
			}
			for i, p := range paths {
				if err := t.storePath(path.Join(stores[i], path.Base(p.Path)), storeRoot+p.Path); err != nil {
					return err
				}
			}
			for _, name := range names {
				if err := t.symlink(path.Join(bin, name), path.Join(spec.Root, "bin", name), 0, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}}, nil
}

// missingPaths are those of a closure that a tree does not have, by path.
func missingPaths(base *baseTree, closure []nix.PathInfo) ([]nix.PathInfo, error) {
	var paths []nix.PathInfo
	for _, p := range closure {
		n, _, err := base.lookup(p.Path, false)
		if err != nil {
			return nil, err
		}
		if n == nil {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, func(a, b nix.PathInfo) int { return strings.Compare(a.Path, b.Path) })
	return paths, nil
}

func toolNames(bin string) ([]string, error) {
	entries, err := os.ReadDir(bin)
	if err != nil {
		return nil, fmt.Errorf("listing the tools: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("listing the tools: %s is empty", bin)
	}
	return names, nil
}

// placement collects the folders that have to be made in an image.
type placement struct {
	base    *baseTree
	missing []string
}

// dir says where a folder really is, or will be, once links are followed.
func (p *placement) dir(name string) (string, error) {
	_, real, err := p.base.lookup(name, true)
	if err != nil {
		return "", err
	}
	for _, dir := range append(parents(real), real) {
		n, _, err := p.base.lookup(dir, false)
		switch {
		case err != nil:
			return "", err
		case n == nil && !slices.Contains(p.missing, dir):
			p.missing = append(p.missing, dir)
		case n != nil && n.children == nil:
			return "", fmt.Errorf("the image has a file /%s where a folder is needed", dir)
		}
	}
	return real, nil
}

// extendPath adds a folder to the end of PATH.
func extendPath(env []string, dir string) []string {
	env = slices.Clone(env)
	for i, v := range env {
		if name, value, _ := strings.Cut(v, "="); name == "PATH" {
			if value == "" {
				value = defaultPath
			}
			if !slices.Contains(strings.Split(value, ":"), dir) {
				value += ":" + dir
			}
			env[i] = "PATH=" + value
			return env
		}
	}
	return append(env, "PATH="+defaultPath+":"+dir)
}
