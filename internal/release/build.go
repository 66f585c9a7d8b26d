package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sbom"
)

// Step names what is being done for an image.
type Step string

const (
	StepEvaluate      Step = "evaluate"
	StepWait          Step = "wait"          // for nix to be done with the others
	StepBuild         Step = "build"         // done and total count derivations
	StepContainerfile Step = "containerfile" // … steps of the Containerfile
	StepLayers        Step = "layers"        // … layers
	StepFetch         Step = "fetch"         // line names what is fetched, that others are built on
	StepPublish       Step = "publish"       // line names what is done of it
)

// Watcher hears how an image comes along, from several goroutines. line is the
// last line of a build's output, as it came.
type Watcher interface {
	Evaluated(images int)
	Progress(id catalog.ID, step Step, done, total int, line string)
	Realising(all, left Realising) // what Nix has to do, and what of it is left
	Realised(done Realising)       // what Nix did
	Finished(Result)
	Warn(id catalog.ID, warning string)
}

// Builder builds images of a catalogue into an OCI layout.
type Builder struct {
	Nix       *nix.Nix
	Catalogue *nix.Catalogue
	Engine    string              // for Containerfiles: buildah, podman or docker; "" finds one
	Storage   int64               // bytes of bases that the engine keeps, 0 for the default
	Steps     containerfile.Steps // what the steps of Containerfiles get
	Output    string              // directory of the OCI layout
	CacheDir  string
	LogDir    string        // whole outputs of failed builds
	Jobs      int           // images assembled, and Containerfiles built, at once
	FailFast  bool          // stop at the first failure
	Files     *sbom.Scanner // for SBOMs
	Watcher   Watcher

	// Published says where releases are published, and who signs them: what images are
	// built on comes from there where Output has it not. It is asked for when that is
	// needed; nil, or no client: there is no such place.
	Published func(context.Context) (*registry.Client, *Signing, error)

	layers     *image.Cache           // nil: one of the run's own
	publishing bool                   // what is published goes before what is built
	published  map[string]name.Digest // by image key, what records that were verified name
	rebuild    bool                   // build the images, though they are there
	planning   bool                   // bring nothing into the layout
}

// Build builds what is not in the layout yet, and goes on after failures. The
// results are in the order of the images; an app that cannot be evaluated is one
// result. An error is one of the whole run.
func (b *Builder) Build(ctx context.Context, request nix.Request) ([]Result, error) {
	evaluation, err := b.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, err
	}
	all := targets(evaluation.Images)
	b.Watcher.Evaluated(len(all))
	var broken []Result
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		result := Result{ID: catalog.ID{App: app}, State: Failed, Err: notEvaluated(evaluation.Failures[app])}
		b.Watcher.Finished(result)
		broken = append(broken, result)
	}
	if len(broken) > 0 && b.FailFast {
		return broken, nil
	}
	results, err := b.buildTargets(ctx, all)
	results = append(results, broken...)
	slices.SortFunc(results, func(x, y Result) int { return x.ID.Compare(y.ID) })
	return results, err
}

// notEvaluated is the failure of an app that cannot be evaluated. Its log has a
// column of its own.
func notEvaluated(err error) *Failure {
	var failure *nix.EvaluationFailure
	if errors.As(err, &failure) {
		made := &Failure{Step: string(StepEvaluate), Log: failure.Log}
		made.problems(errors.New(failure.Message))
		return made
	}
	return &Failure{Step: string(StepEvaluate), Err: err}
}

// buildTargets builds what the layout lacks of the targets, into it.
func (b *Builder) buildTargets(ctx context.Context, all []*Target) ([]Result, error) {
	dist, err := layout.Create(ctx, b.Output, func() {
		b.Watcher.Warn(catalog.ID{}, "another libre writes to "+b.Output+": waiting until it is done")
	})
	if err != nil {
		return nil, err
	}
	defer dist.Close()
	return b.buildInto(ctx, dist, all)
}

// buildInto builds what a layout lacks of the targets, into it.
func (b *Builder) buildInto(ctx context.Context, dist *layout.Layout, all []*Target) ([]Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &run{Builder: b, layout: dist, stop: stop, manifests: map[string]*manifest{}, finished: map[string]*manifest{}}
	missing, err := r.sort(ctx, all)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := r.build(ctx, missing); err != nil {
			return nil, err
		}
		if _, err := dist.Prune(); err != nil {
			return nil, err
		}
	}
	return r.results, r.interrupted
}

// run is one call of Build.
type run struct {
	*Builder
	layout *layout.Layout
	stop   context.CancelFunc
	slots  chan struct{}

	store    nix.Store
	valid    map[string]bool              // store paths that were built
	failures map[string]*nix.BuildFailure // by derivation
	progress *buildProgress
	cache    *image.Cache
	bases    map[string]bool      // image keys of what Containerfiles build on
	taken    takenImages          // settled before images are made
	named    map[catalog.Ref]bool // targets that are made

	engineOnce sync.Once
	engine     *containerfile.Builder
	engineErr  error

	mu          sync.Mutex
	results     []Result
	manifests   map[string]*manifest // by image key
	finished    map[string]*manifest // those of them that are made
	interrupted error
}

// sort finishes the targets that need no work, and gives the others.
func (r *run) sort(ctx context.Context, all []*Target) (missing []*Target, err error) {
	have, err := readBuilt(r.layout)
	if err != nil {
		return nil, err
	}
	r.taken = newTakenImages(have)
	plans, entries := have.plans(all, nil)
	for i, target := range all {
		result := Result{ID: target.ID, Ref: target.Ref, Skipped: target.Skipped}
		switch {
		case len(target.Specs) == 0:
			result.State = Skipped
			r.finish(result)
		case plans[i].Action == ToNothing && !r.isOutdated(ctx, target):
			result.State = Unchanged
			result.measure(entries[i])
			r.finish(result)
		default:
			missing = append(missing, target)
		}
	}
	return missing, nil
}

// measure fills in what people compare.
func (r *Result) measure(entry layout.Entry) {
	r.Digest, r.Size, r.Layers = entry.Digest.String(), entry.Content.Size, entry.Content.Layers
}

func (r *run) finish(result Result) {
	r.mu.Lock()
	r.results = append(r.results, result)
	r.mu.Unlock()
	r.Watcher.Finished(result)
	if result.State == Failed && r.FailFast {
		r.stop()
	}
}

// build realises all that the targets need with one call of nix, then makes
// their images.
func (r *run) build(ctx context.Context, missing []*Target) error {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(roots)
	r.takeFor(ctx, missing)
	if err := r.realise(ctx, missing, roots); err != nil {
		return err
	}
	if r.cache = r.layers; r.cache == nil {
		r.cache = image.NewCache(filepath.Join(r.CacheDir, "layers"))
	}
	r.bases = map[string]bool{}
	r.named = map[catalog.Ref]bool{}
	for _, target := range missing {
		r.named[target.Ref] = true
		for _, spec := range target.Specs {
			r.addBases(spec)
		}
	}
	r.slots = make(chan struct{}, r.Jobs)
	var group sync.WaitGroup
	for _, target := range missing {
		group.Go(func() {
			started := time.Now()
			result, err := r.image(ctx, target)
			result.Time = r.progress.spent(target.ID) + time.Since(started)
			if err != nil {
				if ctx.Err() != nil {
					r.mu.Lock()
					r.interrupted = context.Cause(ctx)
					r.mu.Unlock()
					if !r.FailFast {
						return
					}
				}
				result.State, result.Err = Failed, failureOf(err, target)
			}
			r.finish(result)
		})
	}
	group.Wait()
	return nil
}

func (r *run) addBases(spec *catalog.Spec) {
	for _, base := range dependencies(spec) {
		r.bases[base.Key()] = true
		if base.Kind == "nix" && base.Tools != nil {
			r.bases[production(base).Key()] = true
		}
		r.addBases(base)
	}
}

// realise builds what Nix builds for the targets, and reads the closures.
func (r *run) realise(ctx context.Context, missing []*Target, roots string) error {
	outputs := map[string]nix.Output{}
	for _, target := range missing {
		for _, output := range r.outputs(target) {
			outputs[output.Path] = output
		}
	}
	paths := slices.Sorted(maps.Keys(outputs))
	var wanted []nix.Output
	for _, path := range paths {
		wanted = append(wanted, outputs[path])
	}
	r.progress = newBuildProgress(r.Watcher, missing, r.outputs)
	var err error
	if r.failures, err = r.Nix.Realise(ctx, wanted, roots, r.progress.event); err != nil {
		return err
	}
	r.progress.end()
	if r.valid, err = r.Nix.Valid(ctx, paths); err != nil {
		return err
	}
	r.store, err = r.Nix.ReadStore(ctx, slices.Sorted(maps.Keys(r.valid)))
	return err
}

// outputs lists what Nix must build for an image.
func (r *run) outputs(target *Target) []nix.Output {
	var outputs []nix.Output
	for _, spec := range target.Specs {
		if r.rebuild || r.taken.byKey[spec.Key()] == nil {
			outputs = append(outputs, r.outputsOf(spec)...)
		}
	}
	return outputs
}

// outputsOf lists what Nix must build for an image that is made, and for what it is made
// of, unless that is taken as it is.
func (r *run) outputsOf(spec *catalog.Spec) []nix.Output {
	realisables := []*catalog.Derivation{spec.Rootfs, spec.Fetch, spec.Tools}
	if spec.Kind == "containerfile" && spec.Tools != nil {
		realisables = []*catalog.Derivation{spec.Tools} // the source is of what they are added to
	}
	var outputs []nix.Output
	for _, realisable := range realisables {
		if realisable != nil {
			outputs = append(outputs, outputOf(realisable))
		}
	}
	for _, dependency := range dependencies(spec) {
		if r.taken.byKey[dependency.Key()] == nil {
			outputs = append(outputs, r.outputsOf(dependency)...)
		}
	}
	return outputs
}

func outputOf(realisable *catalog.Derivation) nix.Output {
	output := nix.Output{Path: realisable.Out}
	if realisable.Drv != nil {
		output.Drv = *realisable.Drv
	}
	return output
}

// require gives the store path of a realisable, or why there is none.
func (r *run) require(realisable *catalog.Derivation) (string, error) {
	if r.valid[realisable.Out] {
		return realisable.Out, nil
	}
	if realisable.Drv == nil {
		return "", fmt.Errorf("%s is not in the store", realisable.Out)
	}
	return "", nix.FailureOf(*realisable.Drv, r.failures)
}

// problems takes an error that has a line for each problem: the first is the reason, and
// all are shown where there are more.
func (f *Failure) problems(err error) {
	f.Err = err
	if lines := strings.Split(err.Error(), "\n"); len(lines) > 1 {
		f.Err, f.Tail = fmt.Errorf("%s; and %d more", lines[0], len(lines)-1), lines
	}
}

// failureOf puts an error of any step into the form that the table shows.
func failureOf(err error, target *Target) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	var build *nix.BuildFailure
	if errors.As(err, &build) {
		return &Failure{Step: string(StepBuild), Err: err, Tail: build.Tail, Log: build.Log}
	}
	var engine *containerfile.Error
	if errors.As(err, &engine) {
		return &Failure{Step: string(StepContainerfile), Err: err, Tail: engine.Tail, Log: engine.Log}
	}
	if target.Specs[0].Kind == "containerfile" {
		made := &Failure{Step: string(StepContainerfile)}
		made.problems(err)
		return made
	}
	return &Failure{Step: string(StepLayers), Err: err}
}
