package image

import (
	"archive/tar"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/nix"
)

// A planner divides a closure into layers.
type planner struct {
	name string
	plan func(closure []nix.PathInfo, root string) [][]nix.PathInfo
}

// planners are libre and others. nix2container counts how many ways lead to a path, nixpkgs'
// dockerTools how many paths use it; both give the first ones a layer each.
// https://github.com/nlewo/nix2container/blob/master/closure/popularity.go
var planners = []planner{
	{"libre", func(c []nix.PathInfo, root string) [][]nix.PathInfo { return Plan(c, root, MaxLayers-2) }},
	{"popularity, as in dockerTools", byPopularity},
	{"popularity, as in nix2container", byWays},
	{"one layer", func(c []nix.PathInfo, root string) [][]nix.PathInfo {
		return [][]nix.PathInfo{slices.DeleteFunc(slices.Clone(c), func(p nix.PathInfo) bool { return p.Path == root })}
	}},
}

// byWays plans as nix2container does.
func byWays(closure []nix.PathInfo, root string) [][]nix.PathInfo {
	g := newGraph(closure)
	ways := make([]int, len(g.paths))
	order := g.order()
	slices.Reverse(order) // users before what they use
	for _, i := range order {
		ways[i]++
		for _, j := range g.refs[i] {
			ways[j] += ways[i]
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ways[b], ways[a]) })
	return firstAlone(g, order, root)
}

// BenchmarkLayers compares what is sent and stored when the closure of PostgreSQL is divided
// into layers in different ways. The size of a layer is the sum of its paths, each compressed as
// libre does it.
func BenchmarkLayers(b *testing.B) {
	store := bench.NewStore(b, "postgresql-15")
	compressed := map[string]float64{} // MB
	for _, p := range store.Closure {
		compressed[p.Path] = compressedSize(b, store.Dir, p.Path)
	}
	library := usedByAThird(store.Closure)
	changed := withUsers(store.Closure, library)
	uploads(b, store, compressed, fmt.Sprintf("a library changed that %d of %d paths use", len(changed)-1, len(store.Closure)), changed)
	changed = someUpdated(store.Closure, 30)
	uploads(b, store, compressed, fmt.Sprintf("%d of %d paths changed by a new package set", len(changed), len(store.Closure)), changed)
	siblings(b, store, compressed)
	debian := applications(b, debianApps(b))
	onAverage(b, "one path changed, mean over all paths of 9 applications", "the changed paths", func(plan planner) float64 { return measure(debian, plan.plan).moved })
	onAverage(b, "the 9 applications stored", "the union of their paths", func(plan planner) float64 { return measure(debian, plan.plan).stored })
}

// BenchmarkPlan3000 divides a closure of 3,000 paths into layers.
func BenchmarkPlan3000(b *testing.B) {
	closure, root := syntheticClosure(rand.New(rand.NewPCG(1, 2)), 3000)
	var programs []bench.Program
	for _, p := range planners[:3] {
		programs = append(programs, bench.Program{Name: p.name, Run: func() bench.Use {
			p.plan(closure, root)
			return bench.Use{}
		}})
	}
	bench.Times(b, bench.Row{Table: "What is sent", Work: "divide 3,000 synthetic paths into layers"}, programs...)
	onAverage(b, "one path changed, mean over all of the 3,000 paths", "the changed paths", func(plan planner) float64 {
		return measure([]application{{closure, root}}, plan.plan).moved
	})
}

// onAverage keeps a row of TestPlanMeasured, for larger closures, in bytes that are not compressed.
func onAverage(b *testing.B, work, least string, get func(planner) float64) {
	b.Helper()
	row := bench.Row{Table: "What is sent", Work: work, Unit: "times"}
	for _, p := range planners {
		row.Sides = append(row.Sides, bench.Side{Name: p.name, Values: []float64{get(p)}})
	}
	row.Sides = slices.Insert(row.Sides, 1, bench.Side{Name: least, Values: []float64{1}})
	bench.Keep(b, row)
}

// uploads keeps a row of the bytes that are sent after some paths changed.
func uploads(b *testing.B, store *bench.Store, compressed map[string]float64, work string, changed map[string]bool) {
	var least float64
	for path := range changed {
		if path != store.Root {
			least += compressed[path]
		}
	}
	row := bench.Row{Table: "What is sent", Work: work, Unit: "MB", Goal: 1.3}
	for _, p := range planners {
		var sent float64
		for _, layer := range p.plan(store.Closure, store.Root) {
			if slices.ContainsFunc(layer, func(p nix.PathInfo) bool { return changed[p.Path] }) {
				sent += sizeOf(layer, compressed)
			}
		}
		row.Sides = append(row.Sides, bench.Side{Name: p.name, Values: []float64{sent}})
	}
	row.Sides = slices.Insert(row.Sides, 1, bench.Side{Name: "the changed paths", Values: []float64{least}})
	bench.Keep(b, row)
}

// siblings keeps a row of the bytes that 3 components of 4 variants store. Each component has a
// program and uses a different part of the closure, and each variant has a small path of its own.
func siblings(b *testing.B, store *bench.Store, compressed map[string]float64) {
	all := map[string]nix.PathInfo{}
	for _, p := range store.Closure {
		all[p.Path] = p
	}
	bySize := slices.DeleteFunc(slices.Clone(store.Closure), func(p nix.PathInfo) bool { return p.Path == store.Root })
	slices.SortStableFunc(bySize, func(a, b nix.PathInfo) int { return len(under(all, b.Path)) - len(under(all, a.Path)) })
	union := map[string]bool{}
	var images [][]nix.PathInfo
	for component := range 3 {
		parts := under(all, bySize[component*3].Path)
		program := nix.PathInfo{Path: fmt.Sprintf("/nix/store/%032d-program-%d", component, component), NarSize: 8_000_000, References: []string{bySize[component*3].Path}}
		compressed[program.Path] = 3
		for variant := range 4 {
			brand := nix.PathInfo{Path: fmt.Sprintf("/nix/store/%032d-brand-%d", variant, variant), NarSize: 400_000}
			compressed[brand.Path] = 0.3
			closure := []nix.PathInfo{brand, program}
			for path := range parts {
				closure = append(closure, all[path])
			}
			root := nix.PathInfo{Path: fmt.Sprintf("/nix/store/%032d-root-%d-%d", 9, component, variant), References: []string{brand.Path, program.Path}}
			closure = append(closure, root)
			slices.SortFunc(closure, func(a, b nix.PathInfo) int { return cmp.Compare(a.Path, b.Path) })
			images = append(images, closure)
			for _, p := range closure[:len(closure)-1] {
				union[p.Path] = true
			}
		}
	}
	row := bench.Row{Table: "What is sent", Work: "12 siblings stored: 3 components of 4 variants", Unit: "MB", Goal: 1.05}
	for _, p := range planners {
		blobs := map[string]float64{}
		for _, closure := range images {
			root := closure[slices.IndexFunc(closure, func(p nix.PathInfo) bool { return filepath.Base(p.Path)[33:37] == "root" })].Path
			for _, layer := range p.plan(closure, root) {
				key := ""
				for _, path := range slices.SortedFunc(slices.Values(layer), func(a, b nix.PathInfo) int { return cmp.Compare(a.Path, b.Path) }) {
					key += path.Path
				}
				blobs[key] = sizeOf(layer, compressed)
			}
		}
		var sum float64
		for _, size := range blobs {
			sum += size
		}
		row.Sides = append(row.Sides, bench.Side{Name: p.name, Values: []float64{sum}})
	}
	var least float64
	for path := range union {
		least += compressed[path]
	}
	row.Sides = slices.Insert(row.Sides, 1, bench.Side{Name: "the union of their closures", Values: []float64{least}})
	bench.Keep(b, row)
}

func sizeOf(layer []nix.PathInfo, compressed map[string]float64) (sum float64) {
	for _, p := range layer {
		sum += compressed[p.Path]
	}
	return sum
}

// withUsers returns some paths and all that use them, directly or not.
func withUsers(closure []nix.PathInfo, paths ...string) map[string]bool {
	changed := map[string]bool{}
	for _, path := range paths {
		changed[path] = true
	}
	for before := -1; before != len(changed); {
		before = len(changed)
		for _, p := range closure {
			if slices.ContainsFunc(p.References, func(reference string) bool { return changed[reference] }) {
				changed[p.Path] = true
			}
		}
	}
	return changed
}

// under returns a path and all that it uses, directly or not.
func under(all map[string]nix.PathInfo, path string) map[string]bool {
	found := map[string]bool{path: true}
	for _, reference := range all[path].References {
		maps.Copy(found, under(all, reference))
	}
	return found
}

// usedByAThird returns the path whose number of users is closest to a third.
func usedByAThird(closure []nix.PathInfo) string {
	third := len(closure) / 3
	distance := func(p nix.PathInfo) int {
		return max(len(withUsers(closure, p.Path))-third, third-len(withUsers(closure, p.Path)))
	}
	return slices.MinFunc(closure, func(a, b nix.PathInfo) int { return distance(a) - distance(b) }).Path
}

// someUpdated changes random paths, and so their users, until there are n.
func someUpdated(closure []nix.PathInfo, n int) map[string]bool {
	random := rand.New(rand.NewPCG(1, 2))
	changed := map[string]bool{}
	for _, i := range random.Perm(len(closure)) {
		next := withUsers(closure, slices.Concat(slices.Collect(maps.Keys(changed)), []string{closure[i].Path})...)
		if len(next) <= n {
			changed = next
		}
	}
	return changed
}

// compressedSize returns the size of a path as a compressed layer, in MB.
func compressedSize(b *testing.B, dir, path string) float64 {
	b.Helper()
	size := counter(0)
	z, err := Gzip.writer(&size)
	check(b, err)
	w := tar.NewWriter(z)
	check(b, w.AddFS(os.DirFS(filepath.Join(dir, path))))
	check(b, w.Close())
	check(b, z.Close())
	return float64(size) / 1e6
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
