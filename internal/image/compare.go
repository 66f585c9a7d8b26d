package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// Difference is the first difference between a published image and a rebuilt one. Its
// texts are short and printable, whatever the content of the images.
type Difference struct {
	Platform string // linux/arm64; "" if both images are for one platform only
	Where    string // layer 3 of 5 (/nix/store/…-hello), image config, manifest, image index
	Path     string // a file of the layer, a value such as config.Env[3]; "" for the whole
	How      string // content differs at byte 4096; only in the published image; …
}

// String returns one line: layer 3 of 5 (…): /bin/hello: content differs at byte 4096.
func (d Difference) String() string {
	parts := []string{d.Platform, d.Where, d.Path, d.How}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
}

const (
	onlyPublished = "only in the published image"
	onlyRebuilt   = "only in the rebuilt image"
)

// Compare finds the first difference between two images, nil if they have the same
// digest. It compares platforms, then layers in order, down to the tar entry; if all
// layers have the same content, then the config, the manifest and the index, down to
// the value. It trusts nothing but digests: it streams both layers side by side, only as
// far as needed, and checks the digests of documents.
func Compare(ctx context.Context, published, rebuilt layout.Source) (*Difference, error) {
	if published.Descriptor.Digest == rebuilt.Descriptor.Digest {
		return nil, nil
	}
	a, b := published.Descriptor.MediaType, rebuilt.Descriptor.MediaType
	if a != b {
		return &Difference{Where: "image", Path: "mediaType", How: bothStrings(string(a), string(b))}, nil
	}
	if a.IsIndex() {
		return compareIndexes(ctx, published, rebuilt)
	}
	return compareManifests(ctx, published, rebuilt)
}

func compareIndexes(ctx context.Context, published, rebuilt layout.Source) (*Difference, error) {
	var a, b v1.IndexManifest
	rawA, rawB, err := documents(ctx, published, rebuilt, &a, &b)
	if err != nil {
		return nil, err
	}
	several := len(a.Manifests) > 1 || len(b.Manifests) > 1
	for _, childA := range a.Manifests {
		platform := platformName(childA)
		at := slices.IndexFunc(b.Manifests, func(d v1.Descriptor) bool { return platformName(d) == platform })
		if at < 0 {
			return &Difference{Platform: platform, How: onlyPublished}, nil
		}
		childB := b.Manifests[at]
		if childA.Digest == childB.Digest || !childA.MediaType.IsImage() || !childB.MediaType.IsImage() {
			continue // an index in an index is compared as JSON
		}
		d, err := compareManifests(ctx, layout.Source{Descriptor: childA, Open: published.Open}, layout.Source{Descriptor: childB, Open: rebuilt.Open})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", platform, err)
		}
		if several {
			d.Platform = platform
		}
		return d, nil
	}
	for _, childB := range b.Manifests {
		platform := platformName(childB)
		if !slices.ContainsFunc(a.Manifests, func(d v1.Descriptor) bool { return platformName(d) == platform }) {
			return &Difference{Platform: platform, How: onlyRebuilt}, nil
		}
	}
	return compareJSON("image index", rawA, rawB)
}

func platformName(d v1.Descriptor) string {
	if d.Platform == nil {
		return "no platform"
	}
	return printable(d.Platform.String())
}

// compareManifests compares two manifests with different digests, so it returns a difference or
// an error.
func compareManifests(ctx context.Context, published, rebuilt layout.Source) (*Difference, error) {
	var a, b v1.Manifest
	rawA, rawB, err := documents(ctx, published, rebuilt, &a, &b)
	if err != nil {
		return nil, err
	}
	var configA, configB v1.ConfigFile
	rawConfigA, rawConfigB, err := documents(ctx, layout.Source{Descriptor: a.Config, Open: published.Open}, layout.Source{Descriptor: b.Config, Open: rebuilt.Open}, &configA, &configB)
	if err != nil {
		return nil, err
	}
	content, packing, err := compareLayers(ctx,
		stack{"published", published.Open, a.Layers, layerTitles(configA)},
		stack{"rebuilt", rebuilt.Open, b.Layers, layerTitles(configB)})
	switch {
	case err != nil || content != nil:
		return content, err
	case a.Config.Digest != b.Config.Digest:
		return compareJSON("image config", rawConfigA, rawConfigB)
	case packing != nil:
		return packing, nil
	}
	return compareJSON("manifest", rawA, rawB)
}

// documents reads the same kind of document of both images.
func documents(ctx context.Context, published, rebuilt layout.Source, a, b any) (rawA, rawB []byte, err error) {
	if rawA, err = document(ctx, published, a); err != nil {
		return nil, nil, fmt.Errorf("reading the published image: %w", err)
	}
	if rawB, err = document(ctx, rebuilt, b); err != nil {
		return nil, nil, fmt.Errorf("reading the rebuilt image: %w", err)
	}
	return rawA, rawB, nil
}

func document(ctx context.Context, s layout.Source, into any) ([]byte, error) {
	raw, err := s.Read(ctx)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Descriptor.Digest, err)
	}
	return raw, nil
}

// stack holds the layers of one of the two images.
type stack struct {
	name   string // published, rebuilt
	open   func(context.Context, v1.Descriptor) (io.ReadCloser, error)
	layers []v1.Descriptor
	titles []string // by layer; there may be fewer
}

// layerTitles returns the history entry of each layer, which in libre's images is its main
// store path.
func layerTitles(config v1.ConfigFile) []string {
	var titles []string
	for _, h := range config.History {
		if !h.EmptyLayer {
			titles = append(titles, strings.TrimPrefix(h.CreatedBy, "libre: "))
		}
	}
	return titles
}

// at describes a layer: layer 3 of 5 (/nix/store/…-hello).
func (s stack) at(i int) string {
	name := fmt.Sprintf("layer %d of %d", i+1, len(s.layers))
	if i < len(s.titles) && s.titles[i] != "" {
		name += " (" + printable(s.titles[i]) + ")"
	}
	return name
}

// later reports whether a layer comes after i.
func (s stack) later(i int, d v1.Descriptor) bool {
	return slices.ContainsFunc(s.layers[min(i+1, len(s.layers)):], func(o v1.Descriptor) bool { return o.Digest == d.Digest })
}

// compareLayers finds the first layer with different content, missing or added. packing
// is the first layer with the same content in another form, such as another compression.
func compareLayers(ctx context.Context, a, b stack) (content, packing *Difference, err error) {
	for i := range max(len(a.layers), len(b.layers)) {
		if i >= len(b.layers) {
			return &Difference{Where: a.at(i), How: onlyPublished}, nil, nil
		}
		if i >= len(a.layers) {
			return &Difference{Where: b.at(i), How: onlyRebuilt}, nil, nil
		}
		if a.layers[i].Digest == b.layers[i].Digest {
			continue
		}
		moved, pushed := b.later(i, a.layers[i]), a.later(i, b.layers[i])
		switch {
		case moved && pushed:
			return &Difference{Where: a.at(i), How: "at another place in the rebuilt image"}, nil, nil
		case moved:
			return &Difference{Where: b.at(i), How: onlyRebuilt}, nil, nil
		case pushed:
			return &Difference{Where: a.at(i), How: onlyPublished}, nil, nil
		}
		d, form, err := compareLayer(ctx, a, b, i)
		if err != nil {
			return nil, nil, fmt.Errorf("comparing %s: %w", a.at(i), err)
		}
		if d != nil {
			return &Difference{Where: a.at(i), Path: d.path, How: d.how}, nil, nil
		}
		if packing == nil {
			packing = &Difference{Where: a.at(i), How: form}
		}
	}
	return nil, packing, nil
}

// compareLayer streams the layers at i side by side. If all entries are the same, form
// describes what differs.
func compareLayer(ctx context.Context, a, b stack, i int) (d *entryDifference, form string, err error) {
	tarA, err := a.unpack(ctx, i)
	if err != nil {
		return nil, "", err
	}
	defer tarA.Close()
	tarB, err := b.unpack(ctx, i)
	if err != nil {
		return nil, "", err
	}
	defer tarB.Close()
	if d, err = compareTars(tarA, tarB); d != nil || err != nil {
		return d, "", err
	}
	for _, t := range []*layerTar{tarA, tarB} { // what follows the last entry
		if _, err := io.Copy(io.Discard, t); err != nil {
			return nil, "", err
		}
	}
	if bytes.Equal(tarA.sum.Sum(nil), tarB.sum.Sum(nil)) {
		return nil, "the same content, compressed differently", nil
	}
	return nil, "the same entries, written as tar differently", nil
}

// maxLayer is how many bytes of a layer's tar are read: a layer may be made to unpack
// without end.
const maxLayer = 64 << 30

// layerTar reads the tar of a layer and hashes it.
type layerTar struct {
	io.Closer
	ctx  context.Context
	side string
	r    io.Reader
	sum  hash.Hash
	left int64
}

func (s stack) unpack(ctx context.Context, i int) (*layerTar, error) {
	blob, err := s.open(ctx, s.layers[i])
	if err != nil {
		return nil, fmt.Errorf("opening the %s image: %w", s.name, err)
	}
	r, err := decompress(blob)
	if err != nil {
		blob.Close()
		return nil, fmt.Errorf("opening the %s image: %w", s.name, err)
	}
	return &layerTar{closers{r, blob}, ctx, s.name, r, sha256.New(), maxLayer}, nil
}

func (t *layerTar) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	if t.left <= 0 {
		return 0, fmt.Errorf("the %s image unpacks to more than %d GiB", t.side, maxLayer>>30)
	}
	n, err := t.r.Read(p[:min(int64(len(p)), t.left)])
	t.sum.Write(p[:n])
	t.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading the %s image: %w", t.side, err)
	}
	return n, err
}

type closers []io.Closer

func (all closers) Close() error {
	for _, c := range all {
		c.Close() // opened for reading
	}
	return nil
}
