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
	// defaultPath is the PATH that engines set if an image has none.
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// ToolsSpec describes the debug form of an image.
type ToolsSpec struct {
	Base        v1.Descriptor     // the image's manifest, in the same layout
	Of          *Spec             // the image's spec, which saves reading its layers; nil if an engine built it
	Closure     []nix.PathInfo    // all store paths of the tools
	Root        string            // the store path in Closure that has the tools in bin/
	Labels      map[string]string // of the config; replace all labels of libre, others stay
	Annotations map[string]string // of the manifest; replace the base's
	Created     time.Time
	Codec       Codec
}

// AddTools writes the debug form of an image: its layers, unchanged, and one more with
// the store paths of the tools that the image lacks and /opt/libre/bin, which has a link
// to each program and is the last folder of PATH. The layer has no entry for a folder
// that the image has, even if through a link: an entry bin/ would replace a link
// /bin → usr/bin, and all programs in it would be gone.
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
		return Result{}, fmt.Errorf("adding tools to %s: it has %d layers already, the limit is %d", spec.Base.Digest, len(manifest.Layers), MaxLayers)
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

// source returns the layer of tools on top of the given layers.
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

// toolsLayer plans the layer. Its key includes every entry that is not part of a store path.
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
	var stores []string // the folder of each path
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

// missingPaths lists, sorted, the paths of a closure that are not in the tree.
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

// placement collects the folders that are missing in an image.
type placement struct {
	base    *baseTree
	missing []string
}

// dir resolves the links in the path of a folder, which need not exist.
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

// extendPath appends a folder to PATH.
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
