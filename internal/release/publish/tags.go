package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// tagStep sets all tags or none: it reads all of them before it sets the first.
func (p *Publisher) tagStep(in *registry.Client, app string, tags []state.Tagging) step {
	return step{
		"tag",
		func(ctx context.Context) (skip, error) {
			err := p.checkTags(ctx, in, app, tags)
			if !slices.ContainsFunc(tags, func(t state.Tagging) bool { return !t.Done() }) {
				return "all tags are set", err
			}
			return "", err
		},
		func(ctx context.Context) error { return p.setTags(ctx, in, app, tags) },
	}
}

// setTags sets checked tags, in order, and reports those that it replaced. Before it sets any
// tag but the first, it checks it again, because others may have set it meanwhile.
func (p *Publisher) setTags(ctx context.Context, in *registry.Client, app string, tags []state.Tagging) error {
	for i := range tags {
		tag := &tags[i]
		if i > 0 {
			if err := p.checkTags(ctx, in, app, tags[i:i+1]); err != nil {
				return err
			}
		}
		if tag.Done() {
			continue
		}
		switch err := in.SetTag(ctx, tag.Ref, tag.Digest); {
		case errors.Is(err, registry.ErrTagMoved) && !p.Force:
			return state.OtherContentError(tag.Ref, app, "somebody set it at the same time")
		case keepsTags(err):
			return kept(err, tag.Now, fmt.Sprintf("raise the package version with %q", state.RepackCommand(app)))
		case err != nil:
			return err
		}
		if tag.Now != "" {
			p.warn(catalog.ID{App: app}, fmt.Sprintf("%s is replaced: it was %s", tag.Ref, tag.Now))
		}
	}
	return nil
}

// checkTags reads the digests that tags point to. It returns an error if a tag points to
// something else, unless it is to be replaced.
func (p *Publisher) checkTags(ctx context.Context, in *registry.Client, app string, tags []state.Tagging) error {
	if err := state.ReadTags(ctx, in, tags); err != nil {
		return err
	}
	for _, tag := range tags {
		if tag.Now != "" && !tag.Done() && !p.Force {
			return state.OtherContentError(tag.Ref, app, "")
		}
	}
	return nil
}

// A tagging is a release that moving tags may point to.
type tagging struct {
	name   string      // app/variant
	app    catalog.App // with the version of the release
	images []Result    // its published images, the record last
}

// moveTags points the moving tags to a published release, the record's last. A tag never
// moves back to an older release, unless the newer one is withdrawn. If this one is, the tags
// go to the newest release that is not.
func (p *Publisher) moveTags(ctx context.Context, in *registry.Client, r *releasePush, published []Result) []Result {
	var moved []Result
	for _, pattern := range p.Reader.AlsoTags {
		present := &tagging{r.rel.Name(), r.rel.App, published}
		tag, err := catalog.ExpandMovingTag(pattern, r.rel.App.Version)
		if err == nil && p.Reader.Withdrawal(r.rel) != nil {
			moved = append(moved, p.moveAway(ctx, in, r, pattern, tag)...)
			continue
		}
		if err == nil {
			var results []Result
			results, err = p.moveTag(ctx, in, present, tag)
			moved = append(moved, results...)
		}
		if err != nil {
			moved = append(moved, notMoved(r, pattern, err))
		}
	}
	return moved
}

func notMoved(r *releasePush, pattern string, err error) Result {
	return Result{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "tag " + pattern, Err: err}}
}

// moveTag reads the tag in all repositories before it moves it in any.
func (p *Publisher) moveTag(ctx context.Context, in *registry.Client, to *tagging, tag string) ([]Result, error) {
	var results []Result
	newer := ""
	_, err := p.run(ctx, step{
		"also tag",
		func(ctx context.Context) (reason skip, err error) {
			results, newer, err = p.movable(ctx, in, to, tag)
			if newer != "" || !slices.ContainsFunc(results, func(r Result) bool { return r.State != state.Unchanged }) {
				reason = "the tag points to the release"
			}
			return reason, err
		},
		func(ctx context.Context) error { return setMoving(ctx, in, results) },
	})
	if err == nil && newer != "" {
		results = []Result{{Name: to.name, State: state.Held, Digest: to.images[len(to.images)-1].Digest,
			Reason: fmt.Sprintf("not tagged %s: that is at %s, which is newer", tag, newer)}}
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

// movable compares a moving tag of a release's images and record with the digests that it
// should point to. newer is the version that the tag points to now, if that version is newer
// and not withdrawn. What this catalogue did not publish is replaced only with Force.
func (p *Publisher) movable(ctx context.Context, in *registry.Client, to *tagging, tag string) (results []Result, newer string, err error) {
	for _, there := range to.images {
		ref := catalog.Ref{Repository: there.Ref.Repository, Tag: tag}
		result := Result{Name: there.Name, Ref: ref, State: p.made(state.Tagged), Digest: there.Digest, Tag: there.Tag.Context().Tag(tag)}
		at, newer, err := p.Reader.MovingTag(ctx, in, result.Tag, to.app)
		if foreign := errors.As(err, new(*state.ForeignTagError)); foreign && p.Force {
			err = nil
		} else if foreign {
			err = fmt.Errorf("%w: replace it with --force", err)
		}
		if err != nil || newer != "" {
			return nil, newer, err
		}
		if at == there.Digest.DigestStr() {
			result.State = state.Unchanged
		}
		results = append(results, result)
	}
	return results, "", nil
}

// setMoving sets the moving tags that point to something else.
func setMoving(ctx context.Context, in *registry.Client, results []Result) error {
	for _, result := range results {
		if result.State == state.Unchanged {
			continue
		}
		err := in.SetTag(ctx, result.Ref, result.Digest)
		if keepsTags(err) {
			err = kept(err, "", "remove it from alsoTag")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepsTags reports whether an error means that the registry never changes a tag. Most such
// registries refuse a new tag; some accept and ignore it.
func keepsTags(err error) bool {
	return errors.Is(err, registry.ErrTagKept) || errors.Is(err, registry.ErrTagMoved)
}

// kept returns the error, with its fix, for a tag that the registry does not change. now is
// the digest that the tag points to, or "" if it is unknown.
func kept(err error, now, instead string) error {
	why := fault.Reason(err)
	if now != "" {
		why += " (it points to " + now + ")"
	}
	return &fault.Fault{Err: errors.New(why), Fix: instead + ", or allow overwriting tags in the registry's settings"}
}
