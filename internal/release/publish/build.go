package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
)

// A building is a build that continues while its finished images are published.
type building struct {
	ready chan *releasePush // releases whose wanted images were all made or failed; closed at the end
	err   error             // the error that ended the build; set before ready is closed
	ahead *registry.Ahead   // sends the layers of wanted images as they are written

	mu      sync.Mutex
	wanted  map[catalog.ID]*imagePush // images without a result
	unbuilt map[*releasePush]int      // number of wanted images without a result
}

// build starts to make the wanted images of releases. It checks push access first, because a
// build may take an hour.
func (p *Publisher) build(ctx context.Context, releases []*releasePush) (*building, error) {
	b := &building{
		ready: make(chan *releasePush, len(releases)), ahead: p.registry().NewAhead(p.layout),
		wanted: map[catalog.ID]*imagePush{}, unbuilt: map[*releasePush]int{},
	}
	wanted := wantedOf(releases)
	if len(wanted) > 0 && !p.DryRun {
		if p.signing() != nil {
			if _, err := p.signing().Signer(); err != nil {
				return nil, err
			}
			go func() { _, _ = p.Builder.Files.Tools(ctx) }() // it is slow to start
		}
		if err := p.checkPush(ctx, releases, wanted); err != nil {
			return nil, err
		}
		wanted = slices.DeleteFunc(wanted, func(image *imagePush) bool { return image.failure != nil })
	}
	for _, image := range wanted {
		b.wanted[image.target.ID] = image
		b.unbuilt[image.release]++
	}
	for _, r := range releases {
		if b.unbuilt[r] == 0 {
			b.ready <- r
		}
	}
	recorded := p.recorded(releases) // before anything is published
	go func() {
		defer close(b.ready)
		if len(wanted) > 0 {
			b.err = p.make(ctx, b, wanted, recorded)
			b.end()
		}
	}()
	return b, nil
}

// make builds images into the layout. recorded has the manifests that records name, by image key.
func (p *Publisher) make(ctx context.Context, b *building, wanted []*imagePush, recorded map[string]name.Digest) error {
	var targets []*release.Target
	refs := map[catalog.ID]catalog.Ref{}
	for _, image := range wanted {
		targets = append(targets, image.target)
		refs[image.target.ID] = image.target.Ref
	}
	_, err := p.Builder.BuildTargets(ctx, targets, build.Options{
		Output: p.Reader.Output, Layers: p.layers, Remote: p.registry().HasBlob, Made: b.made,
		Layer: func(of catalog.ID, layer image.Layer) {
			if ref, isWanted := refs[of]; isWanted && !p.DryRun {
				b.ahead.Send(ctx, ref, layer.Descriptor)
			}
		},
		Bases: state.BaseOptions{
			Where:   func(context.Context) (*registry.Client, *state.Signing, error) { return p.registry(), p.signing(), nil },
			ForPush: true, Recorded: recorded,
		},
	})
	return err
}

// made records the result of an image. If it is the last of its release, the release is ready.
func (b *building) made(result build.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	image := b.wanted[result.ID]
	delete(b.wanted, result.ID)
	if result.State == state.Failed {
		image.failure = result.Err
	}
	if b.unbuilt[image.release]--; b.unbuilt[image.release] == 0 {
		b.ready <- image.release
	}
}

// end makes releases with a failed image ready, if a failure ended the build before their other
// images were made.
func (b *building) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed []*releasePush
	for _, image := range b.wanted {
		hasFailed := func(other *imagePush) bool {
			return other.failure != nil && !errors.Is(other.failure, context.Canceled)
		}
		if slices.ContainsFunc(image.release.images, hasFailed) && !slices.Contains(failed, image.release) {
			failed = append(failed, image.release)
		}
		image.failure = &release.Failure{Step: "build", Err: context.Canceled}
	}
	for _, r := range failed {
		b.ready <- r
	}
}

// together is how long the first ready release waits for others while images are built. One
// question to the package set about all of them takes as long as a question about one.
const together = 2 * time.Second

// next returns the releases to publish next, or none at the end of the build.
func (b *building) next() []*releasePush {
	first, more := <-b.ready
	if !more {
		return nil
	}
	batch, enough := []*releasePush{first}, time.After(together)
	for {
		select {
		case r, more := <-b.ready:
			if !more {
				return batch
			}
			batch = append(batch, r)
		case <-enough:
			return batch
		}
	}
}

// wantedOf returns the selected images that must be built.
func wantedOf(releases []*releasePush) []*imagePush {
	var wanted []*imagePush
	for _, r := range releases {
		for _, image := range r.images {
			if r.outcome == nil && !r.mending && image.selected && !image.adopted {
				wanted = append(wanted, image)
			}
		}
	}
	return wanted
}

// recorded returns the manifests in the records of releases, by image key. Images are built
// on these, not on those in the layout.
func (p *Publisher) recorded(releases []*releasePush) map[string]name.Digest {
	all := map[string]name.Digest{}
	for _, r := range releases {
		if there := r.there; there.State == state.Published {
			for _, target := range r.rel.Targets {
				for _, spec := range target.Specs {
					if digest, err := there.Record.ImageFor(p.registry(), spec); err == nil {
						all[spec.Key()] = digest
					}
				}
			}
		}
		for _, adopted := range r.images {
			if adopted.found == nil {
				continue
			}
			for _, manifest := range adopted.found.Manifests {
				all[manifest.Annotations[image.ImageKeyAnnotation]] = adopted.found.Subject.Context().Digest(manifest.Digest.String())
			}
		}
	}
	return all
}

// checkPush checks push access for the wanted images. It tries each repository of a release
// that is published for the first time, because some registries do not create them on push, and
// each one at all if the first is refused: the registry may be read-only. A refused repository
// fails its release; a refused login ends the run.
func (p *Publisher) checkPush(ctx context.Context, releases []*releasePush, wanted []*imagePush) error {
	first := p.registry().CheckPush(ctx, wanted[0].target.Ref)
	if fault.Is(first, fault.Credentials) {
		return first
	}
	isReadOnly := fault.Is(first, fault.Refused)
	refused := make([]error, len(releases))
	state.InParallel(state.Readers, releases, func(n int, r *releasePush) {
		if !r.isFirst && !isReadOnly || !slices.ContainsFunc(r.images, func(image *imagePush) bool { return slices.Contains(wanted, image) }) {
			return
		}
		names := []catalog.Ref{r.rel.Ref()}
		for _, image := range r.images {
			if slices.Contains(wanted, image) {
				names = append(names, image.target.Ref)
			}
		}
		for _, name := range names {
			if refused[n] = p.registry().CheckPush(ctx, name); refused[n] != nil {
				return
			}
		}
	})
	for n, r := range releases {
		switch {
		case fault.Is(refused[n], fault.Credentials):
			return refused[n]
		case fault.Is(refused[n], fault.NotFound), fault.Is(refused[n], fault.Refused):
			for _, image := range r.images {
				image.failure = &release.Failure{Step: "push", Err: refused[n]}
			}
		}
	}
	return nil
}
