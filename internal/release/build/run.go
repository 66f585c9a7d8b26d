package build

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// run is one build of targets into a layout.
type run struct {
	builder *Builder
	options Options
	layout  *layout.Layout
	bases   *state.Bases // images of the catalogue that need not be built
	stop    context.CancelFunc
	slots   release.Slots

	realised realised
	progress *buildProgress
	cache    *image.Cache
	isBase   map[string]bool      // by image key, images that Containerfiles build on
	named    map[catalog.Ref]bool // references of the targets

	engineOnce sync.Once
	engine     *containerfile.Builder
	engineErr  error

	mu          sync.Mutex
	results     []Result
	manifests   map[string]*manifest // by image key
	finished    map[string]*manifest // those that are finished
	interrupted error
}

func newRun(b *Builder, dist *layout.Layout, local state.Local, o Options, stop context.CancelFunc) *run {
	r := &run{
		builder: b, options: o, layout: dist, stop: stop, slots: make(release.Slots, max(b.Jobs, 1)),
		isBase: map[string]bool{}, named: map[catalog.Ref]bool{},
		manifests: map[string]*manifest{}, finished: map[string]*manifest{},
	}
	bases := o.Bases
	bases.Output, bases.Warn, bases.Fetch = o.Output, b.Watcher.Warn, r.fetch
	r.bases = state.NewBases(local, bases)
	return r
}

// fetch copies a base from a registry into the layout.
func (r *run) fetch(ctx context.Context, spec *catalog.Spec, from name.Digest, source layout.Source) error {
	r.builder.Watcher.Progress(spec.ID(), StepFetch, 0, 0, from.String())
	defer r.waits(spec, "for nix")
	return r.layout.Fetch(ctx, source)
}

// sort finishes the targets that need no work, and returns the other targets.
func (r *run) sort(ctx context.Context, local state.Local, all []*release.Target) (missing []*release.Target) {
	plans, entries := local.Plans(all, nil)
	for i, target := range all {
		result := Result{ID: target.ID, Ref: target.Ref, Skipped: target.Skipped}
		switch {
		case len(target.Specs) == 0:
			result.State = state.Skipped
			r.finish(result)
		case plans[i].Action == state.ToNothing && !r.bases.IsOutdated(ctx, target):
			result.State = state.Unchanged
			result.measure(entries[i])
			r.finish(result)
		default:
			missing = append(missing, target)
		}
	}
	return missing
}

// measure sets the size and the number of layers of a result.
func (r *Result) measure(entry layout.Entry) {
	r.Digest, r.Size, r.Layers = entry.Digest.String(), entry.Content.Size, entry.Content.Layers
}

func (r *run) finish(result Result) {
	r.mu.Lock()
	r.results = append(r.results, result)
	r.mu.Unlock()
	r.builder.Watcher.Finished(result)
	if r.options.Made != nil {
		r.options.Made(result)
	}
	if result.State == state.Failed && r.builder.FailFast {
		r.stop()
	}
}

// build makes the images of targets. Nix builds everything that they need in one run, and each
// image is made as soon as its own outputs are in the store.
func (r *run) build(ctx context.Context, missing []*release.Target) error {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(roots)
	r.bases.FindFor(ctx, missing, r.options.Rebuild)
	if r.cache = r.options.Layers; r.cache == nil {
		r.cache = image.NewCache(filepath.Join(r.builder.CacheDir, "layers"))
	}
	for _, target := range missing {
		r.named[target.Ref] = true
		for _, spec := range target.Specs {
			r.addBases(spec)
		}
	}
	var group sync.WaitGroup
	err = r.realise(ctx, missing, roots, func(target *release.Target) {
		group.Go(func() { r.make(ctx, target) })
	})
	group.Wait()
	if err != nil && r.hasFailed() && r.builder.FailFast {
		err, r.interrupted = nil, context.Cause(ctx) // the first failure ended nix
	}
	return err
}

// hasFailed reports whether an image has failed.
func (r *run) hasFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.results, func(result Result) bool { return result.State == state.Failed })
}

// make makes one image, and finishes its result.
func (r *run) make(ctx context.Context, target *release.Target) {
	started := time.Now()
	result, err := r.image(ctx, target)
	result.Time = r.progress.spent(target.ID) + time.Since(started)
	if err != nil {
		if ctx.Err() != nil {
			r.mu.Lock()
			r.interrupted = context.Cause(ctx)
			r.mu.Unlock()
			if !r.builder.FailFast {
				return
			}
		}
		result.State, result.Err = state.Failed, failureOf(err, target)
	}
	r.finish(result)
}

func (r *run) addBases(spec *catalog.Spec) {
	for _, base := range spec.Dependencies() {
		r.isBase[base.Key()] = true
		if base.Kind() == catalog.KindNix && base.Tools() != nil {
			r.isBase[base.Production().Key()] = true
		}
		r.addBases(base)
	}
}

// outputs lists what Nix must build for an image.
func (r *run) outputs(target *release.Target) []nix.Output {
	var outputs []nix.Output
	for _, spec := range target.Specs {
		if r.options.Rebuild || r.bases.Found(spec.Key()) == nil {
			outputs = append(outputs, r.outputsOf(spec)...)
		}
	}
	return outputs
}

// outputsOf lists what Nix must build for an image and for its dependencies, unless these
// were found.
func (r *run) outputsOf(spec *catalog.Spec) []nix.Output {
	var outputs []nix.Output
	for _, derivation := range spec.Content.Derivations() {
		outputs = append(outputs, outputOf(derivation))
	}
	for _, dependency := range spec.Dependencies() {
		if r.bases.Found(dependency.Key()) == nil {
			outputs = append(outputs, r.outputsOf(dependency)...)
		}
	}
	return outputs
}

func outputOf(derivation *catalog.Derivation) nix.Output {
	output := nix.Output{Path: derivation.Out}
	if derivation.Drv != nil {
		output.Drv = *derivation.Drv
	}
	return output
}
