package image

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/nix"
)

// closureText reads lines of "name size ref ref…", sizes in kB, into store
// paths whose hash follows from the name.
func closureText(t testing.TB, text string) map[string]nix.PathInfo {
	t.Helper()
	out := map[string]nix.PathInfo{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		size, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p := nix.PathInfo{Path: pathFor(words[0]), NarHash: "sha256:" + words[0], NarSize: size << 10}
		for _, ref := range words[2:] {
			p.References = append(p.References, pathFor(ref))
		}
		out[words[0]] = p
	}
	return out
}

func pathFor(name string) string {
	return fmt.Sprintf("/nix/store/%.16x-%s", sha256.Sum256([]byte(name)), name)
}

// closureOf returns the closure of a package.
func closureOf(t testing.TB, all map[string]nix.PathInfo, name string) []nix.PathInfo {
	t.Helper()
	var out []nix.PathInfo
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		p, ok := all[name]
		if !ok {
			t.Fatalf("no package %s", name)
		}
		if seen[name] {
			return
		}
		seen[name] = true
		out = append(out, p)
		for _, r := range p.References {
			_, n := splitStorePath(r)
			visit(n)
		}
	}
	visit(name)
	return out
}

func names(layers [][]nix.PathInfo) []string {
	var out []string
	for _, layer := range layers {
		var members []string
		for _, p := range layer {
			_, name := splitStorePath(p.Path)
			members = append(members, name)
		}
		out = append(out, strings.Join(members, " "))
	}
	return out
}

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name, closure, root string
		limit               int
		want                []string
	}{
		{"root alone", "root 5", "root", 98, nil},
		{"static binary", "root 5 app cacert\napp 30000\ncacert 220", "root", 98, []string{"app", "cacert"}},
		{"root that another path refers to", "root 5 app\napp 30000\nother 10 root", "root", 98, []string{"app", "other root"}},
		{"no root", "app 30000 lib\nlib 5", "", 98, []string{"lib", "app"}},
		{
			"small paths go by what lies below them",
			`app 300 py lib1 lib2
			py 40000 libc ssl
			ssl 4000 libc
			lib1 800 libc
			lib2 700 libc
			lib3 900 ssl
			lib4 600 ssl lib3
			py2 1200 py lib3 lib4
			libc 30000
			root 5 app py2`,
			"root", 98,
			[]string{"libc", "lib1 lib2", "ssl", "lib3 lib4", "py", "py2", "app"},
		},
		{
			"groups below a mebibyte are folded",
			`app 300 a b c
			a 2000
			b 2000 a
			c 2000 b
			sa 10 a
			sb 20 b
			sc 30 c
			root 5 app sa sb sc
			user 2000 sa sb sc`,
			"", 98,
			[]string{"a", "b", "c", "app root sa sb sc", "user"},
		},
		{
			"too many: the size that counts as large is doubled",
			"root 5 a b c d e\na 1100\nb 1200\nc 1300\nd 4200\ne 9000",
			"root", 4,
			[]string{"d", "e", "a b c"},
		},
		{"one layer", "root 5 a b app\na 1100\nb 1200\napp 5 a", "root", 1, []string{"a app b"}},
		{"ties by name", "root 5 b a\nb 2000\na 2000", "root", 98, []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := closureText(t, test.closure)
			var closure []nix.PathInfo
			for _, p := range all {
				closure = append(closure, p)
			}
			root := ""
			if test.root != "" {
				root = pathFor(test.root)
			}
			if diff := cmp.Diff(test.want, names(Plan(closure, root, test.limit))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanProperties(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		closure, root := syntheticClosure(r, 1+r.IntN(400))
		limit := 1 + r.IntN(98)
		plan := Plan(closure, root, limit)
		if len(plan) > limit {
			t.Fatalf("seed %d: %d layers, limit %d", seed, len(plan), limit)
		}
		count := map[string]int{}
		for _, layer := range plan {
			if len(layer) == 0 {
				t.Fatalf("seed %d: an empty layer", seed)
			}
			for _, p := range layer {
				count[p.Path]++
			}
		}
		for _, p := range closure {
			want := 1
			if p.Path == root {
				want = 0
			}
			if count[p.Path] != want {
				t.Fatalf("seed %d: %s is in %d layers", seed, p.Path, count[p.Path])
			}
		}
		r.Shuffle(len(closure), func(i, j int) { closure[i], closure[j] = closure[j], closure[i] })
		for i := range closure {
			slices.Reverse(closure[i].References)
		}
		if !reflect.DeepEqual(names(plan), names(Plan(closure, root, limit))) {
			t.Fatalf("seed %d: the order of the input changes the plan", seed)
		}
	}
}

// A store has no cycles. But the plan must not lose a path even if the database is damaged.
func TestPlanCycle(t *testing.T) {
	all := closureText(t, "root 5 a\na 10 b\nb 2000 a")
	got := names(Plan(closureOf(t, all, "root"), pathFor("root"), 98))
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlanChangedApp(t *testing.T) {
	all := debianApps(t)
	before := Plan(closureOf(t, all, "web-root"), pathFor("web-root"), 98)
	for _, name := range []string{"web", "web-root"} {
		p := all[name]
		p.NarHash = "sha256:changed"
		all[name] = p
	}
	after := Plan(closureOf(t, all, "web-root"), pathFor("web-root"), 98)
	if len(before) != len(after) {
		t.Fatalf("%d layers, then %d", len(before), len(after))
	}
	var changed []int
	for i := range before {
		if !reflect.DeepEqual(before[i], after[i]) {
			changed = append(changed, i)
		}
	}
	if last := len(before) - 1; !reflect.DeepEqual(changed, []int{last}) || len(before[last]) != 1 {
		t.Errorf("layers %v of %d changed, want only the last, with the app alone", changed, len(before))
	}
}

// debianApps returns the packages of testdata, and a few applications that use them.
func debianApps(t testing.TB) map[string]nix.PathInfo {
	t.Helper()
	text, err := os.ReadFile("testdata/debian12.txt")
	if err != nil {
		t.Fatal(err)
	}
	return closureText(t, string(text)+`
web 400 python3-cryptography python3-pygments ca-certificates
web-root 10 web ca-certificates
forge 700 git python3-venv
forge-root 10 forge ca-certificates
notes 20000 nodejs curl
notes-root 10 notes ca-certificates
identity 60000 openjdk-17-jre-headless
identity-root 10 identity ca-certificates
database-root 10 postgresql-15
render 2000 chromium nodejs
render-root 10 render
admin 50 vim git buildah skopeo openssh-client
admin-root 10 admin
compile 50 g++ valgrind
compile-root 10 compile
desktop 5000 libgtk-3-0 git
desktop-root 10 desktop
`)
}

// TestPlanMeasured is the measurement behind the algorithm and largePath. It changes one path
// and all that depend on it, and averages over all paths the bytes to transfer, as a multiple
// of the changed paths' own bytes. It does the same for the applications alone. It also prints
// what all images together store, as a multiple of their distinct paths. Run it with -v to see
// the table.
func TestPlanMeasured(t *testing.T) {
	all := applications(t, debianApps(t))
	ours := measure(all, func(c []nix.PathInfo, root string) [][]nix.PathInfo { return Plan(c, root, MaxLayers-2) })
	popular := measure(all, byPopularity)
	t.Logf("%-16s %s", "Plan", ours)
	t.Logf("%-16s %s", "by popularity", popular)
	for _, large := range []int64{largePath / 2, largePath, 2 * largePath, 4 * largePath, 8 * largePath} {
		t.Logf("%-16s %s", fmt.Sprintf("large = %.1f MiB", float64(large)/(1<<20)), measure(all, func(c []nix.PathInfo, root string) [][]nix.PathInfo {
			g := newGraph(c)
			return g.layers(g.cohorts(g.find(root), large))
		}))
	}
	if ours.moved > 1.1 || ours.movedApp > 1.01 || ours.stored > 1.1 {
		t.Errorf("more bytes than measured before: %s", ours)
	}
	if ours.moved > popular.moved || ours.movedApp > popular.movedApp || ours.stored > popular.stored || ours.layers > popular.layers {
		t.Errorf("ranking by popularity is better: %s, ours: %s", popular, ours)
	}
}

type measured struct{ layers, moved, movedApp, stored float64 }

func (m measured) String() string {
	return fmt.Sprintf("%3.0f layers, moved ×%.3f, app changed ×%.3f, stored ×%.3f", m.layers, m.moved, m.movedApp, m.stored)
}

// An application is a closure and its path that uses all others.
type application struct {
	closure []nix.PathInfo
	root    string
}

// applications are the closures of the paths that end with -root.
func applications(t testing.TB, paths map[string]nix.PathInfo) (all []application) {
	t.Helper()
	for name := range paths {
		if strings.HasSuffix(name, "-root") {
			all = append(all, application{closureOf(t, paths, name), pathFor(name)})
		}
	}
	return all
}

func measure(all []application, plan func([]nix.PathInfo, string) [][]nix.PathInfo) measured {
	var layers, moved, least, movedApp, leastApp float64
	blobs, paths := map[string]int64{}, map[string]int64{}
	for _, app := range all {
		g := newGraph(app.closure)
		root := g.find(app.root)
		planned := plan(app.closure, app.root)
		layers += float64(len(planned))
		var members []bitset
		var sizes []int64
		for _, layer := range planned {
			set, size, key := newBitset(len(g.paths)), int64(0), ""
			for _, p := range layer {
				set.add(g.find(p.Path))
				size += p.NarSize
				key += p.Path
			}
			members, sizes, blobs[key] = append(members, set), append(sizes, size), size
		}
		for i, p := range g.paths {
			if i == root {
				continue
			}
			paths[p.Path] = p.NarSize
			var own, all float64
			changed := newBitset(len(g.paths))
			for j := range g.paths {
				if j != root && (j == i || g.below[j].has(i)) {
					changed.add(j)
					own += float64(g.paths[j].NarSize)
				}
			}
			for n, set := range members {
				if set.maskKey(changed) != newBitset(len(g.paths)).maskKey(changed) {
					all += float64(sizes[n])
				}
			}
			moved, least = moved+all, least+own
			if slices.Equal(g.usedBy[i], []int{root}) {
				movedApp, leastApp = movedApp+all, leastApp+own
			}
		}
	}
	return measured{layers / float64(len(all)), moved / least, movedApp / leastApp, total(blobs) / total(paths)}
}

func total(sizes map[string]int64) (sum float64) {
	for _, s := range sizes {
		sum += float64(s)
	}
	return sum
}

// byPopularity plans like nixpkgs' dockerTools: the paths that most others use have a layer
// each, and all others share the last one.
func byPopularity(closure []nix.PathInfo, root string) [][]nix.PathInfo {
	g := newGraph(closure)
	users := make([]int, len(g.paths))
	var order []int
	for i := range g.paths {
		g.below[i].each(func(j int) { users[j]++ })
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return users[b] - users[a] })
	return firstAlone(g, order, root)
}

// firstAlone gives the first paths of an order a layer each, and the others the last one.
func firstAlone(g *graph, order []int, root string) [][]nix.PathInfo {
	var layers [][]nix.PathInfo
	for _, i := range order {
		if g.paths[i].Path == root {
			continue
		}
		if len(layers) < MaxLayers-2 {
			layers = append(layers, nil)
		}
		last := len(layers) - 1
		layers[last] = append(layers[last], g.paths[i])
	}
	return layers
}

// syntheticClosure makes n paths. The last one uses most of them, directly or not.
func syntheticClosure(r *rand.Rand, n int) (closure []nix.PathInfo, root string) {
	for i := range n {
		p := nix.PathInfo{
			Path:    fmt.Sprintf("/nix/store/%032x-path-%d", r.Uint64(), i),
			NarHash: fmt.Sprintf("sha256:%064x", r.Uint64()),
			NarSize: int64(r.ExpFloat64() * 800e3),
		}
		for range min(i, r.IntN(12)) {
			p.References = append(p.References, closure[r.IntN(i)].Path)
		}
		slices.Sort(p.References)
		p.References = slices.Compact(p.References)
		closure = append(closure, p)
	}
	return closure, closure[n-1].Path
}
