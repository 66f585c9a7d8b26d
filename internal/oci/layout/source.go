package layout

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Source is an image and a place to read it from: a registry or a layout.
type Source struct {
	Descriptor v1.Descriptor // of an index, or of one platform's manifest

	// Open opens an index, a manifest, a config or a layer as it is stored.
	Open func(context.Context, v1.Descriptor) (io.ReadCloser, error)
}

// Source returns an image of the layout.
func (l *Layout) Source(d v1.Descriptor) Source {
	return Source{d, func(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		f, _, err := l.OpenBlob(d.Digest)
		return f, err
	}}
}

// MaxDocument is the largest index, manifest or config, in bytes, that is read.
// Registries accept manifests of up to 4 MiB.
const MaxDocument = 16 << 20

// Read reads the index, the manifest or the config that the descriptor describes, of at
// most MaxDocument bytes, and checks its digest.
func (s Source) Read(ctx context.Context) ([]byte, error) {
	digest := s.Descriptor.Digest
	r, err := s.Open(ctx, s.Descriptor)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := readAtMost(r, MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", digest, err)
	}
	hasher, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", digest, err)
	}
	hasher.Write(content)
	if got := hex.EncodeToString(hasher.Sum(nil)); got != digest.Hex {
		return nil, fmt.Errorf("%s: its content has the digest %s:%s", digest, digest.Algorithm, got)
	}
	return content, nil
}

// Fetch copies the image of one platform: manifest, config and layers. It reads only
// blobs that the layout lacks. The image gets no name.
func (l *Layout) Fetch(ctx context.Context, from Source) error {
	if l.Content(from.Descriptor).Complete {
		return nil
	}
	if err := l.fetch(ctx, from, from.Descriptor); err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := l.ReadJSON(from.Descriptor, &manifest); err != nil {
		return err
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if err := l.fetch(ctx, from, blob); err != nil {
			return err
		}
	}
	return nil
}

func (l *Layout) fetch(ctx context.Context, from Source, d v1.Descriptor) error {
	if l.HasBlob(d.Digest, d.Size) {
		return nil
	}
	content, err := from.Open(ctx, d)
	if err != nil {
		return err
	}
	defer content.Close()
	return l.AddBlob(ctx, d.Digest, content)
}
