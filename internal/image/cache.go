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

// storedLayer describes a written layer.
type storedLayer struct {
	Digest v1.Hash `json:"digest"` // of the blob
	DiffID v1.Hash `json:"diffID"` // of the tar inside
	Size   int64   `json:"size"`   // bytes of the blob
}

// Cache maps layer keys to blobs. It has one small file per layer, in a folder that
// several processes may use at once. It is safe to delete.
type Cache struct {
	dir string
	mu  sync.Mutex
	mem map[string]storedLayer

	unwritable bool // and the warning was given

	writing map[string]*sync.Mutex // by layer key: each layer is written once
}

// NewCache uses the given folder, and creates it at the first write. If dir is "", the
// cache is in memory.
func NewCache(dir string) *Cache {
	return &Cache{dir: dir, mem: map[string]storedLayer{}, writing: map[string]*sync.Mutex{}}
}

// Add records which blob a layer is, for this run only. The caller has verified it.
func (c *Cache) Add(layer Layer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mem[layer.Key] = storedLayer{layer.Digest, layer.DiffID, layer.Size}
}

// get finds a layer whose blob is in the layout, with the recorded size, or elsewhere. A
// file that cannot be read is a miss and a warning.
func (c *Cache) get(l *layout.Layout, key string, elsewhere func(v1.Hash) bool) (s storedLayer, ok bool, warning error) {
	c.mu.Lock()
	s, ok = c.mem[key]
	c.mu.Unlock()
	if !ok && c.dir != "" {
		name := c.file(key)
		content, err := private.ReadCached(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return storedLayer{}, false, nil
		case err != nil:
			return storedLayer{}, false, fmt.Errorf("reading the layer cache: %w", err)
		}
		if err := json.Unmarshal(content, &s); err != nil || s.Digest.Hex == "" || s.DiffID.Hex == "" {
			return storedLayer{}, false, fmt.Errorf("reading the layer cache: %s is damaged; ignored", name)
		}
		ok = true
	}
	return s, ok && (l.HasBlob(s.Digest, s.Size) || elsewhere != nil && elsewhere(s.Digest)), nil
}

// lock makes goroutines that want the same layer wait for the first one. The caller holds it
// from before get until the layer is written.
func (c *Cache) lock(key string) (unlock func()) {
	c.mu.Lock()
	m, ok := c.writing[key]
	if !ok {
		m = &sync.Mutex{}
		c.writing[key] = m
	}
	c.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func (c *Cache) put(key string, s storedLayer) (warning error) {
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
		return nil // the warning was given
	}
	c.unwritable = true
	return fmt.Errorf("writing the layer cache: %w", err)
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key+".json") }

// keyHash hashes everything that the bytes of a layer depend on. Each part is quoted, so
// that no two lists of parts give the same text.
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
