package image

import (
	"cmp"
	"slices"

	"github.com/libresh/libre/internal/nix"
)

// MaxLayers is the most layers that an image of ours has, those of its base
// and the debug layer counted. Overlay file systems stop at about 127.
const MaxLayers = 100

// largePath is the size in bytes from which a path has a layer of its own, and
// below which a layer is folded into the next. From the table that
// TestPlanMeasured prints: half of it saves 3 % of the bytes and costs half as
// many layers again, twice as much costs 6 % of the bytes moved.
const largePath = 1 << 20

// Plan divides an image's closure into at most limit layers, the most basic
// first. It is a function of this closure alone, for any order of the input: a
// change in another image never moves a layer of this one.
//
// A large path stands alone. Small ones form a group when the same large paths
// lie below them: such a group changes when one of these changes, and siblings
// that have the paths have the group, whoever uses it above. Groups of less
// than a mebibyte are folded into the next in order, and the small paths that
// only the root uses (the application itself) come last, in a layer of their
// own. Where that is more than limit layers, the size that counts as large is
// doubled until it fits; doubling keeps the thresholds of siblings comparable.
// See https://grahamc.com/blog/nix-and-layered-docker-images for ranking by
// popularity, the yardstick, and why it is not done here: its last layer
// collects what changes most.
//
// root is the store path that becomes the image's root file system, in a layer
// that is not in the plan; it is left out unless another path refers to it.
// An empty root plans all paths.
func Plan(closure []nix.PathInfo, root string, limit int) [][]nix.PathInfo {
	g := newGraph(closure)
	rootIndex := g.find(root)
	var plan [][]int
	for large := int64(largePath); ; large *= 2 {
		plan = g.cohorts(rootIndex, large)
		if len(plan) <= limit || large > g.total() {
			break
		}
	}
	if len(plan) > limit {
		plan = [][]int{slices.Concat(plan...)}
	}
	return g.layers(plan)
}

// layers turns indices back into paths, ordered by comparePaths in each layer.
func (g *graph) layers(plan [][]int) [][]nix.PathInfo {
	layers := make([][]nix.PathInfo, len(plan))
	for i, members := range plan {
		slices.Sort(members)
		for _, m := range members {
			layers[i] = append(layers[i], g.paths[m])
		}
	}
	return layers
}

// cohorts divides the graph by one threshold, in bytes.
func (g *graph) cohorts(root int, large int64) [][]int {
	isLarge := newBitset(len(g.paths))
	for i, p := range g.paths {
		if p.NarSize >= large {
			isLarge.add(i)
		}
	}
	var layers, groups [][]int
	var top []int
	groupOf := map[string]int{}
	for i := range g.paths {
		switch {
		case i == root && len(g.usedBy[i]) == 0:
		case isLarge.has(i):
			layers = append(layers, []int{i})
		case root >= 0 && len(g.usedBy[i]) == 1 && g.usedBy[i][0] == root:
			top = append(top, i)
		default:
			key := g.below[i].maskKey(isLarge)
			n, ok := groupOf[key]
			if !ok {
				n = len(groups)
				groupOf[key] = n
				groups = append(groups, nil)
			}
			groups[n] = append(groups[n], i)
		}
	}
	g.sortLayers(groups)
	layers = append(layers, g.fold(groups, large)...)
	g.sortLayers(layers)
	if len(top) > 0 {
		layers = append(layers, top)
	}
	return layers
}

// fold joins neighbours until none but the last is smaller than least bytes. A
// group that is large enough by itself is left alone.
func (g *graph) fold(groups [][]int, least int64) [][]int {
	var out [][]int
	var open []int
	for _, members := range groups {
		if g.size(members) >= least {
			out = append(out, members)
			continue
		}
		open = append(open, members...)
		if g.size(open) >= least {
			out = append(out, open)
			open = nil
		}
	}
	if len(open) > 0 {
		out = append(out, open)
	}
	return out
}

// sortLayers puts the most basic first: by the largest closure of a layer's
// members, then by their names.
func (g *graph) sortLayers(layers [][]int) {
	weight := func(members []int) (most int64) {
		for _, m := range members {
			most = max(most, g.weight[m])
		}
		return most
	}
	slices.SortFunc(layers, func(a, b []int) int {
		return cmp.Or(cmp.Compare(weight(a), weight(b)), slices.Compare(a, b))
	})
}

func (g *graph) size(members []int) (sum int64) {
	for _, m := range members {
		sum += g.paths[m].NarSize
	}
	return sum
}

func (g *graph) total() (sum int64) {
	for _, p := range g.paths {
		sum += p.NarSize
	}
	return sum
}
