package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/atomicfile"
)

// Entry is one named image of a layout.
type Entry struct {
	v1.Descriptor // of the image's index, with the annotations of index.json
	Content
}

// Content is what a layout holds of an image.
type Content struct {
	Complete bool      // all blobs are there and have their sizes; digests are not computed
	Missing  []v1.Hash // the blobs that are not; what a manifest that is missing leads to is unknown
	Size     int64     // bytes of all blobs, each counted once
	Layers   int       // of the manifest that has most
}

// Lookup finds an image by its name and looks whether all of it is there. The
// second result is false where no entry has the name.
func (l *Layout) Lookup(refName string) (Entry, bool, error) {
	d, ok, err := l.Find(refName)
	if err != nil || !ok {
		return Entry{}, false, err
	}
	return Entry{d, l.Content(d)}, true, nil
}

// Config reads the configuration of an image by its manifest.
func (l *Layout) Config(d v1.Descriptor) (v1.ConfigFile, error) {
	var manifest v1.Manifest
	var config v1.ConfigFile
	err := l.ReadJSON(d, &manifest)
	if err == nil {
		err = l.ReadJSON(manifest.Config, &config)
	}
	return config, err
}

// Content reads the manifests below an image's index and asks for the size of
// everything else.
func (l *Layout) Content(d v1.Descriptor) Content {
	var c Content
	seen := map[v1.Hash]bool{}
	layers := 0
	err := l.visit(d, func(b v1.Descriptor) {
		switch {
		case b.MediaType.IsImage():
			layers = 0
		case b.MediaType.IsLayer():
			layers++
			c.Layers = max(c.Layers, layers)
		}
		if !seen[b.Digest] {
			seen[b.Digest] = true
			c.Size += b.Size
			if !l.HasBlob(b.Digest, b.Size) {
				c.Missing = append(c.Missing, b.Digest)
			}
		}
	})
	c.Complete = len(c.Missing) == 0 && err == nil
	return c
}

// visit calls f for d and for each blob below it. Where a manifest cannot be
// read it goes on with the others and returns the first error.
func (l *Layout) visit(d v1.Descriptor, f func(v1.Descriptor)) error {
	f(d)
	var children []v1.Descriptor
	switch d.MediaType {
	case types.OCIImageIndex, types.DockerManifestList:
		var index v1.IndexManifest
		if err := l.ReadJSON(d, &index); err != nil {
			return err
		}
		children = index.Manifests
	case types.OCIManifestSchema1, types.DockerManifestSchema2:
		var manifest v1.Manifest
		if err := l.ReadJSON(d, &manifest); err != nil {
			return err
		}
		children = append([]v1.Descriptor{manifest.Config}, manifest.Layers...)
	}
	var first error
	for _, c := range children {
		if err := l.visit(c, f); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Prune deletes the blobs that no entry of index.json leads to, and what a
// killed run left half written. It reports how many bytes became free. Where a
// manifest cannot be read nothing is deleted, as what it needs is not known.
// No image may be assembled at the same time.
func (l *Layout) Prune() (freed int64, err error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	entries, err := l.Entries()
	if err != nil {
		return 0, err
	}
	used := map[string]bool{}
	for _, d := range entries {
		err := l.visit(d, func(b v1.Descriptor) { used[b.Digest.Hex] = true })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("pruning %s: %w", l.dir, err)
		}
	}
	for _, dir := range []string{l.dir, filepath.Join(l.dir, blobsDir, "sha256")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return freed, err
		}
		for _, e := range entries {
			blob := dir != l.dir && !used[e.Name()]
			if !e.Type().IsRegular() || !(blob || strings.HasPrefix(e.Name(), atomicfile.Prefix)) {
				continue
			}
			if info, err := e.Info(); err == nil {
				freed += info.Size()
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return freed, fmt.Errorf("pruning %s: %w", l.dir, err)
			}
		}
	}
	return freed, nil
}

// Images lists the image manifests below the given descriptors. What buildkit
// adds as an "image" of attestations is none.
func (l *Layout) Images(descriptors []v1.Descriptor) ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for _, d := range descriptors {
		switch {
		case d.Annotations["vnd.docker.reference.type"] != "":
		case d.MediaType.IsIndex():
			var index v1.IndexManifest
			if err := l.ReadJSON(d, &index); err != nil {
				return nil, err
			}
			below, err := l.Images(index.Manifests)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
		case d.MediaType.IsImage():
			out = append(out, d)
		}
	}
	return out, nil
}

// Describe gives the descriptor of a manifest or an index that the layout has, named
// in index.json or not. A document without a media type, which OCI allows, is told by
// what it lists.
func (l *Layout) Describe(digest v1.Hash) (v1.Descriptor, error) {
	content, err := l.ReadBlob(digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var read struct {
		MediaType types.MediaType   `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(content, &read); err != nil {
		return v1.Descriptor{}, fmt.Errorf("%s is no manifest: %w", digest, err)
	}
	d := v1.Descriptor{MediaType: read.MediaType, Digest: digest, Size: int64(len(content))}
	switch {
	case d.MediaType != "":
	case read.Manifests != nil:
		d.MediaType = types.OCIImageIndex
	default:
		d.MediaType = types.OCIManifestSchema1
	}
	return d, nil
}

// ErrNoPlatform is what ForPlatform finds nothing with.
var ErrNoPlatform = errors.New("it holds no image")

// ForPlatform finds the image of a platform below the given descriptors. An engine
// that writes a single image may leave out the platform in its descriptor: then the
// config has it. What there is for other platforms is in the error, an ErrNoPlatform.
func (l *Layout) ForPlatform(below []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	images, err := l.Images(below)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var others []string
	for _, d := range images {
		platform, err := l.platform(d)
		if err != nil {
			return v1.Descriptor{}, err
		}
		if platform.Satisfies(want) {
			return d, nil
		}
		others = append(others, platform.String())
	}
	if len(others) == 0 {
		return v1.Descriptor{}, ErrNoPlatform
	}
	return v1.Descriptor{}, fmt.Errorf("%w for %s, only for %s", ErrNoPlatform, want, strings.Join(others, ", "))
}

func (l *Layout) platform(d v1.Descriptor) (v1.Platform, error) {
	if d.Platform != nil {
		return *d.Platform, nil
	}
	config, err := l.Config(d)
	if platform := config.Platform(); platform != nil {
		return *platform, err
	}
	return v1.Platform{}, err
}

// Manifests lists the manifests of an image's index, each with its platform and
// the annotations that stand in the manifest itself.
func (l *Layout) Manifests(d v1.Descriptor) ([]v1.Descriptor, error) {
	var index v1.IndexManifest
	if err := l.ReadJSON(d, &index); err != nil {
		return nil, err
	}
	for i, child := range index.Manifests {
		var manifest v1.Manifest
		if err := l.ReadJSON(child, &manifest); err != nil {
			return nil, err
		}
		index.Manifests[i].Annotations = manifest.Annotations
	}
	return index.Manifests, nil
}

// Layers lists the digests of a manifest's layers, the lowest first.
func (l *Layout) Layers(d v1.Descriptor) ([]v1.Hash, error) {
	var manifest v1.Manifest
	if err := l.ReadJSON(d, &manifest); err != nil {
		return nil, err
	}
	var layers []v1.Hash
	for _, layer := range manifest.Layers {
		layers = append(layers, layer.Digest)
	}
	return layers, nil
}
