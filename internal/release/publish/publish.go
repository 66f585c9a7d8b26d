// Package publish publishes images. Nobody ever sees a tag without a signature, or only a part
// of a release.
package publish

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
)

// Publisher publishes the images of a catalogue.
type Publisher struct {
	Reader    *state.Reader // compares with what is published, and has the registries
	Builder   *build.Builder
	BuildInfo func() (BuildInfo, error) // called for the first provenance of the run
	DryRun    bool                      // write to no registry
	Force     bool                      // replace tags that have other content
	Resign    bool                      // sign statements that a former key signed again with the present key
	Shard     release.Shard             // the part of the selected apps to publish; zero for all

	// Inspect refuses a new image because of its contents: an error holds its release back. If it
	// is nil, no image is refused.
	Inspect func(context.Context, Inspected) error

	layers *image.Cache
	dist   atomic.Pointer[layout.Layout] // where images are built; nil until it is opened
}

// Result is the outcome of one image or release record.
type Result struct {
	Name   string      // app/component/variant, or app/variant of a record
	Ref    catalog.Ref // of the tag below
	State  state.State
	Digest name.Digest // of the index, or of the record
	Tag    name.Tag
	Reason string           // why it was held back, or what was attached or signed
	Err    *release.Failure // the step that failed
}

// run runs a step. A dry run only checks whether it is done.
func (p *Publisher) run(ctx context.Context, s step) (skip, error) {
	var drive driver = perform
	if p.DryRun {
		drive = ask
	}
	return drive(ctx, s)
}

// made returns the state that a run leads to, or DryRun.
func (p *Publisher) made(s state.State) state.State {
	if p.DryRun {
		return state.DryRun
	}
	return s
}

// layout opens the layout in which images are built. All images share it, because index.json is
// read for each of them, and has all.
func (p *Publisher) layout() (*layout.Layout, error) {
	if opened := p.dist.Load(); opened != nil {
		return opened, nil
	}
	opened, err := layout.Open(p.Reader.Output)
	if err != nil {
		return nil, err
	}
	p.dist.CompareAndSwap(nil, opened)
	return p.dist.Load(), nil
}

func (p *Publisher) registry() *registry.Client { return p.Reader.Registry }

func (p *Publisher) signing() *state.Signing { return p.Reader.Signing }

func (p *Publisher) warn(id catalog.ID, warning string) { p.Builder.Watcher.Warn(id, warning) }

// senders is the number of images that are sent in parallel. Most of the time they wait for
// the registry.
const senders = 6

// Push publishes the selected images. It builds missing images, runs the steps of each image,
// then those of each release's record. It continues after failures. Running it again completes
// what failed.
func (p *Publisher) Push(ctx context.Context, request nix.Request) ([]Result, error) {
	evaluated, evaluation, err := p.Reader.Releases(ctx, request)
	if err != nil {
		return nil, err
	}
	evaluated = p.inShard(evaluated)
	var results []Result
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		if !p.Shard.Has(app) {
			continue
		}
		results = append(results, Result{Name: app, State: state.Failed, Err: build.NotEvaluated(evaluation.Failures[app])})
	}
	if len(results) > 0 && p.Builder.FailFast {
		return results, nil
	}
	p.layers = image.NewCache(filepath.Join(p.Builder.CacheDir, "layers"))
	var releases []*releasePush
	selected := 0
	for _, rel := range evaluated {
		push := p.newRelease(rel)
		for _, image := range push.images {
			if image.selected {
				selected++
			}
		}
		releases = append(releases, push)
	}
	p.Builder.Watcher.Evaluated(selected)
	state.InParallel(state.Readers, releases, func(_ int, r *releasePush) { r.outcome = p.prepare(ctx, r) })
	for _, r := range releases {
		if r.there.State == state.Published || r.mending {
			p.Builder.RememberPublished(r.rel.Targets)
		}
	}
	defer p.registry().CancelUploads(ctx)
	working, stop := context.WithCancel(ctx)
	defer stop()
	building, err := p.build(working, releases)
	if err != nil {
		return results, err
	}
	p.publishAll(working, building, stop)
	stop() // of no use any more are the layers of images that failed
	building.ahead.Wait()
	for _, r := range releases {
		results = append(results, r.outcome...)
	}
	if p.Builder.FailFast && ctx.Err() == nil { // stopped images did not fail
		results = slices.DeleteFunc(results, func(r Result) bool { return r.Err != nil && errors.Is(r.Err, context.Canceled) })
	}
	if err := building.err; err != nil && !(p.Builder.FailFast && errors.Is(err, context.Canceled)) {
		return results, err
	}
	return results, ctx.Err()
}

// inShard returns the releases in the shard.
func (p *Publisher) inShard(all []*state.Release) []*state.Release {
	if p.Shard == (release.Shard{}) {
		return all
	}
	var targets []*release.Target
	for _, rel := range all {
		targets = append(targets, rel.Targets...)
	}
	groups := release.Groups(targets)
	return slices.DeleteFunc(all, func(rel *state.Release) bool { return !p.Shard.Has(groups[rel.App.Name]) })
}

// publishAll publishes releases as they are ready. stop ends the run at the first failure.
func (p *Publisher) publishAll(ctx context.Context, building *building, stop context.CancelFunc) {
	slots := make(release.Slots, senders)
	var group sync.WaitGroup
	for batch := building.next(); len(batch) > 0; batch = building.next() {
		defer p.prepareSBOMs(ctx, batch)() // until all are published
		for _, r := range batch {
			group.Go(func() {
				r.outcome = p.publish(ctx, r, r.outcome, slots)
				if p.Builder.FailFast && slices.ContainsFunc(r.outcome, func(r Result) bool { return r.Err != nil }) {
					stop()
				}
			})
		}
	}
	group.Wait()
}

// publish runs the steps of a prepared release, in every registry.
func (p *Publisher) publish(ctx context.Context, rel *releasePush, published []Result, slots release.Slots) []Result {
	switch {
	case published != nil:
	case rel.mending:
		published = p.mend(ctx, rel, slots)
	default:
		published = p.pushRelease(ctx, rel, slots)
	}
	p.tell(rel, published)
	if p.Resign && whole(published) {
		published = p.resign(ctx, rel, published)
	}
	if !whole(published) {
		return published
	}
	all := slices.Concat(published, p.moveTags(ctx, p.registry(), rel, published))
	copies := map[*registry.Client][]Result{p.registry(): published}
	for _, to := range p.Reader.CopyTo {
		copied := p.copyRelease(ctx, to, rel, published)
		if all = append(all, copied...); whole(copied) {
			all = append(all, p.moveTags(ctx, to, rel, copied)...)
			copies[to] = copied
		}
	}
	// The copies have the statement that the record had before.
	for _, in := range append([]*registry.Client{p.registry()}, p.Reader.CopyTo...) {
		if present := copies[in]; present != nil && !p.isAnnounced(in, rel, present[len(present)-1].Digest) {
			all = append(all, p.announce(ctx, in, rel, present)...)
		}
	}
	return all
}

// tell reports the results of the selected images of a release.
func (p *Publisher) tell(rel *releasePush, results []Result) {
	for _, image := range rel.images {
		of := slices.IndexFunc(results, func(r Result) bool { return r.Name == image.target.ID.String() })
		if of < 0 || !image.selected || image.failure != nil || results[of].Err != nil && errors.Is(results[of].Err, context.Canceled) {
			continue // it has no result, was reported before, or was stopped
		}
		reason := results[of].Reason
		if err := results[of].Err; err != nil {
			reason = err.Error()
		}
		p.Builder.Watcher.Published(image.target.ID, results[of].State, reason)
	}
}

// whole reports whether the record and all images of a release are published.
func whole(outcome []Result) bool {
	has := []state.State{state.Published, state.Unchanged, state.Attached, state.Signed, state.DryRun}
	return !slices.ContainsFunc(outcome, func(r Result) bool { return !slices.Contains(has, r.State) })
}
