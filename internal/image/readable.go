package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Readable makes, in the empty folder dir on the layout's disk, the blobs of one platform's image for
// those who read its files and do not care how a layer is compressed: links to
// the blobs of the layout and, for each layer that only a registry has, the
// plain tar in the place of the compressed one. assembled and tools say what these
// layers hold; each may be nil where the image has no such layers.
func Readable(ctx context.Context, l *Layout, dir string, d v1.Descriptor, assembled *Spec, tools *ToolsSpec, opts Options) error {
	var manifest v1.Manifest
	if err := l.readJSON(d, &manifest); err != nil {
		return fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		return err
	}
	var missing []v1.Descriptor
	for _, blob := range append([]v1.Descriptor{d, manifest.Config}, manifest.Layers...) {
		if !l.hasBlob(blob.Digest, blob.Size) {
			missing = append(missing, blob)
			continue
		}
		if err := os.Link(l.blobPath(blob.Digest), filepath.Join(blobs, blob.Digest.Hex)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	byKey := map[string]layerSource{}
	if assembled != nil {
		sources, err := assembled.sources(opts.StoreRoot)
		if err != nil {
			return err
		}
		for _, source := range sources {
			byKey[source.key] = source
		}
	}
	if tools != nil {
		source, err := tools.source(ctx, l, manifest.Layers, opts.StoreRoot)
		if err != nil {
			return err
		}
		byKey[source.key] = source
	}
	for _, layer := range missing {
		source, ok := byKey[layer.Annotations[LayerKeyAnnotation]]
		if !ok {
			return fmt.Errorf("reading %s: the layout lacks its blob %s", d.Digest, layer.Digest)
		}
		if err := writePlain(ctx, filepath.Join(blobs, layer.Digest.Hex), source); err != nil {
			return fmt.Errorf("writing the layer of %s: %w", source.name, err)
		}
	}
	return nil
}

func writePlain(ctx context.Context, name string, source layerSource) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil // the same layer twice
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := source.fill(ctx, f); err != nil {
		return err
	}
	return f.Close()
}
