package release

import (
	"sync"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// buildProgress tells each image how many of the derivations that it needs are
// built: Nix's own counts are of the whole run.
type buildProgress struct {
	watcher Watcher

	mu     sync.Mutex
	images map[catalog.ID]*buildCount
	needs  map[string][]catalog.ID // derivation → the images that wait for it
}

type buildCount struct {
	unbuilt map[string]bool
	total   int
	line    string
}

func newBuildProgress(watcher Watcher) *buildProgress {
	return &buildProgress{watcher: watcher, images: map[catalog.ID]*buildCount{}, needs: map[string][]catalog.ID{}}
}

// add says that an image waits for what graph has of its derivations.
func (p *buildProgress) add(target *Target, graph nix.Graph) {
	count := &buildCount{unbuilt: map[string]bool{}}
	for _, output := range target.outputs() {
		for _, drv := range graph.Below(output.Drv) {
			if !count.unbuilt[drv] {
				count.unbuilt[drv] = true
				count.total++
				p.needs[drv] = append(p.needs[drv], target.ID)
			}
		}
	}
	p.images[target.ID] = count
	p.tell(target.ID)
}

func (p *buildProgress) tell(id catalog.ID) {
	count := p.images[id]
	if len(count.unbuilt) == 0 {
		p.watcher.Progress(id, StepWait, 0, 0, "")
		return
	}
	p.watcher.Progress(id, StepBuild, count.total-len(count.unbuilt), count.total, count.line)
}

// event is called for each line of nix's log.
func (p *buildProgress) event(event nix.LogEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.needs[event.Drv] {
		count := p.images[id]
		switch event.Kind {
		case nix.LogBuildLine:
			count.line = event.Text
		case nix.LogBuildStarted:
			count.line = nix.DrvName(event.Drv)
		case nix.LogBuildStopped:
			delete(count.unbuilt, event.Drv)
		default:
			continue
		}
		p.tell(id)
	}
}
