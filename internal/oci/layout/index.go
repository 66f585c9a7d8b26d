package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/atomicfile"
)

// maxIndex is the largest index.json, in bytes, that is read: a million entries fit.
const maxIndex = 512 << 20

// knownIndex is index.json as it was read or written last.
type knownIndex struct {
	file     fs.FileInfo
	manifest v1.IndexManifest
}

// SameIndex reports whether the file index.json is still the same, by what StatIndex returned
// before and returns now.
func SameIndex(before, now fs.FileInfo) bool {
	return os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) && before.Size() == now.Size()
}

// Entries lists the entries of index.json, which it reads only if it changed. The list is the
// caller's, the annotations are not.
func (l *Layout) Entries() ([]v1.Descriptor, error) {
	index, err := l.index()
	if err != nil {
		return nil, err
	}
	return index.Manifests, nil
}

func (l *Layout) index() (*v1.IndexManifest, error) {
	file, err := l.StatIndex()
	known := l.known.Load()
	if err == nil && (known == nil || !SameIndex(known.file, file)) {
		known = &knownIndex{file: file}
		var content []byte
		if content, err = l.readFile(IndexFile, maxIndex); err == nil {
			err = json.Unmarshal(content, &known.manifest)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(l.dir, IndexFile), err)
	}
	l.known.Store(known)
	index := known.manifest
	index.Manifests = slices.Clone(index.Manifests)
	return &index, nil
}

// StatIndex describes the file index.json, for SameIndex.
func (l *Layout) StatIndex() (fs.FileInfo, error) { return l.stat(IndexFile) }

// Find returns the entry with a name, and whether there is one.
func (l *Layout) Find(refName string) (v1.Descriptor, bool, error) {
	entries, err := l.Entries()
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	if at := slices.IndexFunc(entries, named(refName)); at >= 0 {
		return entries[at], true, nil
	}
	return v1.Descriptor{}, false, nil
}

// Put gives an image a name: its descriptor, with the name and the given annotations,
// replaces the entry that has the name. Other entries stay. Put sorts the entries by
// name, since parallel builds end in any order.
func (l *Layout) Put(refName string, d v1.Descriptor, annotations map[string]string) error {
	err := l.Update(func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		entries = SetRefName(entries, refName, d, annotations)
		slices.SortStableFunc(entries, func(a, b v1.Descriptor) int {
			return cmp.Or(cmp.Compare(a.Annotations[RefNameAnnotation], b.Annotations[RefNameAnnotation]), cmp.Compare(a.Digest.Hex, b.Digest.Hex))
		})
		return entries, nil
	})
	if err != nil {
		return fmt.Errorf("writing %s for %s: %w", IndexFile, refName, err)
	}
	return nil
}

// SetRefName replaces the entry that has a name by d, with the given annotations, or
// appends d. It changes entries and returns them, for Update.
func SetRefName(entries []v1.Descriptor, refName string, d v1.Descriptor, annotations map[string]string) []v1.Descriptor {
	d.Annotations = map[string]string{}
	maps.Copy(d.Annotations, annotations)
	d.Annotations[RefNameAnnotation] = refName
	at := slices.IndexFunc(entries, named(refName))
	if at < 0 {
		return append(entries, d)
	}
	entries[at] = d
	rest := slices.DeleteFunc(entries[at+1:], named(refName))
	return entries[:at+1+len(rest)]
}

func named(refName string) func(v1.Descriptor) bool {
	return func(d v1.Descriptor) bool { return d.Annotations[RefNameAnnotation] == refName }
}

// Update replaces the entries of index.json with the result of edit. Write an entry's blobs
// first, so that no reader finds a manifest without its blobs.
func (l *Layout) Update(edit func([]v1.Descriptor) ([]v1.Descriptor, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkLock(); err != nil {
		return err
	}
	index, err := l.index()
	if err != nil {
		return err
	}
	entries, err := edit(index.Manifests)
	if err != nil {
		return err
	}
	index.Manifests = append([]v1.Descriptor{}, entries...) // not null
	content, err := encode(index)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(l.dir, IndexFile), content, 0o666); err != nil {
		return err
	}
	if file, err := l.StatIndex(); err == nil {
		l.known.Store(&knownIndex{file, *index})
	}
	return nil
}

func newIndex(entries []v1.Descriptor) *v1.IndexManifest {
	entries = append([]v1.Descriptor{}, entries...) // not null
	return &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries}
}
