package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/private"
)

// stored is what is known of a layer once it was written.
type stored struct {
	Digest v1.Hash `json:"digest"` // of the blob
	DiffID v1.Hash `json:"diffID"` // of the tar inside
	Size   int64   `json:"size"`   // bytes of the blob
}

// Cache remembers, by layer key, which blob a layer became. It is one small
// file per layer in a folder that several processes may use at once; losing it
// costs time only.
type Cache struct {
	dir    string
	mu     sync.Mutex
	mem    map[string]stored
	remote map[string]stored

	unwritable bool // and it was said

	flight map[string]*sync.Mutex // by layer key: the same layer is written once
}

// NewCache uses the given folder, and makes it at the first write. Without a
// folder ("") the cache lasts as long as the process.
func NewCache(dir string) *Cache {
	return &Cache{dir: dir, mem: map[string]stored{}, remote: map[string]stored{}, flight: map[string]*sync.Mutex{}}
}

// AddRemote says that a registry has a layer: where the layout lacks it, it is
// used all the same and not written. Who says so has verified it.
func (c *Cache) AddRemote(layer Layer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remote[layer.Key] = stored{layer.Digest, layer.DiffID, layer.Size}
}

// HasRemote tells whether a registry has a layer with this digest.
func (c *Cache) HasRemote(digest v1.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, layer := range c.remote {
		if layer.Digest == digest {
			return true
		}
	}
	return false
}

// get finds the blob of a layer, if it is still in the layout with the size
// that it had or, where that will do, in a registry. A file that cannot be read is
// a miss and a warning.
func (c *Cache) get(l *layout.Layout, key string, remote bool) (s stored, ok bool, warning error) {
	if s, ok, warning = c.local(l, key); !ok && remote {
		c.mu.Lock()
		s, ok = c.remote[key]
		c.mu.Unlock()
	}
	return s, ok, warning
}

func (c *Cache) local(l *layout.Layout, key string) (s stored, ok bool, warning error) {
	c.mu.Lock()
	s, ok = c.mem[key]
	c.mu.Unlock()
	if !ok && c.dir != "" {
		name := c.file(key)
		content, err := private.Read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return stored{}, false, nil
		case err != nil:
			return stored{}, false, fmt.Errorf("reading the layer cache: %w", err)
		}
		if err := json.Unmarshal(content, &s); err != nil || s.Digest.Hex == "" || s.DiffID.Hex == "" {
			return stored{}, false, fmt.Errorf("reading the layer cache: %s is damaged and not used", name)
		}
		ok = true
	}
	return s, ok && l.HasBlob(s.Digest, s.Size), nil
}

// once makes the goroutines that want the same layer wait for the first one.
// The caller holds it from before its look into the cache until it has written.
func (c *Cache) once(key string) (release func()) {
	c.mu.Lock()
	m, ok := c.flight[key]
	if !ok {
		m = &sync.Mutex{}
		c.flight[key] = m
	}
	c.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func (c *Cache) put(key string, s stored) (warning error) {
	c.mu.Lock()
	c.mem[key] = s
	unwritable := c.unwritable
	c.mu.Unlock()
	if c.dir == "" || unwritable {
		return nil
	}
	content, err := json.Marshal(s)
	if err == nil {
		err = private.Folder(c.dir)
	}
	if err == nil {
		err = private.Replace(c.file(key), content)
	}
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unwritable {
		return nil // was said
	}
	c.unwritable = true
	return fmt.Errorf("writing the layer cache: %w", err)
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key+".json") }

// keyHash collects what a layer's bytes depend on, each part quoted, so that no
// two lists of parts look alike.
type keyHash struct{ text []byte }

func newKey(kind string, codec Codec) *keyHash {
	k := &keyHash{}
	k.add("libre layer", catalog.Format, kind, codec.spec())
	return k
}

func (k *keyHash) add(parts ...any) {
	for _, p := range parts {
		k.text = fmt.Appendf(k.text, "%q ", fmt.Sprint(p))
	}
	k.text = append(k.text, '\n')
}

func (k *keyHash) addPaths(paths []nix.PathInfo) {
	var lines []string
	for _, p := range paths {
		lines = append(lines, fmt.Sprintf("%q %q", p.Path, p.NarHash))
	}
	slices.Sort(lines)
	for _, line := range lines {
		k.add(line)
	}
}

func (k *keyHash) sum() string {
	sum := sha256.Sum256(k.text)
	return hex.EncodeToString(sum[:])
}
