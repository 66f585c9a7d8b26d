package release

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
)

// build makes the wanted images, once it is sure that they may be pushed: that
// may take an hour. What else is wrong with a registry shows when it matters.
func (p *Publisher) build(ctx context.Context, releases []*variantRelease, wanted []*Target) error {
	if len(wanted) == 0 {
		return nil
	}
	if !p.DryRun {
		if p.Signing != nil {
			if _, err := p.Signing.Signer(); err != nil {
				return err
			}
			go func() { _, _ = p.Files.Tools(ctx) }() // it takes a while to start
		}
		if err := p.checkPush(ctx, releases, wanted); err != nil {
			return err
		}
		wanted = slices.DeleteFunc(wanted, func(target *Target) bool { return refuses(releases, target) })
	}
	builder := *p.Builder
	builder.publishing, builder.published = true, p.recorded(releases)
	builder.Published = func(context.Context) (*registry.Client, *Signing, error) { return p.Registry, p.Signing, nil }
	built, err := builder.buildTargets(ctx, wanted)
	for _, result := range built {
		if result.State == Failed {
			failed(releases, result)
		}
	}
	return err
}

// recorded are the manifests that the records of releases name, by image key. What is
// built is built on these, whatever the layout has.
func (p *Publisher) recorded(releases []*variantRelease) map[string]name.Digest {
	all := map[string]name.Digest{}
	for _, release := range releases {
		if there := release.there; there.RemoteState == AsWanted {
			for _, target := range release.targets() {
				for _, spec := range target.Specs {
					if digest, err := there.record.imageFor(p.Registry, spec); err == nil {
						all[spec.Key()] = digest
					}
				}
			}
		}
		for _, adopted := range release.images {
			for _, manifest := range adopted.manifests {
				all[manifest.Annotations[image.ImageKeyAnnotation]] = adopted.subject.Context().Digest(manifest.Digest.String())
			}
		}
	}
	return all
}

// checkPush asks whether the wanted images can be pushed, before any is built: of a
// release that is published for the first time each repository is tried, since some
// registries want them to be created first. What is refused fails alone; a login that
// is refused ends all.
func (p *Publisher) checkPush(ctx context.Context, releases []*variantRelease, wanted []*Target) error {
	if err := p.Registry.CheckPush(ctx, wanted[0].Ref); fault.Is(err, fault.Credentials) {
		return err
	}
	refused := make([]error, len(releases))
	inParallel(lookers, releases, func(n int, release *variantRelease) {
		if !release.isFirst || !slices.ContainsFunc(release.targets(), func(t *Target) bool { return slices.Contains(wanted, t) }) {
			return
		}
		names := []catalog.Ref{release.ref()}
		for _, target := range release.targets() {
			if slices.Contains(wanted, target) {
				names = append(names, target.Ref)
			}
		}
		for _, name := range names {
			if refused[n] = p.Registry.CheckPush(ctx, name); refused[n] != nil {
				return
			}
		}
	})
	for n, release := range releases {
		switch {
		case fault.Is(refused[n], fault.Credentials):
			return refused[n]
		case fault.Is(refused[n], fault.NotFound):
			for _, image := range release.images {
				image.failure = &Failure{Step: "push", Err: refused[n]}
			}
		}
	}
	return nil
}

// refuses tells whether the registry takes no push of an image.
func refuses(releases []*variantRelease, target *Target) bool {
	return slices.ContainsFunc(releases, func(release *variantRelease) bool {
		return slices.ContainsFunc(release.images, func(image *publication) bool { return image.target == target && image.failure != nil })
	})
}

// failed notes a failed build with the image's publication.
func failed(releases []*variantRelease, result Result) {
	for _, release := range releases {
		for _, image := range release.images {
			if image.target.ID == result.ID {
				image.failure = result.Err
			}
		}
	}
}
