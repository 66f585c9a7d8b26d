package nix

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// ReadStore reads the closures of valid store paths. Both commands print the same text in
// every version of Nix.
func (n *Nix) ReadStore(ctx context.Context, paths []string) (Store, error) {
	doing := "reading the closure of " + strings.Join(paths, " ")
	if len(paths) == 0 {
		return Store{}, nil
	}
	out, err := n.run(ctx, doing, storeCall("--query --requisites", paths...))
	if err != nil {
		return nil, err
	}
	out, err = n.run(ctx, doing, storeCall("--dump-db", strings.Fields(string(out))...))
	if err != nil {
		return nil, err
	}
	return parseDump(out)
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
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		for _, reference := range s[path].References {
			visit(reference)
		}
	}
	visit(root)
	var closure []PathInfo
	for path := range seen {
		closure = append(closure, s[path])
	}
	slices.SortFunc(closure, func(a, b PathInfo) int { return strings.Compare(a.Path, b.Path) })
	return closure
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
