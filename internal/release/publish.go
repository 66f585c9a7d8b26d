package release

import (
	"context"
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// Publisher publishes images so that nobody ever sees an unsigned tag, or half
// of a release.
type Publisher struct {
	*Builder
	Registry      *registry.Client
	CopyTo        []*registry.Client        // further registries that get the same
	Signing       *Signing                  // nil: nothing is signed, nor attested
	Circumstances func() (BuildInfo, error) // asked for when the first provenance is written
	DryRun        bool                      // write nothing
	Force         bool                      // replace tags that have other content
	Deep          bool                      // read and verify all that is attached to what is published
	Resign        bool                      // say anew with the present key what a former one signed
	AlsoTags      []string                  // moving tags, as catalog.CheckMovingTag takes them
}

// Signing is how attachments are made and checked.
type Signing struct {
	Client *sign.Client
	Signer func() (*sign.Signer, error) // opens the secret at the first call; nil where only the policy is needed
	Policy *sign.Policy
}

// Published is what became of one image or release record.
type Published struct {
	Name   string // app/component/variant, or app/variant of a record
	State  PublishState
	Ref    catalog.Ref // zero where the whole release failed
	Digest name.Digest // of the index, or of the record
	Tag    name.Tag    // Ref in its registry
	Reason string      // why it was held back, what was replaced
	Err    *Failure    // where it failed
}

// PublishState is what became of an image or record.
type PublishState string

const (
	IsPublished   PublishState = "published" // this run did
	WasThere      PublishState = "unchanged" // it was published before
	Attached      PublishState = "attached"  // again, what was gone
	Resigned      PublishState = "signed"    // anew, with the present key
	Moved         PublishState = "moved"     // a moving tag
	Held          PublishState = "held"      // pushed by digest, without a tag: its release is not whole
	WouldBe       PublishState = "dry-run"
	PublishFailed PublishState = "failed"
)

// variantRelease is all images of an app's variant: what becomes visible at once.
type variantRelease struct {
	app     catalog.App
	variant string
	images  []*publication
	record  name.Digest // that is published already, and lacks a tag, or has lost it; else zero
	there   standing    // before the run
	place   *string     // that its record says it is for, where that is not the registry; nil else
	mending bool        // it is published, and nothing but attachments are gone
	isFirst bool        // nothing of it was published before
}

func (r *variantRelease) name() string { return r.app.Name + "/" + r.variant }

// ref is the record's.
func (r *variantRelease) ref() catalog.Ref { return r.app.RecordRef(r.variant) }

func (r *variantRelease) targets() []*Target {
	var all []*Target
	for _, image := range r.images {
		all = append(all, image.target)
	}
	return all
}

// Push publishes the selected images: it builds what is missing, and does for
// each image publishSteps, then for each release what publishRecord does. It goes
// on after failures, and running it again completes it.
func (p *Publisher) Push(ctx context.Context, request nix.Request) ([]Published, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var results []Published
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		results = append(results, Published{Name: app, State: PublishFailed, Err: notEvaluated(evaluation.Failures[app])})
	}
	if len(results) > 0 && p.FailFast {
		return results, nil
	}
	p.layers = image.NewCache(filepath.Join(p.CacheDir, "layers"))
	outcomes := make([][]Published, len(releases)) // of the releases that need no work, or cannot have it
	inParallel(lookers, releases, func(n int, release *variantRelease) {
		outcomes[n] = p.prepare(ctx, release)
	})
	var wanted []*Target
	for n, release := range releases {
		for _, image := range release.images {
			if outcomes[n] == nil && !release.mending && image.selected && !image.adopted {
				wanted = append(wanted, image.target)
			}
		}
	}
	defer p.Registry.CancelUploads(ctx)
	if err := p.build(ctx, releases, wanted); err != nil {
		return results, err
	}
	parent := ctx
	ctx, stop := context.WithCancel(parent)
	defer stop()
	room := make(chan struct{}, senders)
	inParallel(len(releases), releases, func(n int, release *variantRelease) {
		outcomes[n] = p.publish(ctx, release, outcomes[n], room)
		if p.FailFast && slices.ContainsFunc(outcomes[n], func(r Published) bool { return r.Err != nil }) {
			stop()
		}
	})
	for _, outcome := range outcomes {
		results = append(results, outcome...)
	}
	if p.FailFast && parent.Err() == nil { // what was stopped did not fail
		results = slices.DeleteFunc(results, func(r Published) bool { return r.Err != nil && errors.Is(r.Err, context.Canceled) })
	}
	return results, parent.Err()
}

// publish does all that a release takes that was prepared, in every registry.
func (p *Publisher) publish(ctx context.Context, release *variantRelease, published []Published, room chan struct{}) []Published {
	switch {
	case published != nil:
	case release.mending:
		published = p.mend(ctx, release, room)
	default:
		published = p.release(ctx, release, room)
	}
	if p.Resign && whole(published) {
		published = p.resign(ctx, release, published)
	}
	if !whole(published) {
		return published
	}
	all := slices.Concat(published, p.moveTags(ctx, p.Registry, release, published))
	for _, to := range p.CopyTo {
		copied := p.copyRelease(ctx, to, release, published)
		if all = append(all, copied...); whole(copied) {
			all = append(all, p.moveTags(ctx, to, release, copied)...)
		}
	}
	return all
}

// whole tells whether all of a release, record included, has its tags now.
func whole(outcome []Published) bool {
	return !slices.ContainsFunc(outcome, func(r Published) bool {
		return r.State != IsPublished && r.State != WasThere && r.State != Attached && r.State != Resigned && r.State != WouldBe
	})
}

// How many releases are looked at, and images sent, at a time. Much of it is
// waiting for the registry.
const (
	lookers = 64
	senders = 6
)

// inParallel calls do for each of a list, some at the same time.
func inParallel[T any](limit int, list []T, do func(int, T)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for n, element := range list {
		group.Go(func() error {
			do(n, element)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

// prepare finds out what a release needs: nothing where it has an outcome
// already. An image that is published as it should be is adopted.
func (p *Publisher) prepare(ctx context.Context, release *variantRelease) []Published {
	failed := func(err error) []Published {
		return []Published{{Name: release.name(), State: PublishFailed, Err: &Failure{Step: "look", Err: err}}}
	}
	there, err := p.look(ctx, release)
	if err != nil {
		return failed(err)
	}
	switch {
	case there.RemoteState == AsWanted:
		release.there = there
		return there.published(p, release)
	case there.RemoteState == OtherContent && !p.Force:
		return failed(otherContent(there.other, release.app.Name, there.reason))
	case (there.RemoteState == WasMoved || there.isElsewhere()) && !p.Force:
		return failed(there.err)
	}
	release.there = there
	release.isFirst = there.former == ""
	for _, image := range release.images {
		if !there.recorded() && there.RemoteState != NotSigned && image.target.reproducible() || there.RemoteState == Incomplete && !there.lacksOf(image) {
			continue // it is built as it was, or needs nothing
		}
		reference, err := there.reference(p, image)
		if err == nil {
			err = image.adopt(ctx, p, reference, there.recorded())
		}
		if err != nil {
			return failed(err)
		}
	}
	adopted := !slices.ContainsFunc(release.images, func(i *publication) bool { return !i.adopted && (there.RemoteState != Incomplete || there.lacksOf(i)) })
	switch {
	case adopted && there.RemoteState == Incomplete:
		release.mending = true
		return nil
	case adopted && there.recorded():
		release.record = there.digest
	case adopted && there.RemoteState == NotSigned:
		if err := p.recognise(ctx, release); err != nil {
			return failed(err)
		}
	}
	if err := p.loadKnownLayers(ctx, release, there.former); err != nil {
		p.Watcher.Warn(catalog.ID{App: release.app.Name}, "reading what is published of it: "+err.Error())
	}
	return nil
}

// published is the outcome of a release that needs nothing.
func (s standing) published(p *Publisher, release *variantRelease) []Published {
	var results []Published
	for _, image := range release.images {
		component := s.record.Components[image.target.Component]
		tag, _ := p.Registry.Tag(component.Reference) // looked at before
		results = append(results, Published{Name: image.target.ID.String(), Ref: component.Reference, State: WasThere, Digest: tag.Context().Digest(component.Digest), Tag: tag})
	}
	tag, _ := p.Registry.Tag(release.ref())
	return append(results, Published{Name: release.name(), Ref: release.ref(), State: WasThere, Digest: s.digest, Tag: tag})
}

// recorded tells whether a record that is right names the images.
func (s standing) recorded() bool {
	return s.RemoteState == Untagged || s.RemoteState == Incomplete || s.RemoteState == WasMoved && s.record != nil
}

// lacksOf tells whether something is gone that was attached to an image.
func (s standing) lacksOf(i *publication) bool {
	return slices.ContainsFunc(s.lacks, func(l Lacking) bool { return path.Base(l.Digest.Context().RepositoryStr()) == i.target.Name() })
}

// reference is where an image is found as it was published: by the digest that
// a record of ours names, else by its tag.
func (s standing) reference(p *Publisher, i *publication) (name.Reference, error) {
	tag, err := p.Registry.Tag(i.target.Ref)
	if err == nil && s.recorded() {
		return tag.Context().Digest(s.record.Components[i.target.Component].Digest), nil
	}
	return tag, err
}

// releases evaluates the selected images and their siblings: whether a release
// is whole depends on these too.
func (p *Publisher) releases(ctx context.Context, request nix.Request) ([]*variantRelease, *nix.Evaluation, error) {
	selected := request.Patterns
	request.Patterns = nil
	for _, pattern := range selected {
		request.Patterns = append(request.Patterns, catalog.Pattern{App: pattern.App, Component: "*", Variant: pattern.Variant})
	}
	request.AllSystems = true
	go p.Registry.Warm(ctx)
	evaluation, err := p.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	if _, err := catalog.SelectImages(selected, evaluation.Apps); err != nil {
		return nil, nil, err
	}
	byName := map[string]*variantRelease{}
	var all []*variantRelease
	for _, target := range targets(evaluation.Images) {
		if len(target.Specs) == 0 {
			continue // no system has it: the release is whole without it
		}
		app := evaluation.Apps[target.App]
		release := byName[target.App+"/"+target.Variant]
		if release == nil {
			release = &variantRelease{app: app, variant: target.Variant}
			byName[release.name()] = release
			all = append(all, release)
		}
		release.images = append(release.images, &publication{
			target: target, app: app,
			selected: slices.ContainsFunc(selected, func(s catalog.Pattern) bool { return s.Match(target.ID) }),
		})
	}
	return all, evaluation, nil
}

// adoptConcurrent takes what another run has tagged since, if it is of the same keys: what
// a Containerfile makes differs from time to time, and the first one stands.
func (p *Publisher) adoptConcurrent(ctx context.Context, release *variantRelease) bool {
	taken := false
	for _, image := range release.images {
		if image.adopted || image.target.reproducible() {
			continue
		}
		tag, err := p.Registry.Tag(image.target.Ref)
		if err != nil || image.adopt(ctx, p, tag, false) != nil || len(image.gaps) > 0 {
			return false // the refusal stands
		}
		taken = taken || image.adopted
	}
	return taken
}

// release publishes the images of a release, and tags when all are there. room
// is for those who send at the same time.
func (p *Publisher) release(ctx context.Context, release *variantRelease, room chan struct{}) []Published {
	failures := make([]*Failure, len(release.images))
	inParallel(len(release.images), release.images, func(n int, image *publication) {
		room <- struct{}{}
		defer func() { <-room }()
		failures[n] = image.publish(ctx, p)
	})
	var results []Published
	whole := ""
	for n, image := range release.images {
		result := Published{Name: image.target.ID.String(), Ref: image.target.Ref, State: Held, Digest: image.subject}
		switch err := failures[n]; {
		case err == nil:
		case errors.Is(err, errNotThere):
			whole = result.Name + " is not published yet"
			continue
		default:
			result.State, result.Err = PublishFailed, err
			whole = result.Name + " failed"
		}
		results = append(results, result)
	}
	if whole != "" {
		for i := range results {
			if results[i].State == Held {
				results[i].Reason = "not tagged: " + whole
			}
		}
		return results
	}
	record, err := p.publishRecord(ctx, release)
	if errors.Is(err, errOtherContent) && p.adoptConcurrent(ctx, release) {
		record, err = p.publishRecord(ctx, release)
	}
	if err != nil {
		record = Published{Name: release.name(), State: PublishFailed, Err: &Failure{Step: "record", Err: err}}
	}
	for i := range results {
		if err == nil {
			results[i].State, results[i].Digest = record.State, release.images[i].subject
			results[i].Tag, _ = p.Registry.Tag(release.images[i].target.Ref)
		} else {
			results[i].Reason = "the release record failed"
		}
	}
	return append(results, record)
}
