package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/sign"
)

// imagePush is the publishing of one image.
type imagePush struct {
	publisher *Publisher
	release   *releasePush
	rel       *state.Release
	target    *release.Target
	selected  bool
	found     *state.Image           // in the layout or in the registry; nil before
	adopted   bool                   // it is in the registry, and lacks only the gaps
	gaps      []state.Gap            // missing attachments
	former    map[string]name.Digest // by platform, the manifests of the former release
	documents map[int]*sbom.Document // by manifest, the SBOMs that this run made
	attaching *sign.Attacher         // nil until needed
	replacing map[string][]byte      // by type, the new VEX documents, if there are former ones; otherwise nil
	failure   *release.Failure
}

// steps returns the steps for an image, in order. An adopted image gets its missing
// attachments, any other image all of them.
func (i *imagePush) steps() []step {
	return []step{
		{"find", i.isFound, nil},
		{"push", i.isPushed, i.pushIndex},
		{"inspect", i.isInspected, nil},
		{"gather", i.isGathered, i.gather},
		{"sbom", i.hasSBOMs, i.attestSBOMs},
		{"vex", i.hasVEX, i.attestVEX},
		{"provenance", i.hasProvenance, i.attestProvenance},
		{"sign", i.isSigned, i.sign},
		{"attach", i.hasAll, i.attach},
		{"verify", i.hasAll, i.verify},
	}
}

// siblingSteps returns the steps for an image that is not selected, but that its release
// needs.
func (i *imagePush) siblingSteps() []step {
	return []step{
		{"find", i.isInLayout, nil},
		{"look", i.isThere, nil},
	}
}

// errNotThere means that an image was not selected and does not exist either.
var errNotThere = errors.New("not there")

// waits says what the image waits for.
func (i *imagePush) waits(reason string) {
	if i.selected {
		i.publisher.Builder.Watcher.Progress(i.target.ID, build.StepWait, 0, 0, reason)
	}
}

// push runs the steps of an image, up to the first that fails.
func (i *imagePush) push(ctx context.Context) *release.Failure {
	switch {
	case i.failure != nil:
		return i.failure
	case i.adopted && len(i.gaps) == 0:
		return nil
	case !i.selected:
		return i.run(ctx, i.siblingSteps())
	}
	return i.run(ctx, i.steps())
}

func (i *imagePush) run(ctx context.Context, steps []step) *release.Failure {
	for _, step := range steps {
		if i.selected {
			i.publisher.Builder.Watcher.Progress(i.target.ID, build.StepPublish, 0, 0, step.name)
		}
		if _, err := i.publisher.run(ctx, step); err != nil {
			return &release.Failure{Step: step.name, Err: state.Explained(err)}
		}
	}
	return nil
}

// digest returns the digest of the index in the registry, or the zero value before it is
// known.
func (i *imagePush) digest() name.Digest {
	if i.found == nil {
		return name.Digest{}
	}
	return i.found.Subject
}

// adopt uses the image that a reference names if it has the wanted key and was made by this
// catalogue's signer: a record names it (isRecorded), or an attachment proves it.
func (i *imagePush) adopt(ctx context.Context, reference name.Reference, isRecorded bool) error {
	said, err := i.publisher.Reader.Said(i.rel, i.target)
	if err != nil {
		return err
	}
	found, gaps, err := i.publisher.Reader.Adopt(ctx, i.target, reference, isRecorded, said)
	if err == nil && found != nil {
		i.found, i.gaps, i.adopted = found, gaps, true
	}
	return err
}

// isThere returns a skip if the registry has the image with everything that belongs to it.
func (i *imagePush) isThere(ctx context.Context) (skip, error) {
	err := i.publisher.Reader.Attached(ctx, i.found)
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, sign.ErrNotAttached) {
		return "", errNotThere
	}
	return "it is published", err
}

func (i *imagePush) isFound(ctx context.Context) (skip, error) {
	if i.adopted {
		return "it is published", nil
	}
	return i.isInLayout(ctx)
}

// isInLayout reads the image from the layout that build wrote.
func (i *imagePush) isInLayout(context.Context) (skip, error) {
	p := i.publisher
	dist, err := p.layout()
	if err != nil {
		return "", err
	}
	entry, found, err := dist.Lookup(i.target.Ref.String())
	if err != nil {
		return "", err
	}
	there := entry.Complete || !slices.ContainsFunc(entry.Missing, func(blob v1.Hash) bool { return !p.registry().HasBlob(blob) })
	if !found || !there || entry.Annotations[image.ImageKeyAnnotation] != i.target.Key() {
		return "", errNotThere
	}
	manifests, err := dist.Manifests(entry.Descriptor)
	if err != nil {
		return "", err
	}
	tag, err := p.registry().Tag(i.target.Ref)
	if err != nil {
		return "", err
	}
	said, err := p.Reader.Said(i.rel, i.target)
	if err != nil {
		return "", err
	}
	i.found = &state.Image{Target: i.target, Index: entry.Descriptor, Manifests: manifests, Subject: tag.Context().Digest(entry.Digest.String()), Said: said}
	if p.signing() != nil {
		i.gaps = i.found.AllGaps()
	}
	return "it is in the layout", nil
}

func (i *imagePush) isPushed(context.Context) (skip, error) {
	if i.adopted {
		return "it is published", nil
	}
	return "", nil // pushing checks each blob
}

func (i *imagePush) pushIndex(ctx context.Context) error {
	_, err := i.publisher.registry().PushIndex(ctx, i.publisher.Reader.Output, i.found.Index.Digest, i.target.Ref)
	return err
}
