package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

// moveAway points a moving tag to the newest release that is not withdrawn. If there is none,
// the tag stays where it is.
func (p *Publisher) moveAway(ctx context.Context, in *registry.Client, r *releasePush, pattern, tag string) []Result {
	if p.signing() == nil {
		return []Result{notMoved(r, pattern, errors.New("nothing is signed, so no other release can be verified: move it by hand"))}
	}
	to, err := p.newestLeft(ctx, in, r, pattern, tag)
	if err == nil && to == nil {
		p.warn(catalog.ID{App: r.rel.App.Name}, fmt.Sprintf("%s: the tag %s stays as it is, because no release is left for it that is not withdrawn", r.rel.Name(), tag))
		return nil
	}
	var results []Result
	if err == nil {
		results, err = p.moveTag(ctx, in, to, tag)
	}
	if err != nil {
		return []Result{notMoved(r, pattern, err)}
	}
	return results
}

// newestLeft returns the newest release that a moving tag may point to: it verifies and is not
// withdrawn. It returns nil if there is none.
func (p *Publisher) newestLeft(ctx context.Context, in *registry.Client, r *releasePush, pattern, tag string) (*tagging, error) {
	tags, err := in.Tags(ctx, r.rel.Ref().Repository)
	if err != nil {
		return nil, err
	}
	for _, candidate := range state.ReleaseTags(tags) {
		version, _, _ := catalog.ParseTag(candidate)
		expanded, err := catalog.ExpandMovingTag(pattern, version)
		if err != nil || expanded != tag || p.Reader.Withdrawn.Find(r.rel.App.Name, candidate) != nil {
			continue
		}
		opened, err := p.open(ctx, in, r, candidate)
		if opened != nil || err != nil {
			return opened.tagging(r), err
		}
	}
	return nil, nil
}

// An opened is a published release of an app with a verified record.
type opened struct {
	record   *state.Record
	result   Result        // of the record
	images   []Result      // without the record
	subjects []name.Digest // digests of the record (first), of the images and of their platforms
}

// open reads a release by its tag. It returns nil if there is none. If the release does not
// verify, it warns.
func (p *Publisher) open(ctx context.Context, in *registry.Client, r *releasePush, tag string) (*opened, error) {
	ref := catalog.Ref{Repository: r.rel.Ref().Repository, Tag: tag}
	named, err := in.Tag(ref)
	if err != nil {
		return nil, err
	}
	record, digest, err := state.ReadVerified(ctx, in, p.signing(), named)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return nil, nil
	case err != nil && !state.IsUnknown(err):
		p.warn(catalog.ID{App: r.rel.App.Name}, fmt.Sprintf("%s does not verify: %s", named, err))
		return nil, nil
	case err != nil:
		return nil, err
	}
	o := &opened{record: record, result: Result{Name: r.rel.Name(), Ref: ref, Digest: digest, Tag: named}, subjects: []name.Digest{digest}}
	for _, component := range slices.Sorted(maps.Keys(record.Components)) {
		tag, digest, err := record.Image(in, component)
		if err != nil {
			return nil, err
		}
		id := catalog.ID{App: record.App, Component: component, Variant: record.Variant}
		o.subjects = append(o.subjects, digest)
		for _, manifest := range slices.Sorted(maps.Values(record.Components[component].Systems)) {
			o.subjects = append(o.subjects, digest.Context().Digest(manifest))
		}
		o.images = append(o.images, Result{Name: id.String(), Ref: record.Components[component].Reference, Digest: digest, Tag: tag})
	}
	return o, nil
}

func (o *opened) tagging(r *releasePush) *tagging {
	if o == nil {
		return nil
	}
	app := r.rel.App
	app.Version, app.PackageVersion = o.record.Version, o.record.PackageVersion
	return &tagging{r.rel.Name(), app, append(slices.Clone(o.images), o.result)}
}
