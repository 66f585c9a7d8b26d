package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// imagePush is an image that is published.
type imagePush struct {
	publisher *Publisher
	app       catalog.App
	target    *release.Target
	selected  bool
	found     *state.Image           // in the layout or in the registry; nil before
	adopted   bool                   // it is in the registry, and needs no more than its gaps
	gaps      []state.Gap            // the attachments that it lacks
	former    map[string]name.Digest // by platform, the manifests that were published before
	attaching *sign.Attacher         // nil until it is needed
	failure   *release.Failure
}

// steps are what is done for an image, in this order. An image that is adopted gets the
// attachments that it lacks, any other all of them.
func (i *imagePush) steps() []step {
	return []step{
		{"find", i.isFound, nil},
		{"push", i.isPushed, i.pushIndex},
		{"attach", i.isGathered, i.gather},
		{"sbom", i.hasSBOMs, i.attachSBOMs},
		{"provenance", i.hasProvenance, i.attachProvenance},
		{"sign", i.isSigned, i.sign},
		{"verify", i.isVerified, i.verify},
	}
}

// siblingSteps are what is done for an image that is not selected: its release waits for
// it.
func (i *imagePush) siblingSteps() []step {
	return []step{
		{"find", i.isInLayout, nil},
		{"look", i.isThere, nil},
	}
}

// errNotThere says that an image was not selected and is not there either.
var errNotThere = errors.New("not there")

// push does the steps of an image, up to the first that fails.
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

// digest is the index's in the registry, zero before it is found.
func (i *imagePush) digest() name.Digest {
	if i.found == nil {
		return name.Digest{}
	}
	return i.found.Subject
}

// adopt takes the image that a reference names as it is, if it has the wanted key and is
// ours: isRecorded says that a record of ours names it.
func (i *imagePush) adopt(ctx context.Context, reference name.Reference, isRecorded bool) error {
	found, gaps, err := i.publisher.Reader.Adopt(ctx, i.target, reference, isRecorded)
	if err == nil && found != nil {
		i.found, i.gaps, i.adopted = found, gaps, true
	}
	return err
}

// isThere finds out whether an image is in the registry, with all that belongs to it.
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
	dist, err := layout.Open(p.Reader.Output)
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
	i.found = &state.Image{Target: i.target, Index: entry.Descriptor, Manifests: manifests, Subject: tag.Context().Digest(entry.Digest.String())}
	if p.signing() != nil {
		i.gaps = i.found.AllGaps()
	}
	return "it is in the layout", nil
}

func (i *imagePush) isPushed(context.Context) (skip, error) {
	if i.adopted {
		return "it is published", nil
	}
	return "", nil // pushing asks for each blob
}

func (i *imagePush) pushIndex(ctx context.Context) error {
	_, err := i.publisher.registry().PushIndex(ctx, i.publisher.Reader.Output, i.found.Index.Digest, i.target.Ref)
	return err
}
