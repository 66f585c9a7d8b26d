package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/atomicfile"
)

// Entry is an image with a name.
type Entry struct {
	v1.Descriptor // of the image's index, with the annotations of index.json
	Content
}

// Content is the part of an image that a layout has.
type Content struct {
	Complete bool      // all blobs exist and have the right size; digests are not computed
	Missing  []v1.Hash // blobs, without those that only a missing manifest names
	Size     int64     // bytes of all blobs, each counted once
	Layers   int       // of the manifest with most layers
}

// Lookup finds an image by its name and checks that all its blobs exist. The second
// result is false if no entry has the name.
func (l *Layout) Lookup(refName string) (Entry, bool, error) {
	d, ok, err := l.Find(refName)
	if err != nil || !ok {
		return Entry{}, false, err
	}
	return Entry{d, l.Content(d)}, true, nil
}

// Content reads the manifests of an image's index and checks the sizes of all other
// blobs.
func (l *Layout) Content(d v1.Descriptor) Content {
	var c Content
	seen := map[v1.Hash]bool{}
	layers := 0
	folders := blobFolders{dir: l.dir}
	defer folders.close()
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
			if !folders.has(b.Digest, b.Size) {
				c.Missing = append(c.Missing, b.Digest)
			}
		}
	})
	c.Complete = len(c.Missing) == 0 && err == nil
	return c
}

// visit calls f for d and for each blob that it refers to, directly or not. If it cannot
// read a manifest, it continues with the others and returns the first error.
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

// Prune deletes the blobs that no entry of index.json refers to, directly or not, and
// the unfinished files of a killed run. It returns how many bytes it deleted. If it
// cannot read a manifest, it deletes nothing. No image may be written meanwhile.
func (l *Layout) Prune() (freed int64, err error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	unused, err := l.unused(func(v1.Descriptor) bool { return false })
	for _, file := range unused {
		if err := os.Remove(filepath.Join(l.dir, file.name)); err != nil {
			return freed, fmt.Errorf("pruning %s: %w", l.dir, err)
		}
		freed += file.size
	}
	return freed, err
}

// Garbage returns how many bytes Prune would delete if index.json had no entries that drop
// chooses. It takes no lock, so the number may be outdated at once.
func (l *Layout) Garbage(drop func(v1.Descriptor) bool) (bytes int64, err error) {
	unused, err := l.unused(drop)
	for _, file := range unused {
		bytes += file.size
	}
	return bytes, err
}

// file is a file of the layout, with its size in bytes.
type file struct {
	name string // below the layout
	size int64
}

// unused lists unfinished files, and the blobs that no entry refers to, except entries that
// drop chooses.
func (l *Layout) unused(drop func(v1.Descriptor) bool) (unused []file, err error) {
	entries, err := l.Entries()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, d := range slices.DeleteFunc(entries, drop) {
		err := l.visit(d, func(b v1.Descriptor) { used[b.Digest.Hex] = true })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("pruning %s: %w", l.dir, err)
		}
	}
	for _, below := range []string{"", filepath.Join(blobsDir, "sha256")} {
		entries, err := os.ReadDir(filepath.Join(l.dir, below))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			blob := below != "" && !used[e.Name()]
			if !e.Type().IsRegular() || !(blob || strings.HasPrefix(e.Name(), atomicfile.Prefix)) {
				continue
			}
			if info, err := e.Info(); err == nil {
				unused = append(unused, file{filepath.Join(below, e.Name()), info.Size()})
			}
		}
	}
	return unused, nil
}
