package containerfile

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	filesystem "github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/private"
)

// defaultKeep is how long a base stays in the storage after its last use.
const defaultKeep = 7 * 24 * time.Hour

// defaultCacheSize is the default limit for bases in a storage, in bytes.
const defaultCacheSize = 10 << 30

// KeepAtMost limits the bases that stay in the storage after a build, in bytes. The least
// recently used ones are removed. 0 means 10 GiB.
func (b *Builder) KeepAtMost(bytes int64) { b.storage.most = bytes }

// KeepFor sets how long a base, or the storage of another engine, stays after its last use. 0
// means a week.
func (b *Builder) KeepFor(unused time.Duration) { b.storage.keep = unused }

func (s *storage) keepFor() time.Duration { return cmp.Or(s.keep, defaultKeep) }

// Unused returns about how many bytes Clean frees: bases, and storages of other engines. docker
// and buildkit manage their own storage.
func (b *Builder) Unused(ctx context.Context) (int64, error) {
	if b.engine.keepsImages() {
		return 0, nil
	}
	if err := b.storage.open(ctx); err != nil {
		return 0, err
	}
	_, bytes := b.storage.expired()
	for _, root := range b.storage.unusedStorages() {
		bytes += filesystem.Size(os.DirFS(root), ".")
	}
	return bytes, nil
}

// Clean removes leftovers of killed builds, expired bases and unused storages. It removes
// nothing during a build.
func (b *Builder) Clean(ctx context.Context) error {
	if b.engine.keepsImages() {
		return nil
	}
	err := b.storage.open(ctx)
	if err == nil {
		b.storage.clean(ctx)
	}
	return err
}

// cachedBase is an image that a storage keeps for later builds.
type cachedBase struct {
	id     string
	layers []string // with all layers below
	used   time.Time
}

// use records that a base is used now.
func (s *storage) use(id string) {
	mark := s.mark(id)
	_ = os.MkdirAll(filepath.Dir(mark), 0o700)
	_ = os.WriteFile(mark, nil, 0o600)
	private.MarkUsed(mark)
}

// mark returns the path of the file whose time is the time of a base's last use.
func (s *storage) mark(id string) string { return filepath.Join(s.root(), "used", id) }

// bases lists the bases of the storage, the most recently used first, and the sizes of all
// layers in bytes. A base without a record counts as used now.
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
	if driver == "vfs" { // each layer contains a copy of the layers below
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

// expired lists the bases that were unused for too long, and the least recently used ones
// beyond the storage's limit. freed is the size in bytes of the layers that only they have.
func (s *storage) expired() (dropped []string, freed int64) {
	most := cmp.Or(s.most, defaultCacheSize)
	bases, sizes := s.bases()
	seen, size, kept, full := map[string]bool{}, int64(0), int64(0), false
	for _, base := range bases {
		for _, layer := range base.layers {
			if !seen[layer] {
				seen[layer] = true
				size += sizes[layer]
			}
		}
		if full = full || size > most; full || time.Since(base.used) > s.keepFor() {
			dropped = append(dropped, base.id)
		} else {
			kept = size
		}
	}
	return dropped, size - kept
}

func (s *storage) dropBases(out *output) {
	dropped, _ := s.expired()
	if len(dropped) > 0 && run(s.child(s.flags, append([]string{"rmi", "--force"}, dropped...)...), out) == nil {
		for _, id := range dropped {
			_ = os.Remove(s.mark(id))
		}
	}
}

// dropUnusedStorages removes the unused storages, unless a build holds one.
func (s *storage) dropUnusedStorages() {
	for _, root := range s.unusedStorages() {
		if lock, err := lockFile(filepath.Join(root, "lock"), syscall.LOCK_NB); err == nil {
			s.remove(root)
			lock.Close()
		}
	}
}

// unusedStorages returns the storages of other engines, or of this engine in another namespace,
// that were unused for too long.
func (s *storage) unusedStorages() (roots []string) {
	locks, _ := filepath.Glob(filepath.Join(s.dir, "*", "lock"))
	for _, path := range locks {
		if info, err := os.Stat(path); filepath.Dir(path) != s.root() && err == nil && time.Since(info.ModTime()) >= s.keepFor() {
			roots = append(roots, filepath.Dir(path))
		}
	}
	return roots
}
