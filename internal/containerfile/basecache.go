package containerfile

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// keepFor is how long a base stays in the storage after its last use.
const keepFor = 7 * 24 * time.Hour

// defaultCacheSize is the default limit for bases in a storage, in bytes.
const defaultCacheSize = 10 << 30

// KeepAtMost limits the bases that stay in the storage after a build, in bytes; the least
// recently used are removed. 0 is 10 GiB.
func (b *Builder) KeepAtMost(bytes int64) { b.storage.most = bytes }

// cachedBase is an image that a storage keeps for later builds.
type cachedBase struct {
	id     string
	layers []string // with all below
	used   time.Time
}

// use records that a base is used now.
func (s *storage) use(id string) {
	mark := s.mark(id)
	_ = os.MkdirAll(filepath.Dir(mark), 0o700)
	_ = os.WriteFile(mark, nil, 0o600)
	now := time.Now()
	_ = os.Chtimes(mark, now, now)
}

// mark returns the path of a file whose time is that of the last use of a base.
func (s *storage) mark(id string) string { return filepath.Join(s.root(), "used", id) }

// bases lists the bases of the storage, the last used first, and the sizes of all layers
// in bytes. A base without a record counts as used now.
// https://github.com/containers/storage/blob/v1.43.0/images.go, layers.go
func (s *storage) bases() (bases []cachedBase, sizes map[string]int64) {
	root, driver := s.flags[1], s.flags[5]
	images, _ := readJSON[[]struct {
		ID     string
		Layer  string
		Mapped []string `json:"mapped-layers"`
	}](filepath.Join(root, driver+"-images", "images.json"))
	layers, _ := readJSON[[]struct {
		ID, Parent string
		Size       int64 `json:"diff-size"`
	}](filepath.Join(root, driver+"-layers", "layers.json"))
	parents := map[string]string{}
	sizes = map[string]int64{}
	for _, l := range layers {
		parents[l.ID], sizes[l.ID] = l.Parent, l.Size
	}
	if driver == "vfs" { // each layer contains a copy of those below
		whole := map[string]int64{}
		for id := range sizes {
			for at := id; at != ""; at = parents[at] {
				whole[id] += sizes[at]
			}
		}
		sizes = whole
	}
	for _, image := range images {
		base := cachedBase{id: image.ID}
		for _, top := range append(image.Mapped, image.Layer) {
			for at := top; at != ""; at = parents[at] {
				base.layers = append(base.layers, at)
			}
		}
		info, err := os.Stat(s.mark(image.ID))
		if err != nil {
			s.use(image.ID)
			info, err = os.Stat(s.mark(image.ID))
		}
		if err == nil {
			base.used = info.ModTime()
		}
		bases = append(bases, base)
	}
	slices.SortFunc(bases, func(a, b cachedBase) int { return b.used.Compare(a.used) })
	return bases, sizes
}

// dropBases removes bases that were not used for a week, and the least recently used ones
// beyond the storage's limit.
func (s *storage) dropBases(out *output) {
	most := s.most
	if most == 0 {
		most = defaultCacheSize
	}
	bases, sizes := s.bases()
	kept, size, full := map[string]bool{}, int64(0), false
	var dropped []string
	for _, base := range bases {
		for _, layer := range base.layers {
			if !kept[layer] {
				kept[layer] = true
				size += sizes[layer]
			}
		}
		if full = full || size > most; full || time.Since(base.used) > keepFor {
			dropped = append(dropped, base.id)
		}
	}
	if len(dropped) > 0 && run(s.child(s.flags, append([]string{"rmi", "--force"}, dropped...)...), out) == nil {
		for _, id := range dropped {
			_ = os.Remove(s.mark(id))
		}
	}
}

// dropUnusedStorages removes storages of other engines, or of this engine in another
// namespace, that were not used for a week.
func (s *storage) dropUnusedStorages() {
	locks, _ := filepath.Glob(filepath.Join(s.dir, "*", "lock"))
	for _, path := range locks {
		root := filepath.Dir(path)
		if info, err := os.Stat(path); root == s.root() || err != nil || time.Since(info.ModTime()) < keepFor {
			continue
		}
		if lock, err := lockFile(path, syscall.LOCK_NB); err == nil {
			s.remove(root)
			lock.Close()
		}
	}
}
