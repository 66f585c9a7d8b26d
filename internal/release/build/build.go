// Package build makes the images of a catalogue: it evaluates, realises and assembles them,
// and writes them into an OCI layout.
package build

import (
	"context"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
)

// Step is what is being done for an image.
type Step string

const (
	StepEvaluate      Step = "evaluate"
	StepWait          Step = "wait"          // line is what it waits for: "for nix"
	StepBuild         Step = "build"         // done and total count derivations
	StepContainerfile Step = "containerfile" // … steps of the Containerfile
	StepLayers        Step = "layers"        // … layers
	StepFetch         Step = "fetch"         // line is the base that is fetched
	StepPublish       Step = "publish"       // line is the name of the step
)

// Watcher receives the progress of images, from several goroutines. line is the last line
// of a build's output, unescaped.
type Watcher interface {
	Evaluated(images int)
	Progress(id catalog.ID, step Step, done, total int, line string)
	Realising(all, left Realising)        // what Nix has to do, and what is left of it
	Realised(done Realising)              // what Nix has done
	Failing(id catalog.ID, tail []string) // a build that the image needs has failed; the last lines of its output
	Finished(Result)
	Published(id catalog.ID, outcome state.State, reason string)
	Warn(id catalog.ID, warning string)
}

// Builder builds images of a catalogue into an OCI layout.
type Builder struct {
	Nix       *nix.Nix
	Catalogue *nix.Catalogue
	Engine    containerfile.Choice // for Containerfiles
	Storage   int64                // bytes of bases that the engine keeps, 0 for the default
	Steps     containerfile.Steps  // for the steps of Containerfiles
	Output    string               // directory of the OCI layout
	CacheDir  string
	LogDir    string        // whole outputs of failed builds
	Jobs      int           // number of images assembled, and of Containerfiles built, in parallel
	FailFast  bool          // stop at the first failure
	Files     *sbom.Scanner // for SBOMs
	Creator   string        // URL or email address of the person or organisation that makes the images, for SBOMs
	Watcher   Watcher

	// Published returns the registry of the releases, and how their signatures are
	// verified. Bases that Output lacks come from there. It is called when needed. If it is
	// nil or returns a nil client, bases come from Output only.
	Published func(context.Context) (*registry.Client, *state.Signing, error)

	known   inventory
	kept    kept
	outputs map[string]bool // outputs of Nix for the images of all runs
}

// Result is the outcome of one image.
type Result struct {
	ID      catalog.ID
	State   state.State
	Ref     catalog.Ref
	Digest  string        // of the index
	Size    int64         // bytes of all blobs, compressed, each once
	Layers  int           // of the first platform's manifest
	Time    time.Duration // time of Nix for the image's derivations and of the steps after it, without waiting
	Skipped []release.Skip
	Err     *release.Failure // the step that failed
}

// Options are the options of one build of targets.
type Options struct {
	Output  string             // directory of the OCI layout
	Layers  *image.Cache       // nil: one in the cache directory
	Remote  func(v1.Hash) bool // reports whether the registry has a blob; the layout need not have such blobs; nil: the registry has none
	Bases   state.BaseOptions  // where to find bases; Output, Warn and Fetch are set by the build
	Rebuild bool               // build images again that are in the layout or published
	Made    func(Result)       // called for each result, by several goroutines; may be nil

	// Layer is called for each layer of an image as soon as the layout has it, or Remote said so, by
	// several goroutines. It must not wait. It may be nil.
	Layer func(catalog.ID, image.Layer)
}

// Options returns the options of a build that publishes nothing.
func (b *Builder) Options() Options {
	return Options{Output: b.Output, Bases: state.BaseOptions{Where: b.Published}}
}

// Build builds the requested images that the layout lacks. It continues after failures: each
// is in the result of its image. The results are in the order of the images; an app that
// cannot be evaluated has one result. An error ends the whole run.
func (b *Builder) Build(ctx context.Context, request nix.Request) ([]Result, error) {
	evaluation, err := b.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, err
	}
	all := release.Targets(evaluation.Images)
	b.Watcher.Evaluated(len(all))
	var broken []Result
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		result := Result{ID: catalog.ID{App: app}, State: state.Failed, Err: NotEvaluated(evaluation.Failures[app])}
		b.Watcher.Finished(result)
		broken = append(broken, result)
	}
	if len(broken) > 0 && b.FailFast {
		return broken, nil
	}
	results, err := b.BuildTargets(ctx, all, b.Options())
	results = append(results, broken...)
	slices.SortFunc(results, func(x, y Result) int { return x.ID.Compare(y.ID) })
	return results, err
}

// BuildTargets builds the targets that the layout lacks.
func (b *Builder) BuildTargets(ctx context.Context, all []*release.Target, o Options) ([]Result, error) {
	dist, err := layout.Create(ctx, o.Output, func() {
		b.Watcher.Warn(catalog.ID{}, "another libre writes to "+o.Output+": waiting until it is done")
	})
	if err != nil {
		return nil, err
	}
	defer dist.Close()
	return b.buildInto(ctx, dist, all, o)
}

// buildInto builds the targets that an open layout lacks.
func (b *Builder) buildInto(ctx context.Context, dist *layout.Layout, all []*release.Target, o Options) ([]Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	local, err := state.ReadLocal(dist)
	if err != nil {
		return nil, err
	}
	r := newRun(b, dist, local, o, stop)
	missing := r.sort(ctx, local, all)
	b.remember(nix.PathsOf(r.outputsOfAll(all)))
	if len(missing) > 0 {
		if err := r.build(ctx, missing); err != nil {
			return nil, err
		}
		if _, err := dist.Prune(); err != nil { // the images are built all the same
			b.Watcher.Warn(catalog.ID{}, err.Error())
		}
	}
	return r.results, r.interrupted
}
