package image

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// ImportSpec describes the image to make from the one that an engine built.
type ImportSpec struct {
	Platform    v1.Platform       // the image for this platform is imported
	Configure   func(*v1.Config)  // edits the engine's configuration, if not nil
	Labels      map[string]string // of the config; replace all labels of libre
	Upstream    []string          // names of labels that the Containerfile sets; other OCI labels come from the base and are dropped
	Annotations map[string]string // of the manifest; replace the engine's
	Created     time.Time
	HasBase     bool // the lowest layer comes from a base image: its whiteouts are not checked
	Codec       Codec
}

// Import reads an image from the OCI layout that an engine wrote in dir and stores it in
// l in libre's form: layers compressed with libre's codec, unless the cache has the same
// content, OCI media types, and nothing that depends on the name, the version or the
// clock of the engine. The result depends only on the content of the layers, the engine's
// config and spec.
func Import(ctx context.Context, dir string, l *layout.Layout, spec ImportSpec, opts Options) (Result, error) {
	from, err := layout.Open(dir)
	if err != nil {
		return Result{}, err
	}
	manifest, config, err := findImage(from, spec.Platform)
	if err != nil {
		return Result{}, fmt.Errorf("importing from %s: %w", dir, err)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return Result{}, fmt.Errorf("importing from %s: config and manifest differ in the number of layers", dir)
	}
	var sources []layerSource
	for i, d := range manifest.Layers {
		if !d.MediaType.IsDistributable() {
			return Result{}, fmt.Errorf("importing from %s: layer %s may not be distributed", dir, d.Digest)
		}
		diffID := config.RootFS.DiffIDs[i]
		key := newKey("imported", spec.Codec)
		key.add(diffID)
		sources = append(sources, layerSource{
			key:    key.sum(),
			name:   fmt.Sprintf("layer %d of %d", i+1, len(manifest.Layers)),
			diffID: diffID,
			fill: func(ctx context.Context, w io.Writer) error {
				var deleted []string
				err := readLayer(from, d, func(r io.Reader) (err error) { deleted, err = copyLayer(w, r); return err })
				if err != nil || i == 0 && spec.HasBase {
					return err
				}
				return checkDeleted(ctx, from, manifest.Layers[:i], deleted)
			},
		})
	}
	layers, warnings, err := writeLayers(ctx, l, sources, spec.Codec, opts)
	if err != nil {
		return Result{}, fmt.Errorf("importing from %s: %w", dir, err)
	}
	config = normalise(config, func(label string) bool { return slices.Contains(spec.Upstream, label) }, spec.Labels)
	if spec.Configure != nil {
		spec.Configure(&config.Config)
	}
	result, err := writeImage(ctx, l, config, spec.Created, spec.Annotations, layers)
	result.Warnings = warnings
	return result, err
}

// readLayer calls read with the tar of a layer.
func readLayer(l *layout.Layout, d v1.Descriptor, read func(io.Reader) error) error {
	f, _, err := l.OpenBlob(d.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := decompress(f)
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// findImage reads the manifest and the config of the image for a platform.
func findImage(l *layout.Layout, want v1.Platform) (manifest v1.Manifest, config v1.ConfigFile, err error) {
	entries, err := l.Entries()
	if err != nil {
		return manifest, config, err
	}
	d, err := l.ForPlatform(entries, want)
	if err != nil {
		return manifest, config, err
	}
	if err := l.ReadJSON(d, &manifest); err != nil {
		return manifest, config, err
	}
	if err := l.ReadJSON(manifest.Config, &config); err != nil {
		return manifest, config, err
	}
	if platform := config.Platform(); platform == nil || !platform.Satisfies(want) {
		return manifest, config, fmt.Errorf("the config of its image for %s names another platform", want)
	}
	return manifest, config, nil
}

// normalise keeps the fields of an engine's config that a runtime reads, and the commands
// of the history. It drops fields of older formats of Docker: the host name and id of the
// build container, the version of the engine, attached terminals.
func normalise(c v1.ConfigFile, upstream func(label string) bool, labels map[string]string) v1.ConfigFile {
	out := v1.ConfigFile{
		Author:       c.Author, // of MAINTAINER
		Architecture: c.Architecture,
		OS:           c.OS,
		Variant:      c.Variant,
		OSVersion:    c.OSVersion,
		OSFeatures:   c.OSFeatures,
		Config: v1.Config{
			Cmd:          c.Config.Cmd,
			Healthcheck:  c.Config.Healthcheck,
			Entrypoint:   c.Config.Entrypoint,
			Env:          c.Config.Env,
			Labels:       relabel(c.Config.Labels, upstream, labels),
			OnBuild:      c.Config.OnBuild,
			User:         c.Config.User,
			Volumes:      c.Config.Volumes,
			WorkingDir:   c.Config.WorkingDir,
			ExposedPorts: c.Config.ExposedPorts,
			StopSignal:   c.Config.StopSignal,
			Shell:        c.Config.Shell,
		},
	}
	for _, h := range c.History {
		out.History = append(out.History, v1.History{CreatedBy: h.CreatedBy, EmptyLayer: h.EmptyLayer})
	}
	return out
}
