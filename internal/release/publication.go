package release

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
	"github.com/libresh/libre/internal/sign"
)

// publication is one image on its way.
type publication struct {
	target    *Target
	app       catalog.App
	selected  bool
	adopted   bool                   // it is in the registry, and needs no more than its gaps
	gaps      []gap                  // of what was attached to it
	known     map[v1.Hash]bool       // blobs that its repository has for certain; nil where nothing is known of it
	former    map[string]name.Digest // by platform, the manifests that were published before
	index     v1.Descriptor
	manifests []v1.Descriptor // by platform
	subject   name.Digest     // the index in the registry
	attaching *sign.Attacher  // nil until it is needed
	failure   *Failure
}

// imageStep is one step of publishing an image.
type imageStep struct {
	name string
	do   func(*publication, context.Context, *Publisher) error
}

// publishSteps are what is done for an image, in this order. Each asks the registry
// what is there, so that doing it again does nothing.
var publishSteps = []imageStep{
	{"find", (*publication).find},
	{"push", (*publication).push},
	{"sbom", (*publication).attachSBOMs},
	{"provenance", (*publication).attachProvenance},
	{"sign", (*publication).sign},
	{"verify", (*publication).verify},
}

// siblingSteps are what is done for an image that is not selected: its release
// waits for it.
var siblingSteps = []imageStep{
	{"find", (*publication).find},
	{"look", (*publication).look},
}

// errNotThere says that an image was not selected and is not there either.
var errNotThere = errors.New("not there")

func (i *publication) publish(ctx context.Context, p *Publisher) *Failure {
	if i.failure != nil {
		return i.failure
	}
	if i.adopted && len(i.gaps) == 0 {
		return nil
	}
	if i.adopted && i.selected {
		return i.run(ctx, p, mendSteps)
	}
	if !i.selected {
		return i.run(ctx, p, siblingSteps)
	}
	return i.run(ctx, p, publishSteps)
}

func (i *publication) run(ctx context.Context, p *Publisher, steps []imageStep) *Failure {
	for _, step := range steps {
		if i.selected {
			p.Watcher.Progress(i.target.ID, StepPublish, 0, 0, step.name)
		}
		if err := step.do(i, ctx, p); err != nil {
			return &Failure{Step: step.name, Err: explained(err)}
		}
	}
	return nil
}

// look finds out whether an image is in the registry, with all that belongs to it.
func (i *publication) look(ctx context.Context, p *Publisher) error {
	_, err := p.Registry.Head(ctx, i.subject)
	if err == nil && p.Signing != nil {
		for _, subject := range i.subjects() {
			if _, _, err = verifyImage(ctx, p.Signing, subject); err != nil {
				break
			}
		}
	}
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, sign.ErrNotAttached) {
		return errNotThere
	}
	return err
}

// find reads the image from the layout that build wrote.
func (i *publication) find(ctx context.Context, p *Publisher) error {
	dist, err := layout.Open(p.Output)
	if err != nil {
		return err
	}
	entry, found, err := dist.Lookup(i.target.Ref.String())
	if err != nil {
		return err
	}
	there := entry.Complete || !slices.ContainsFunc(entry.Missing, func(blob v1.Hash) bool { return !p.layers.HasRemote(blob) })
	if !found || !there || entry.Annotations[image.ImageKeyAnnotation] != i.target.Key() {
		return errNotThere
	}
	i.index = entry.Descriptor
	if i.manifests, err = dist.Manifests(entry.Descriptor); err != nil {
		return err
	}
	tag, err := p.Registry.Tag(i.target.Ref)
	if err != nil {
		return err
	}
	i.subject = tag.Context().Digest(i.index.Digest.String())
	return nil
}

func (i *publication) push(ctx context.Context, p *Publisher) error {
	if p.DryRun {
		return nil
	}
	var known func(v1.Hash) bool
	if i.known != nil {
		known = func(blob v1.Hash) bool { return i.known[blob] }
	}
	_, err := p.Registry.PushIndex(ctx, p.Output, i.index.Digest, i.target.Ref, known)
	return err
}

// subjects are the index and its children: a verifier resolves a tag to the
// first, an operator may pin one of the others.
func (i *publication) subjects() []name.Digest {
	all := []name.Digest{i.subject}
	for _, manifest := range i.manifests {
		all = append(all, i.subject.Context().Digest(manifest.Digest.String()))
	}
	return all
}

func (i *publication) attachSBOMs(ctx context.Context, p *Publisher) error {
	if p.DryRun || p.Signing == nil {
		return nil
	}
	attacher, err := i.attacher(p)
	if err != nil {
		return err
	}
	for n, manifest := range i.manifests {
		documents, err := p.sboms(ctx, i, n)
		if err != nil {
			return err
		}
		child := i.subject.Context().Digest(manifest.Digest.String())
		for _, kind := range []string{CycloneDXType, SPDXType} {
			if _, err := attacher.Attest(ctx, kind, documents[kind], i.subject, child); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *publication) attachProvenance(ctx context.Context, p *Publisher) error {
	if p.DryRun || p.Signing == nil {
		return nil
	}
	return i.attestProvenance(ctx, p, i.subjects()...)
}

func (i *publication) attestProvenance(ctx context.Context, p *Publisher, subjects ...name.Digest) error {
	attacher, err := i.attacher(p)
	if err != nil {
		return err
	}
	circumstances, err := p.Circumstances()
	if err != nil {
		return err
	}
	predicate, err := provenance(i.app, i.target, p.bases(i), circumstances)
	if err != nil {
		return err
	}
	_, err = attacher.Attest(ctx, ProvenanceType, predicate, subjects...)
	return err
}

func (i *publication) sign(ctx context.Context, p *Publisher) error {
	if p.DryRun || p.Signing == nil {
		return nil
	}
	attacher, err := i.attacher(p)
	if err == nil {
		_, err = attacher.Sign(ctx, i.subjects()...)
	}
	return err
}

// verify reads back all that was attached, as a consumer would. Without the referrers
// API attachments are in one list, which two runs at once overwrite with theirs: who
// finds out that something is missing adds it.
func (i *publication) verify(ctx context.Context, p *Publisher) error {
	if p.DryRun || p.Signing == nil {
		return nil
	}
	attacher, err := i.attacher(p)
	if err == nil {
		err = attacher.Confirm(ctx)
	}
	return err
}

// attacher is what an image's steps share.
func (i *publication) attacher(p *Publisher) (*sign.Attacher, error) {
	if i.attaching == nil {
		signer, err := p.Signing.Signer()
		if err != nil {
			return nil, err
		}
		i.attaching = p.Signing.Client.Attacher(signer)
	}
	return i.attaching, nil
}
