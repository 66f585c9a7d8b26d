package nix

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/text"
)

// PathInfo describes one path of the Nix store.
type PathInfo struct {
	Path       string   // absolute: /nix/store/HASH-NAME
	NarHash    string   // sha256:BASE16
	NarSize    int64    // bytes of the path's NAR serialisation
	References []string // absolute store paths, sorted, without the path itself
}

// Store is a set of store paths, closed under references.
type Store map[string]PathInfo

// readPaths are the store paths whose closures were read.
type readPaths struct {
	mu    sync.Mutex
	store Store
}

// ReadStore reads the closures of valid store paths, each path once: what one refers to never
// changes.
func (n *Nix) ReadStore(ctx context.Context, paths []string) (Store, error) {
	var left []string
	n.read.mu.Lock()
	for _, path := range paths {
		if _, known := n.read.store[path]; !known {
			left = append(left, path)
		}
	}
	n.read.mu.Unlock()
	read, err := n.readStore(ctx, left)
	if err != nil {
		return nil, err
	}
	n.read.mu.Lock()
	defer n.read.mu.Unlock()
	if n.read.store == nil {
		n.read.store = Store{}
	}
	maps.Copy(n.read.store, read)
	return n.read.store.under(paths), nil
}

// readStore asks Nix. Both commands print the same text in every version.
func (n *Nix) readStore(ctx context.Context, paths []string) (Store, error) {
	store := Store{}
	for some := range slices.Chunk(paths, pathsAtOnce) {
		doing := "reading the closure of " + text.Enumerate(some, ", ", 3)
		out, err := n.run(ctx, doing, storeCall("--query --requisites", some...))
		if err != nil {
			return nil, err
		}
		all := slices.DeleteFunc(strings.Fields(string(out)), func(path string) bool { _, known := store[path]; return known })
		for some := range slices.Chunk(all, pathsAtOnce) {
			out, err := n.run(ctx, doing, storeCall("--dump-db", some...))
			if err != nil {
				return nil, err
			}
			read, err := parseDump(out)
			if err != nil {
				return nil, err
			}
			maps.Copy(store, read)
		}
	}
	return store, nil
}

// parseDump parses the output of `nix-store --dump-db`: for each path its name, NAR hash,
// NAR size, deriver (may be empty), number of references, references.
func parseDump(dump []byte) (Store, error) {
	store := Store{}
	lines := bufio.NewScanner(bytes.NewReader(dump))
	next := func() string {
		lines.Scan()
		return lines.Text()
	}
	for lines.Scan() {
		info := PathInfo{Path: lines.Text(), NarHash: "sha256:" + next()}
		size, err := strconv.ParseInt(next(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading nix's database: size of %s: %w", info.Path, err)
		}
		info.NarSize = size
		next() // deriver
		count, err := strconv.Atoi(next())
		if err != nil {
			return nil, fmt.Errorf("reading nix's database: references of %s: %w", info.Path, err)
		}
		for range count {
			if reference := next(); reference != info.Path {
				info.References = append(info.References, reference)
			}
		}
		slices.Sort(info.References)
		store[info.Path] = info
	}
	return store, lines.Err()
}

// Closure returns the paths that root needs at run time, including itself, sorted.
func (s Store) Closure(root string) []PathInfo {
	closure := slices.Collect(maps.Values(s.under([]string{root})))
	slices.SortFunc(closure, func(a, b PathInfo) int { return strings.Compare(a.Path, b.Path) })
	return closure
}

// under returns what roots need at run time, with the roots.
func (s Store) under(roots []string) Store {
	found := Store{}
	var visit func(path string)
	visit = func(path string) {
		if _, seen := found[path]; seen {
			return
		}
		found[path] = s[path]
		for _, reference := range s[path].References {
			visit(reference)
		}
	}
	for _, root := range roots {
		visit(root)
	}
	return found
}

// shellNames lists programs that run an intruder's commands.
var shellNames = []string{"sh", "ash", "bash", "dash", "zsh", "fish", "busybox"}

// Shells returns the paths of a closure with a shell in their bin, sorted.
func Shells(closure []PathInfo) []string {
	var shells []string
	for _, info := range closure {
		for _, name := range shellNames {
			if _, err := os.Stat(filepath.Join(info.Path, "bin", name)); err == nil {
				shells = append(shells, info.Path)
				break
			}
		}
	}
	return shells
}
