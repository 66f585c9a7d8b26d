package build

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// Realising counts what Nix has to do, or still has to do, for all images together.
type Realising struct {
	Fetch    int   // store paths to fetch from a substituter
	Download int64 // bytes of these, compressed
	Build    int   // derivations
}

// buildProgress reports the progress of Nix: for all images together, and for each image
// the number of its built derivations. It also measures the time of each image.
type buildProgress struct {
	watcher Watcher
	now     func() time.Time
	outputs map[catalog.ID][]string // derivations that belong to the image

	mu         sync.Mutex
	images     map[catalog.ID]*buildCount
	needs      map[string][]catalog.ID // derivation → the images that wait for it
	unbuilt    map[string]bool
	fixed      map[string]bool // derivations of sources, whose hash is known
	built      map[string]bool // derivation → whether it succeeded
	unexpected int             // derivations that Nix builds without having announced them
	all, left  Realising
	fetched    int
	downloaded int64 // bytes; lookups are the downloads by which Nix found out what is missing
	lookups    int64
}

type buildCount struct {
	made    bool // its outputs are in the store, so it reports its own progress
	unbuilt map[string]bool
	total   int
	line    string
	running int       // number of derivations that are being built
	since   time.Time // when the first of them started
	spent   time.Duration
}

func newBuildProgress(watcher Watcher, targets []*release.Target, outputs func(*release.Target) []nix.Output) *buildProgress {
	p := &buildProgress{watcher: watcher, now: time.Now, outputs: map[catalog.ID][]string{}, images: map[catalog.ID]*buildCount{}, built: map[string]bool{}}
	for _, target := range targets {
		for _, output := range outputs(target) {
			p.outputs[target.ID] = append(p.outputs[target.ID], output.Drv)
		}
		p.images[target.ID] = &buildCount{}
		p.tell(target.ID)
	}
	return p
}

// expect is called when Nix announces what it has to do.
func (p *buildProgress) expect(missing *nix.Missing) {
	graph := missing.Graph()
	p.needs, p.unbuilt, p.fixed = map[string][]catalog.ID{}, map[string]bool{}, map[string]bool{}
	for drv, node := range graph {
		p.unbuilt[drv], p.fixed[drv] = true, node.Fixed
	}
	depths := map[string]int{}
	for id, count := range p.images {
		count.unbuilt = map[string]bool{}
		for _, output := range p.outputs[id] {
			for drv, depth := range graph.Below(output) {
				if !count.unbuilt[drv] {
					count.unbuilt[drv] = true
					p.needs[drv] = append(p.needs[drv], id)
				}
				if known, ok := depths[drv]; !ok || depth < known {
					depths[drv] = depth
				}
			}
		}
		count.total = len(count.unbuilt)
		p.tell(id)
	}
	p.all = Realising{Fetch: len(missing.Fetch), Download: missing.Download, Build: len(missing.Build)}
	p.left, p.lookups = p.all, p.downloaded
	if foreign := packageSetOf(graph, depths); len(foreign) > unnamed+len(p.images) {
		of := len(foreign)
		p.watcher.Warn(catalog.ID{}, fmt.Sprintf("%d of %d derivations to build belong to the package set, and no substituter has them: %s, …. This takes hours. %s",
			of, p.all.Build, strings.Join(first(3, slices.Compact(foreign)), ", "), elsewhere))
	}
	p.watcher.Realising(p.all, p.left)
}

// expectOne is called for a derivation that is not left to build. Nix builds it again after a
// failure, or it has not announced it, because a substituter does not deliver what it lists.
func (p *buildProgress) expectOne(drv string) {
	if p.unbuilt == nil {
		p.unbuilt = map[string]bool{}
	}
	p.unbuilt[drv] = true
	if _, again := p.built[drv]; again {
		delete(p.built, drv)
		return
	}
	if p.unexpected == 0 {
		p.watcher.Warn(catalog.ID{}, "a substituter does not deliver what it lists: nix builds "+nix.DrvName(drv)+
			" from source, and perhaps more. If that is the package set itself, it takes hours. "+elsewhere)
	}
	p.unexpected++
	p.all.Build++
}

// elsewhere is the advice if too much is built from source.
const elsewhere = "Build with --package-set host, let nix use a substituter (substituters in nix.conf), or let other machines build (--builders)"

// unnamed is the number of derivations of the package set that may be built without a warning,
// besides one for each image. A definition may change a few packages. If no substituter has the
// compiler, more than a hundred derivations are built.
const unnamed = 25

// packageSetOf returns the derivations that belong to the package set, sorted. Those of a
// definition are near its image: the root file system needs the package, which needs the
// source and the fetched modules. Deeper ones belong to the package set, except fixed
// outputs such as patches.
func packageSetOf(graph nix.Graph, depths map[string]int) []string {
	var names []string
	for drv, depth := range depths {
		if depth > 2 && !graph[drv].Fixed {
			names = append(names, nix.DrvName(drv))
		}
	}
	slices.Sort(names)
	return names
}

func first(n int, of []string) []string { return of[:min(n, len(of))] }

// imageBegins is called before an image is made. Nix says late that its last derivation is built.
func (p *buildProgress) imageBegins(id catalog.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if count := p.images[id]; count != nil {
		count.made = true
		if count.running > 0 {
			count.spent += p.now().Sub(count.since)
		}
	}
}

func (p *buildProgress) tell(id catalog.ID) {
	count := p.images[id]
	if len(count.unbuilt) == 0 {
		waits := "for nix"
		if len(p.unbuilt) > 0 {
			waits = "for nix, which builds other images"
		}
		p.watcher.Progress(id, StepWait, 0, 0, waits)
		return
	}
	p.watcher.Progress(id, StepBuild, count.total-len(count.unbuilt), count.total, count.line)
}

// event is called for each line of nix's log.
func (p *buildProgress) event(event nix.LogEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event.Kind {
	case nix.LogMissing:
		p.expect(event.Missing)
	case nix.LogBuildLine, nix.LogBuildStarted, nix.LogBuildStopped:
		if event.Kind == nix.LogBuildStarted && !p.unbuilt[event.Drv] {
			p.expectOne(event.Drv)
		}
		for _, id := range p.needs[event.Drv] {
			if count := p.images[id]; !count.made {
				count.event(event, p.now())
				p.tell(id)
			}
		}
		if event.Kind == nix.LogBuildStopped {
			delete(p.unbuilt, event.Drv)
			if _, failed := p.built[event.Drv]; !failed {
				p.built[event.Drv] = true
			}
		}
		p.count()
	case nix.LogBuildFailed:
		p.built[event.Drv] = false
		p.failing(event)
	case nix.LogCopies:
		p.fetched = int(event.Progress.Done)
		p.count()
	case nix.LogDownloads:
		p.downloaded = event.Progress.Done
		p.count()
	}
}

// failing reports a build that failed while nix goes on with others. A source that cannot be
// fetched may be fetched later, with a login.
func (p *buildProgress) failing(event nix.LogEvent) {
	if ids := p.needs[event.Drv]; len(ids) > 0 && !p.fixed[event.Drv] && event.Failure != nil {
		p.watcher.Failing(slices.MinFunc(ids, func(a, b catalog.ID) int { return strings.Compare(a.String(), b.String()) }), event.Failure.Tail)
	}
}

func (c *buildCount) event(event nix.LogEvent, now time.Time) {
	switch event.Kind {
	case nix.LogBuildLine:
		c.line = event.Text
	case nix.LogBuildStarted:
		c.line = nix.DrvName(event.Drv)
		if c.running++; c.running == 1 {
			c.since = now
		}
	case nix.LogBuildStopped:
		delete(c.unbuilt, event.Drv)
		if c.running--; c.running == 0 {
			c.spent += now.Sub(c.since)
		}
	}
}

// count reports the remaining work for all images, if it changed. Store paths from a
// substituter on this machine are not downloaded, so count reports their number instead of
// bytes.
func (p *buildProgress) count() {
	if p.all == (Realising{}) {
		return
	}
	left := Realising{Fetch: max(0, p.all.Fetch-p.fetched), Build: len(p.unbuilt)}
	downloaded := p.downloaded - p.lookups
	if left.Download = max(0, p.all.Download-downloaded); downloaded == 0 || left.Fetch == 0 {
		left.Download = p.all.Download * int64(left.Fetch) / int64(max(1, p.all.Fetch))
	}
	if left != p.left {
		p.left = left
		if left != (Realising{}) {
			p.watcher.Realising(p.all, left)
		}
	}
}

// spent returns the time that Nix spent on the derivations of an image.
func (p *buildProgress) spent(id catalog.ID) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if count := p.images[id]; count != nil {
		return count.spent
	}
	return 0 // the image needed no derivations
}

// end is called when nix has ended.
func (p *buildProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all != (Realising{}) {
		done := Realising{Fetch: p.all.Fetch - p.left.Fetch, Download: p.all.Download - p.left.Download}
		for _, succeeded := range p.built {
			if succeeded {
				done.Build++
			}
		}
		p.watcher.Realised(done)
	}
}
