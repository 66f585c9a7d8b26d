package image

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/nix"
)

// bitset is a set of small integers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) union(o bitset) {
	for i, w := range o {
		b[i] |= w
	}
}

func (b bitset) each(f func(int)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			f(i*64 + bits.TrailingZeros64(w))
		}
	}
}

// maskKey returns a map key for the elements of b that are in mask.
func (b bitset) maskKey(mask bitset) string {
	key := make([]byte, 0, len(b)*8)
	for i, w := range b {
		key = binary.LittleEndian.AppendUint64(key, w&mask[i])
	}
	return string(key)
}

// graph is a closure as a directed graph over indices 0..len(paths)-1. The paths are
// sorted by comparePaths and free of duplicates, so that the indices do not depend on the
// order of the input.
type graph struct {
	paths  []nix.PathInfo
	index  map[string]int // by store path
	refs   [][]int        // references of a path within the closure, without itself
	usedBy [][]int        // the reverse of refs
	below  []bitset       // references of a path, direct or not
	weight []int64        // bytes of a path and of all below it
}

// newGraph makes a graph, with a bit for each pair of paths: 1.1 MB for 3,000 paths.
func newGraph(closure []nix.PathInfo) *graph {
	g := &graph{paths: slices.Clone(closure)}
	slices.SortFunc(g.paths, comparePaths)
	g.paths = slices.CompactFunc(g.paths, func(a, b nix.PathInfo) bool { return a.Path == b.Path })
	n := len(g.paths)
	g.index = make(map[string]int, n)
	for i, p := range g.paths {
		g.index[p.Path] = i
	}
	g.refs = make([][]int, n)
	g.usedBy = make([][]int, n)
	for i, p := range g.paths {
		for _, r := range p.References {
			if j, ok := g.index[r]; ok && j != i {
				g.refs[i] = append(g.refs[i], j)
				g.usedBy[j] = append(g.usedBy[j], i)
			}
		}
	}
	g.below = make([]bitset, n)
	g.weight = make([]int64, n)
	for _, i := range g.order() {
		b := newBitset(n)
		for _, j := range g.refs[i] {
			b.add(j)
			b.union(g.below[j])
		}
		g.below[i] = b
		g.weight[i] = g.paths[i].NarSize
		b.each(func(j int) { g.weight[i] += g.paths[j].NarSize })
	}
	return g
}

// find returns the index of a path, or -1.
func (g *graph) find(path string) int {
	if i, ok := g.index[path]; ok {
		return i
	}
	return -1
}

// order lists the paths, each after its references. A store has no cycles. If the input has
// one, its members come last, by index: so the plan stays valid and deterministic.
func (g *graph) order() []int {
	waiting := make([]int, len(g.paths))
	var ready, out []int
	for i := range g.paths {
		if waiting[i] = len(g.refs[i]); waiting[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		out = append(out, i)
		for _, j := range g.usedBy[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	for i := range g.paths {
		if waiting[i] > 0 {
			out = append(out, i)
		}
	}
	return out
}

// comparePaths orders by (name, hash), so that a change of a hash does not move a path.
func comparePaths(a, b nix.PathInfo) int {
	ha, na := splitStorePath(a.Path)
	hb, nb := splitStorePath(b.Path)
	if c := strings.Compare(na, nb); c != 0 {
		return c
	}
	if c := strings.Compare(ha, hb); c != 0 {
		return c
	}
	return strings.Compare(a.Path, b.Path)
}

// splitStorePath splits /nix/store/HASH-NAME into HASH and NAME.
func splitStorePath(path string) (hash, name string) {
	base := path[strings.LastIndexByte(path, '/')+1:]
	hash, name, ok := strings.Cut(base, "-")
	if !ok {
		return "", base
	}
	return hash, name
}

// checkClosure checks a closure, which comes from another program, before its paths are
// written to a tar.
func checkClosure(closure []nix.PathInfo) error {
	for _, p := range closure {
		if !strings.HasPrefix(p.Path, "/") || strings.Count(p.Path, "/") < 2 || strings.Contains(p.Path+"/", "/../") ||
			strings.Contains(p.Path+"/", "/./") || strings.Contains(p.Path, "//") || strings.ContainsAny(p.Path, "\x00\n") {
			return fmt.Errorf("reading the closure: %q is not a store path", p.Path)
		}
		if p.NarHash == "" {
			return fmt.Errorf("reading the closure: %s has no narHash", p.Path)
		}
	}
	return nil
}
