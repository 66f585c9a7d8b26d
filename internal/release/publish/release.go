package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// releasePush is the publishing of one release.
type releasePush struct {
	rel     *state.Release
	images  []*imagePush                      // in the order of the release's targets
	there   state.Remote                      // state before the run
	record  name.Digest                       // digest of a published record that lacks its tag; otherwise zero
	prefix  *string                           // REGISTRY[/NAMESPACE] in the record, if it is another registry's; otherwise nil
	mending bool                              // it is published, and only attachments are missing
	isFirst bool                              // no release was published before
	former  state.Withdrawals                 // statement of the newest record before the run
	copied  map[*registry.Client]state.Copied // content of the copies before the run, for those that were compared
	outcome []Result                          // nil before it is known
}

func (p *Publisher) newRelease(rel *state.Release) *releasePush {
	r := &releasePush{rel: rel, copied: map[*registry.Client]state.Copied{}}
	for _, target := range rel.Targets {
		r.images = append(r.images, &imagePush{publisher: p, release: r, rel: rel, target: target, selected: rel.IsSelected(target)})
	}
	return r
}

// prepare compares a release with the registry, and adopts images that are published
// already. It returns the outcome if there is nothing to do or the release cannot be
// published, and nil otherwise.
func (p *Publisher) prepare(ctx context.Context, r *releasePush) []Result {
	failed := func(err error) []Result {
		return []Result{{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "look", Err: err}}}
	}
	there, err := p.Reader.Compare(ctx, r.rel)
	if err != nil {
		return failed(err)
	}
	switch {
	case there.State == state.Published:
		r.there = there
		return p.unchanged(r)
	case there.State == state.OtherContent && !p.Force:
		return failed(state.OtherContentError(there.Other, r.rel.App.Name, there.Reason))
	case (there.State == state.Moved || there.IsElsewhere()) && !p.Force:
		return failed(there.Err)
	case there.State == state.NotPublished || there.State == state.NotTagged || there.State == state.NotSigned:
		if refusal := p.Reader.Refusal(r.rel); refusal != nil {
			return failed(refusal)
		}
	}
	r.there, r.isFirst = there, there.Former == ""
	for _, image := range r.images {
		if !there.IsRecorded() && there.State != state.NotSigned && image.target.Reproducible() || there.State == state.Incomplete && !there.LacksOf(image.target) {
			continue // it is built, or needs nothing
		}
		reference, err := p.reference(there, image.target)
		if err == nil {
			err = image.adopt(ctx, reference, there.IsRecorded())
		}
		if err != nil {
			return failed(err)
		}
	}
	adopted := !slices.ContainsFunc(r.images, func(i *imagePush) bool {
		return !i.adopted && (there.State != state.Incomplete || there.LacksOf(i.target))
	})
	switch {
	case adopted && there.State == state.Incomplete:
		r.mending = true
		return nil
	case adopted && there.IsRecorded():
		r.record = there.Digest
	case adopted && there.State == state.NotSigned:
		record, err := p.Reader.Recognise(ctx, r.rel, r.found(), there.Digest)
		if err != nil {
			return failed(err)
		}
		if record != nil { // the same record is signed again
			r.prefix = &record.Registry
		}
	}
	if err := p.loadKnownLayers(ctx, r, there.Former); err != nil {
		p.warn(catalog.ID{App: r.rel.App.Name}, "reading its published release: "+err.Error())
	}
	return nil
}

// found returns the images in the layout or in the registry.
func (r *releasePush) found() []*state.Image {
	var all []*state.Image
	for _, image := range r.images {
		all = append(all, image.found)
	}
	return all
}

// unchanged returns the outcome of a published release.
func (p *Publisher) unchanged(r *releasePush) []Result {
	var results []Result
	for _, image := range r.images {
		tag, digest, _ := r.there.Record.Image(p.registry(), image.target.ID.Component) // Compare used these already
		results = append(results, Result{Name: image.target.ID.String(), Ref: image.target.Ref, State: state.Unchanged, Digest: digest, Tag: tag})
	}
	tag, _ := p.registry().Tag(r.rel.Ref())
	return append(results, Result{Name: r.rel.Name(), Ref: r.rel.Ref(), State: state.Unchanged, Digest: r.there.Digest, Tag: tag})
}

// reference returns the reference of a published image: the digest in a verified record, or
// else its tag.
func (p *Publisher) reference(there state.Remote, target *release.Target) (name.Reference, error) {
	if there.IsRecorded() {
		_, digest, err := there.Record.Image(p.registry(), target.ID.Component)
		return digest, err
	}
	return p.registry().Tag(target.Ref)
}

// pushRelease publishes the images of a release, and sets tags when all exist. slots limits
// the number of images that are sent in parallel.
func (p *Publisher) pushRelease(ctx context.Context, r *releasePush, slots release.Slots) []Result {
	failures := make([]*release.Failure, len(r.images))
	state.InParallel(len(r.images), r.images, func(n int, image *imagePush) {
		free, err := slots.Take(ctx, image.waits)
		if err != nil {
			failures[n] = &release.Failure{Step: "push", Err: err}
			return
		}
		defer free()
		if failures[n] = image.push(ctx); failures[n] == nil && len(r.images) > 1 {
			image.waits("for the other images of its release")
		}
	})
	var results []Result
	lacks := "" // why the release is not complete
	for n, image := range r.images {
		result := Result{Name: image.target.ID.String(), Ref: image.target.Ref, State: state.Held, Digest: image.digest()}
		switch err := failures[n]; {
		case err == nil:
		case errors.Is(err, errNotThere):
			lacks = result.Name + " is not published yet"
			continue
		default:
			result.State, result.Err = state.Failed, err
			lacks = result.Name + " failed"
		}
		results = append(results, result)
	}
	if lacks != "" {
		for i := range results {
			if results[i].State == state.Held {
				results[i].Reason = "not tagged: " + lacks
			}
		}
		return results
	}
	record, err := p.pushRecord(ctx, r)
	if errors.Is(err, state.ErrOtherContent) && p.adoptConcurrent(ctx, r) {
		record, err = p.pushRecord(ctx, r)
	}
	if err != nil {
		record = Result{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "record", Err: err}}
	}
	for i := range results {
		if err == nil {
			results[i].State, results[i].Digest = record.State, r.images[i].digest()
			results[i].Tag, _ = p.registry().Tag(results[i].Ref)
		} else {
			results[i].Reason = "the release record failed"
		}
	}
	return append(results, record)
}

// adoptConcurrent adopts images with the same keys that another run has tagged meanwhile.
// Two builds of a Containerfile differ, and the one that is published first stays.
func (p *Publisher) adoptConcurrent(ctx context.Context, r *releasePush) bool {
	taken := false
	for _, image := range r.images {
		if image.adopted || image.target.Reproducible() {
			continue
		}
		tag, err := p.registry().Tag(image.target.Ref)
		if err != nil || image.adopt(ctx, tag, false) != nil || image.adopted && len(image.gaps) > 0 {
			return false // the release is refused
		}
		taken = taken || image.adopted
	}
	return taken
}

// pushRecord publishes the release record, then tags the images, and the record last.
func (p *Publisher) pushRecord(ctx context.Context, r *releasePush) (Result, error) {
	ref := r.rel.Ref()
	result := Result{Name: r.rel.Name(), Ref: ref, State: p.made(state.Published)}
	var err error
	if result.Tag, err = p.registry().Tag(ref); err != nil {
		return result, err
	}
	var artifact registry.Artifact
	if artifact, result.Digest, err = p.recordOf(ctx, r); err != nil {
		return result, err
	}
	var tags []state.Tagging
	for _, image := range r.images {
		tags = append(tags, state.Tagging{Ref: image.target.Ref, Digest: image.digest()})
	}
	tags = append(tags, state.Tagging{Ref: ref, Digest: result.Digest})
	for _, s := range []step{
		{"record", func(context.Context) (skip, error) { return r.hasRecord(), nil }, func(ctx context.Context) error {
			return p.putRecord(ctx, r, artifact, result.Digest)
		}},
		p.tagStep(p.registry(), r.rel.App.Name, tags),
	} {
		if _, err := p.run(ctx, s); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (r *releasePush) hasRecord() skip {
	if r.record != (name.Digest{}) {
		return "the record is published"
	}
	return ""
}

// recordOf returns the record of a release and its digest. For a published record it
// returns no artifact.
func (p *Publisher) recordOf(ctx context.Context, r *releasePush) (registry.Artifact, name.Digest, error) {
	if r.hasRecord() != "" {
		return registry.Artifact{}, r.record, nil
	}
	prefix, err := p.Reader.Prefix(r.rel)
	if err != nil {
		return registry.Artifact{}, name.Digest{}, err
	}
	if r.prefix != nil {
		prefix = *r.prefix
	}
	record, err := p.Reader.NewRecord(ctx, prefix, r.rel, r.found())
	if err != nil {
		return registry.Artifact{}, name.Digest{}, err
	}
	artifact, err := record.Artifact()
	if err != nil {
		return registry.Artifact{}, name.Digest{}, err
	}
	digest, err := p.registry().ArtifactDigest(r.rel.Ref(), artifact)
	return artifact, digest, err
}

// putRecord pushes a record by digest and signs it.
func (p *Publisher) putRecord(ctx context.Context, r *releasePush, artifact registry.Artifact, digest name.Digest) error {
	if _, err := p.registry().PushArtifact(ctx, r.rel.Ref(), artifact); err != nil || p.signing() == nil {
		return err
	}
	signer, err := p.signing().Signer()
	if err == nil {
		_, err = p.signing().Client.Sign(ctx, signer, digest)
	}
	if err == nil && r.former.Version > 0 {
		err = p.carryOver(ctx, r, digest)
	}
	return state.Explained(err)
}
