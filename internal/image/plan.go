package image

import (
	"cmp"
	"slices"

	"github.com/libresh/libre/internal/nix"
)

// MaxLayers is how many layers an image may have, including those of its base and the
// debug layer. Overlay file systems support about 127.
const MaxLayers = 100

// largePath is the size in bytes from which a path gets its own layer, and below which a layer
// is merged with the next. TestPlanMeasured prints the reason: with half the size, images
// transfer 3 % less and have half as many layers again; with twice the size, they transfer 6 %
// more.
const largePath = 1 << 20

// Plan divides an image's closure into at most limit layers, the most basic first. It
// depends on this closure alone, in any order: a change in another image never moves a
// layer of this one.
//
// A large path has its own layer. Small paths are in one group if the same large paths
// are below them: the group changes when one of these changes, and other images with
// these paths have the same group. A group of less than a mebibyte is merged with the
// next. The small paths that only the root uses (the application itself) come last, in
// their own layer. If there are more than limit layers, the size of a large path is
// doubled until they fit; doubling keeps the layers of similar images comparable.
// https://grahamc.com/blog/nix-and-layered-docker-images ranks paths by popularity
// instead. There the last layer collects what changes most.
//
// root is the store path that becomes the root file system. Its layer is not in the plan,
// and neither is the path, unless another path refers to it. An empty root plans all
// paths.
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

// layers returns the paths of each group of indices, sorted by comparePaths.
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

// cohorts divides the graph, given the size of a large path in bytes.
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

// fold merges neighbours until only the last group may be smaller than least bytes. It does not
// change a group that is large enough.
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

// sortLayers sorts by the largest closure of a layer's members, then by their names: the most
// basic layer comes first.
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
