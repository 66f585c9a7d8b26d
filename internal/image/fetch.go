package image

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Fetch writes the image of one platform as a source has it: config, layers, manifest.
// Blobs that the layout has are not read again. No name is given to it.
func (l *Layout) Fetch(ctx context.Context, from Source) error {
	if l.Content(from.Descriptor).Complete {
		return nil
	}
	if err := l.fetch(ctx, from, from.Descriptor); err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := l.readJSON(from.Descriptor, &manifest); err != nil {
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
	if l.hasBlob(d.Digest, d.Size) {
		return nil
	}
	content, err := from.Open(ctx, d)
	if err != nil {
		return err
	}
	defer content.Close()
	digest, _, err := l.writeBlob(ctx, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
	if err == nil && digest != d.Digest {
		err = fmt.Errorf("reading %s: it has the digest %s", d.Digest, digest)
	}
	return err
}
