package build

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// realised has what was read from the store. Images read it while Nix builds what others need.
type realised struct {
	mu       sync.Mutex
	store    nix.Store                    // closures of valid outputs; the map is replaced, never changed
	failures map[string]*nix.BuildFailure // by derivation; nil until nix has ended
}

func (r *realised) add(store nix.Store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := nix.Store{}
	maps.Copy(all, r.store)
	maps.Copy(all, store)
	r.store = all
}

func (r *realised) paths() nix.Store {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store
}

// require returns the store path of a derivation, or the reason why there is none.
func (r *realised) require(derivation *catalog.Derivation) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, valid := r.store[derivation.Out]; valid {
		return derivation.Out, nil
	}
	if derivation.Drv == nil {
		return "", fmt.Errorf("%s is not in the store", derivation.Out)
	}
	return "", nix.FailureOf(*derivation.Drv, r.failures)
}

// end sets the failures, when nix has ended.
func (r *realised) end(failures map[string]*nix.BuildFailure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = failures
}

// lookEvery is the interval at which the store is asked for new outputs.
const lookEvery = 200 * time.Millisecond

// realise builds with Nix what all targets need. It starts targets that need nothing at once,
// and each other target as soon as the store has its outputs. When nix ends, it starts the
// remaining targets, which then fail. roots is a folder for GC roots.
func (r *run) realise(ctx context.Context, targets []*release.Target, roots string, start func(*release.Target)) error {
	ready, waiting, err := r.ready(ctx, targets)
	if err != nil {
		return err
	}
	r.progress = newBuildProgress(r.builder.Watcher, waiting, r.outputs)
	if len(ready) > 0 {
		if _, err := r.builder.Nix.Realise(ctx, r.outputsOfAll(ready), filepath.Join(roots, "present"), func(nix.LogEvent) {}); err != nil {
			return err
		}
		if err := r.startAll(ctx, ready, nix.PathsOf(r.outputsOfAll(ready)), start); err != nil {
			return err
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	news, ended := r.realiseOthers(ctx, r.outputsOfAll(waiting), filepath.Join(roots, "built"))
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			r.progress.end()
			valid, err := r.builder.Nix.Valid(ctx, nix.PathsOf(r.outputsOfAll(waiting)))
			if err != nil {
				return err
			}
			return r.startAll(ctx, waiting, slices.Sorted(maps.Keys(valid)), start)
		case <-look.C:
			if !news.Swap(false) {
				continue
			}
			ready, left, err := r.ready(ctx, waiting)
			if err == nil && len(ready) > 0 && r.startAll(ctx, ready, nix.PathsOf(r.outputsOfAll(ready)), start) == nil {
				waiting = left // otherwise they start when nix ends
			}
		}
	}
}

// realiseOthers runs nix. It sets news when the store may have another output, and sends nix's
// own error to ended.
func (r *run) realiseOthers(ctx context.Context, outputs []nix.Output, roots string) (news *atomic.Bool, ended <-chan error) {
	isOutput := map[string]bool{}
	for _, output := range outputs {
		isOutput[output.Drv] = true
	}
	begun := false
	news, end := &atomic.Bool{}, make(chan error, 1)
	go func() {
		failures, err := r.builder.Nix.Realise(ctx, outputs, roots, func(event nix.LogEvent) {
			r.progress.event(event)
			switch event.Kind {
			case nix.LogBuildStarted:
				begun = begun || isOutput[event.Drv]
			case nix.LogBuilds: // Nix says late which derivation is done
				if begun {
					news.Store(true)
				}
			case nix.LogCopies, nix.LogCopied:
				news.Store(true)
			}
		})
		r.realised.end(failures)
		end <- err
	}()
	return news, end
}

// ready splits targets into those whose outputs are all in the store, and the others.
func (r *run) ready(ctx context.Context, targets []*release.Target) (ready, waiting []*release.Target, err error) {
	valid, err := r.builder.Nix.Valid(ctx, nix.PathsOf(r.outputsOfAll(targets)))
	if err != nil {
		return nil, nil, err
	}
	for _, target := range targets {
		if slices.ContainsFunc(r.outputs(target), func(o nix.Output) bool { return !valid[o.Path] }) {
			waiting = append(waiting, target)
		} else {
			ready = append(ready, target)
		}
	}
	return ready, waiting, nil
}

// startAll reads the closures of the targets' valid outputs, and starts the targets.
func (r *run) startAll(ctx context.Context, targets []*release.Target, valid []string, start func(*release.Target)) error {
	store, err := r.builder.Nix.ReadStore(ctx, valid)
	if err != nil {
		return err
	}
	r.realised.add(store)
	for _, target := range targets {
		r.progress.imageBegins(target.ID)
		start(target)
	}
	return nil
}

// outputsOfAll lists what Nix must build for targets, each once, by path.
func (r *run) outputsOfAll(targets []*release.Target) []nix.Output {
	all := map[string]nix.Output{}
	for _, target := range targets {
		for _, output := range r.outputs(target) {
			all[output.Path] = output
		}
	}
	var outputs []nix.Output
	for _, path := range slices.Sorted(maps.Keys(all)) {
		outputs = append(outputs, all[path])
	}
	return outputs
}
