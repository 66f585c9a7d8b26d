package publish

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
)

// build makes the wanted images. It checks push access first, because a build may take an
// hour.
func (p *Publisher) build(ctx context.Context, releases []*releasePush, wanted []*release.Target) error {
	if len(wanted) == 0 {
		return nil
	}
	if !p.DryRun {
		if p.signing() != nil {
			if _, err := p.signing().Signer(); err != nil {
				return err
			}
			go func() { _, _ = p.Builder.Files.Tools(ctx) }() // it is slow to start
		}
		if err := p.checkPush(ctx, releases, wanted); err != nil {
			return err
		}
		wanted = slices.DeleteFunc(wanted, func(target *release.Target) bool { return refuses(releases, target) })
	}
	built, err := p.Builder.BuildTargets(ctx, wanted, build.Options{
		Output: p.Reader.Output, Layers: p.layers, Remote: p.registry().HasBlob,
		Bases: state.BaseOptions{
			Where:   func(context.Context) (*registry.Client, *state.Signing, error) { return p.registry(), p.signing(), nil },
			ForPush: true, Recorded: p.recorded(releases),
		},
	})
	for _, result := range built {
		if result.State == state.Failed {
			failed(releases, result)
		}
	}
	return err
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
// that is published for the first time, because some registries do not create them on push.
// A refused repository fails its release; a refused login ends the run.
func (p *Publisher) checkPush(ctx context.Context, releases []*releasePush, wanted []*release.Target) error {
	if err := p.registry().CheckPush(ctx, wanted[0].Ref); fault.Is(err, fault.Credentials) {
		return err
	}
	refused := make([]error, len(releases))
	state.InParallel(state.Readers, releases, func(n int, r *releasePush) {
		if !r.isFirst || !slices.ContainsFunc(r.rel.Targets, func(t *release.Target) bool { return slices.Contains(wanted, t) }) {
			return
		}
		names := []catalog.Ref{r.rel.Ref()}
		for _, target := range r.rel.Targets {
			if slices.Contains(wanted, target) {
				names = append(names, target.Ref)
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
		case fault.Is(refused[n], fault.NotFound):
			for _, image := range r.images {
				image.failure = &release.Failure{Step: "push", Err: refused[n]}
			}
		}
	}
	return nil
}

// refuses reports whether the registry refused an image.
func refuses(releases []*releasePush, target *release.Target) bool {
	return slices.ContainsFunc(releases, func(r *releasePush) bool {
		return slices.ContainsFunc(r.images, func(image *imagePush) bool { return image.target == target && image.failure != nil })
	})
}

// failed records the failed build of an image.
func failed(releases []*releasePush, result build.Result) {
	for _, r := range releases {
		for _, image := range r.images {
			if image.target.ID == result.ID {
				image.failure = result.Err
			}
		}
	}
}
