package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/private"
)

// Annotations of ours in a layout.
const (
	RefNameAnnotation  = "org.opencontainers.image.ref.name" // index.json: app-component-variant:appver-pkgver
	ImageKeyAnnotation = "sh.libre.image-key"                // index.json, manifest, index
	LayerKeyAnnotation = "sh.libre.layer-key"                // a layer's descriptor
	DiffIDAnnotation   = "sh.libre.diff-id"                  // beside it: the digest of the plain tar, which else only the config has
)

// ErrLocked is returned by CreateLayout when another process writes the layout.
var ErrLocked = errors.New("another run is writing to it")

// Layout is an OCI image layout on disk, see
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md.
// Blobs appear whole under their digest, and index.json changes last, by
// rename: a reader sees the old state or the new one. Methods may be called
// from several goroutines at once.
type Layout struct {
	dir    string
	lock   *os.File // of the folder itself; nil when opened for reading
	mu     sync.Mutex
	flight map[string]*sync.Mutex // by layer key: the same layer is written once
}

// OpenLayout opens an existing layout for reading. It may be written by another
// process at the same time.
func OpenLayout(dir string) (*Layout, error) {
	content, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if err != nil {
		return nil, fmt.Errorf("opening the OCI layout %s: %w", dir, err)
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(content, &version); err != nil {
		return nil, fmt.Errorf("opening the OCI layout %s: oci-layout: %w", dir, err)
	}
	if version.Version != "1.0.0" {
		return nil, fmt.Errorf("opening the OCI layout %s: version %q is unknown", dir, version.Version)
	}
	l := &Layout{dir: dir, flight: map[string]*sync.Mutex{}}
	if _, err := l.index(); err != nil {
		return nil, err
	}
	return l, nil
}

// CreateLayout opens a layout for writing and makes what it lacks. One process
// at a time may write: where another one does, waiting is called once and
// CreateLayout waits until it ends or ctx does; with a nil waiting it fails
// with ErrLocked. A folder that holds other things is refused. Close unlocks.
func CreateLayout(ctx context.Context, dir string, waiting func()) (*Layout, error) {
	if err := refuseForeign(dir); err != nil {
		return nil, fmt.Errorf("creating the OCI layout %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o777); err != nil {
		return nil, fmt.Errorf("creating the OCI layout %s: %w", dir, err)
	}
	// What is in it is what is signed.
	if err := private.Guarded(dir); err != nil {
		return nil, &fault.Fault{Doing: "creating the OCI layout " + dir, Err: err, Fix: "remove it, or name a folder of your own with --output"}
	}
	lock, err := lockFolder(ctx, dir, waiting)
	if err != nil {
		return nil, fmt.Errorf("locking the OCI layout %s: %w", dir, err)
	}
	if err := createMissing(dir); err != nil {
		lock.Close()
		return nil, fmt.Errorf("creating the OCI layout %s: %w", dir, err)
	}
	l, err := OpenLayout(dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

// refuseForeign keeps a mistyped --output from filling a home directory.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "oci-layout" || e.Name() == "blobs" {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder holds other things, such as %q", entries[0].Name())
	}
	return nil
}

// lockFolder takes a lock on the folder itself, so that no lock file ends up
// in the layout. The kernel drops it when the process ends, however it ends.
func lockFolder(ctx context.Context, dir string, waiting func()) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for said := false; ; said = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, err
		}
		if waiting == nil {
			f.Close()
			return nil, ErrLocked
		}
		if !said {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func createMissing(dir string) error {
	empty, err := encode(emptyIndex())
	if err != nil {
		return err
	}
	files := []struct {
		name    string
		content []byte
	}{
		{"index.json", empty},
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	}
	for _, f := range files {
		name := filepath.Join(dir, f.name)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		if err := replaceFile(name, f.content); err != nil {
			return err
		}
	}
	return nil
}

// Close gives up the lock; afterwards the layout can only be read.
func (l *Layout) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return nil
	}
	lock := l.lock
	l.lock = nil
	return lock.Close()
}

func (l *Layout) writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return fmt.Errorf("writing to %s: opened for reading", l.dir)
	}
	return nil
}

// Dir is the folder that the layout is in.
func (l *Layout) Dir() string { return l.dir }

// Put makes an image available as refName: its descriptor, with the given
// annotations and the name, goes into index.json in the place of one of the
// same name. All other entries stay.
func (l *Layout) Put(refName string, d v1.Descriptor, annotations map[string]string) error {
	if err := l.writable(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	index, err := l.index()
	if err != nil {
		return err
	}
	d.Annotations = map[string]string{}
	for k, v := range annotations {
		d.Annotations[k] = v
	}
	d.Annotations[RefNameAnnotation] = refName
	index.Manifests = slices.DeleteFunc(index.Manifests, func(o v1.Descriptor) bool { return o.Annotations[RefNameAnnotation] == refName })
	index.Manifests = append(index.Manifests, d)
	// Sorted, since images end in any order when they are built in parallel.
	slices.SortStableFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Annotations[RefNameAnnotation], b.Annotations[RefNameAnnotation]), cmp.Compare(a.Digest.Hex, b.Digest.Hex))
	})
	content, err := encode(index)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(l.dir, "index.json"), content); err != nil {
		return fmt.Errorf("writing index.json for %s: %w", refName, err)
	}
	return nil
}

// Entries lists what index.json names.
func (l *Layout) Entries() ([]v1.Descriptor, error) {
	index, err := l.index()
	if err != nil {
		return nil, err
	}
	return index.Manifests, nil
}

func (l *Layout) index() (*v1.IndexManifest, error) {
	name := filepath.Join(l.dir, "index.json")
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(content, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &index, nil
}

func emptyIndex() *v1.IndexManifest {
	return &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
}

// once makes the goroutines that want the same layer wait for the first one.
// The caller holds it from before its look into the cache until it has written.
func (l *Layout) once(key string) (release func()) {
	l.mu.Lock()
	m, ok := l.flight[key]
	if !ok {
		m = &sync.Mutex{}
		l.flight[key] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}
