// Package image makes OCI images from closures of store paths and from the images that
// engines build from Containerfiles. The same input gives the same bytes. It plans and
// caches layers, writes and compresses tar, and compares images.
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
)

// Annotations of libre.
const (
	ImageKeyAnnotation = "sh.libre.image-key" // index.json, manifest, index
	LayerKeyAnnotation = "sh.libre.layer-key" // a layer's descriptor
	DiffIDAnnotation   = "sh.libre.diff-id"   // a layer's descriptor: the digest of the tar before compression
)

// Spec is one image for one platform, made of store paths.
type Spec struct {
	Platform    v1.Platform       // os, architecture and, if there is one, variant
	Closure     []nix.PathInfo    // all store paths of the image, in any order
	Root        string            // the store path in Closure that becomes "/"
	Owners      map[string]Owner  // mode and owner of entries of that tree, by absolute path in the image
	Config      v1.Config         // entrypoint, environment, labels, …
	Created     time.Time         // truncated to seconds, in UTC
	Annotations map[string]string // of the manifest
	Codec       Codec
}

// Options configure the work. They do not change the bytes of the result.
type Options struct {
	Cache     *Cache                             // required
	Elsewhere func(v1.Hash) bool                 // reports whether a registry has a blob: it is used and not written; nil: none has
	Jobs      int                                // how many layers are written at once; 0: one per CPU
	StoreRoot string                             // prefix of the paths on this machine; "" if they are as in Closure
	Progress  func(done, total int, layer Layer) // called after each layer, by one goroutine at a time
}

// Layer is one finished layer of an image.
type Layer struct {
	v1.Descriptor         // of the blob, annotated with the layer key
	DiffID        v1.Hash // of the tar inside
	Key           string  // the layer key, 64 hex digits; "" if a layer of the base has none
	Name          string  // the main content: a store path, or a description
	Fresh         bool    // written by this call, not found in the cache
}

// Result is one image for one platform, storedLayer in the layout.
type Result struct {
	Descriptor v1.Descriptor // of the manifest, with its platform
	Layers     []Layer       // the lowest first, with those of the base
	Written    int64         // bytes of fresh layers
	Warnings   []error       // about the cache; the image is complete
}

// layerSource is a layer to be written.
type layerSource struct {
	key     string
	name    string
	summary string  // for the history
	diffID  v1.Hash // zero if unknown
	fill    func(context.Context, io.Writer) error
}

// Assemble writes an image of store paths: the planned layers, then the root file
// system. It does not write a layer whose key is in the cache, nor open its files. After
// an error, and when ctx ends, complete layers stay for the next run, and no unfinished
// files.
func Assemble(ctx context.Context, l *layout.Layout, spec Spec, opts Options) (Result, error) {
	sources, err := spec.sources(opts.StoreRoot)
	if err != nil {
		return Result{}, fmt.Errorf("assembling an image: %w", err)
	}
	layers, warnings, err := writeLayers(ctx, l, sources, spec.Codec, opts)
	if err != nil {
		return Result{}, err
	}
	config := v1.ConfigFile{
		Architecture: spec.Platform.Architecture,
		OS:           spec.Platform.OS,
		Variant:      spec.Platform.Variant,
		Config:       spec.Config,
	}
	for _, s := range sources {
		config.History = append(config.History, v1.History{CreatedBy: "libre: " + s.summary})
	}
	result, err := writeImage(ctx, l, config, spec.Created, spec.Annotations, layers)
	result.Warnings = warnings
	return result, err
}

// sources lists the layers of the image, the root file system last.
func (spec *Spec) sources(storeRoot string) ([]layerSource, error) {
	if err := checkClosure(spec.Closure); err != nil {
		return nil, err
	}
	if err := checkOwners(spec.Owners); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(spec.Closure, func(p nix.PathInfo) bool { return p.Path == spec.Root })
	if at < 0 {
		return nil, fmt.Errorf("the closure lacks its root %s", spec.Root)
	}
	var sources []layerSource
	for _, paths := range Plan(spec.Closure, spec.Root, MaxLayers-2) { // leaves room for the root file system and debug tools
		sources = append(sources, storeLayer(paths, spec.Codec, storeRoot))
	}
	return append(sources, rootLayer(spec.Closure[at], spec.Owners, spec.Codec, storeRoot)), nil
}

func storeLayer(paths []nix.PathInfo, codec Codec, storeRoot string) layerSource {
	key := newKey("store paths", codec)
	key.addPaths(paths)
	main := mainPath(paths)
	summary := main
	if len(paths) > 1 {
		summary = fmt.Sprintf("%s and %d more", main, len(paths)-1)
	}
	return layerSource{key: key.sum(), name: main, summary: summary, fill: func(ctx context.Context, w io.Writer) error {
		return writeTar(ctx, w, func(t *tree) error { return t.storePaths(paths, storeRoot) })
	}}
}

func rootLayer(root nix.PathInfo, owners map[string]Owner, codec Codec, storeRoot string) layerSource {
	key := newKey("root file system", codec)
	key.addPaths([]nix.PathInfo{root})
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		key.add(name, owners[name].Mode, owners[name].UID, owners[name].GID)
	}
	return layerSource{key: key.sum(), name: root.Path, summary: "root file system " + root.Path, fill: func(ctx context.Context, w io.Writer) error {
		return writeTar(ctx, w, func(t *tree) error { return t.rootFS(storeRoot+root.Path, owners) })
	}}
}

func writeTar(ctx context.Context, w io.Writer, fill func(*tree) error) error {
	t := newTree(ctx, w)
	if err := fill(t); err != nil {
		return err
	}
	return t.tw.Close()
}

// mainPath returns the largest path; of several, the first by name.
func mainPath(paths []nix.PathInfo) string {
	return slices.MinFunc(paths, func(a, b nix.PathInfo) int {
		if a.NarSize != b.NarSize {
			if a.NarSize > b.NarSize {
				return -1
			}
			return 1
		}
		return comparePaths(a, b)
	}).Path
}

// writeLayers writes all layers, some at once, and returns them in the order of sources.
func writeLayers(ctx context.Context, l *layout.Layout, sources []layerSource, codec Codec, opts Options) ([]Layer, []error, error) {
	layers := make([]Layer, len(sources))
	var mu sync.Mutex
	var warnings []error
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	jobs := opts.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	group.SetLimit(jobs)
	for i, s := range sources {
		group.Go(func() error {
			layer, warning, err := writeOnce(ctx, l, s, codec, opts)
			if errors.Is(err, errWhiteout) {
				return err // it names the file; the layer may have the name of another path
			}
			if err != nil {
				return fmt.Errorf("writing the layer of %s: %w", s.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			layers[i] = layer
			if warning != nil {
				warnings = append(warnings, warning)
			}
			done++
			if opts.Progress != nil {
				opts.Progress(done, len(sources), layer)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return layers, warnings, nil
}

// writeOnce takes a layer from the cache, or writes it.
func writeOnce(ctx context.Context, l *layout.Layout, s layerSource, codec Codec, opts Options) (Layer, error, error) {
	if err := ctx.Err(); err != nil {
		return Layer{}, nil, err
	}
	defer opts.Cache.lock(s.key)()
	found, ok, warning := opts.Cache.get(l, s.key, opts.Elsewhere)
	if !ok {
		var err error
		found, err = writeLayer(ctx, l, codec, s.diffID, func(w io.Writer) error { return s.fill(ctx, w) })
		if err != nil {
			return Layer{}, nil, err
		}
		if w := opts.Cache.put(s.key, found); w != nil {
			warning = w
		}
	}
	layer := Layer{
		Descriptor: v1.Descriptor{
			MediaType:   codec.mediaType(),
			Size:        found.Size,
			Digest:      found.Digest,
			Annotations: map[string]string{LayerKeyAnnotation: s.key, DiffIDAnnotation: found.DiffID.String()},
		},
		DiffID: found.DiffID,
		Key:    s.key,
		Name:   s.name,
		Fresh:  !ok,
	}
	return layer, warning, nil
}

// writeLayer compresses what fill writes and stores it as a blob. Digest, diffID and size
// come from the same pass. If want is not zero, another diffID is an error. After an
// error nothing is left.
func writeLayer(ctx context.Context, l *layout.Layout, codec Codec, want v1.Hash, fill func(io.Writer) error) (storedLayer, error) {
	diff := sha256.New()
	digest, size, err := l.WriteBlob(ctx, func(w io.Writer) error {
		z, err := codec.writer(w)
		if err != nil {
			return err
		}
		if err := fill(io.MultiWriter(diff, z)); err != nil {
			z.Close()
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if got := hashOf(diff); want != (v1.Hash{}) && got != want {
			return fmt.Errorf("its content has the digest %s, the config names %s", got, want)
		}
		return nil
	})
	return storedLayer{Digest: digest, DiffID: hashOf(diff), Size: size}, err
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// writeImage stores the config and the manifest of an image of the given layers.
func writeImage(ctx context.Context, l *layout.Layout, config v1.ConfigFile, created time.Time, annotations map[string]string, layers []Layer) (Result, error) {
	config.Created = v1.Time{Time: created.UTC().Truncate(time.Second)}
	for i := range config.History {
		config.History[i].Created = config.Created
	}
	config.RootFS = v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: annotations, Layers: []v1.Descriptor{}}
	result := Result{Layers: layers}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		manifest.Layers = append(manifest.Layers, layer.Descriptor)
		if layer.Fresh {
			result.Written += layer.Size
		}
	}
	var err error
	if manifest.Config, err = l.WriteJSON(ctx, types.OCIConfigJSON, config); err != nil {
		return Result{}, fmt.Errorf("writing an image's config: %w", err)
	}
	if result.Descriptor, err = l.WriteJSON(ctx, types.OCIManifestSchema1, manifest); err != nil {
		return Result{}, fmt.Errorf("writing an image's manifest: %w", err)
	}
	result.Descriptor.Platform = config.Platform()
	return result, nil
}
