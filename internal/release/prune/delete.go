package prune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
)

// Delete deletes the digests of a plan, release by release, and calls deleted after each
// release. First it reads everything again: if any release of the plan must stay now, it
// deletes nothing. A digest that is gone already is no error, so an interrupted run can be
// repeated.
func (p *Pruner) Delete(ctx context.Context, plan *Plan, deleted func(Release)) error {
	w, err := p.read(ctx)
	if err != nil {
		return err
	}
	may, stay, err := p.candidates(ctx, w, plan.Rule)
	if err != nil {
		return err
	}
	going := map[catalog.Ref]*Release{}
	for i := range plan.Releases {
		release, err := p.again(ctx, w, &plan.Releases[i], may, stay)
		if err != nil {
			return err
		}
		going[release.Record] = release
	}
	refs := sorted(going)
	for ref, why := range w.protect(going) {
		return stays(ref, why)
	}
	for _, ref := range refs {
		if err := w.delete(ctx, going[ref]); err != nil {
			return err
		}
		deleted(*going[ref])
	}
	return nil
}

func stays(ref catalog.Ref, why string) error {
	return &fault.Fault{Err: fmt.Errorf("%s must stay, so nothing is deleted: %s", ref, why), Fix: "make a new plan with libre prune"}
}

// again checks a planned release again, and returns what to delete. If an interrupted run
// deleted the record, it returns the remaining parts of the release.
func (p *Pruner) again(ctx context.Context, w *world, planned *Release, may map[catalog.Ref]*Release, stay map[catalog.Ref]string) (*Release, error) {
	ref := planned.Record
	all := p.variants()
	at := slices.IndexFunc(all, func(v variant) bool { return v.repository() == ref.Repository })
	if at < 0 {
		return nil, stays(ref, "the catalogue has no such app and variant")
	}
	for _, d := range planned.Digests {
		if !all[at].owns(d.Repository) {
			return nil, stays(ref, d.Repository+" is not one of its repositories")
		}
	}
	if w.records[ref] == nil {
		return p.remains(ctx, w, all[at], planned)
	}
	switch {
	case stay[ref] != "":
		return nil, stays(ref, stay[ref])
	case may[ref] == nil:
		return nil, stays(ref, "the rule of the plan keeps it")
	}
	same := func(a, b Digest) bool { return a.Repository == b.Repository && a.Digest == b.Digest }
	if !slices.EqualFunc(may[ref].Digests, planned.Digests, same) {
		return nil, stays(ref, "it has other digests than the plan")
	}
	return may[ref], nil
}

// remains returns the remaining parts of a release without a record.
func (p *Pruner) remains(ctx context.Context, w *world, of variant, planned *Release) (*Release, error) {
	if of.app.RecordRef(of.name) == planned.Record || p.Withdrawn(of.app.Name, planned.Record.Tag) {
		return nil, stays(planned.Record, "the catalogue defines it, or it is withdrawn")
	}
	left := &Release{Record: planned.Record, Signed: planned.Signed, Reason: planned.Reason}
	for _, d := range planned.Digests {
		digest, err := w.digest(d.Repository, d.Digest)
		if err != nil {
			return nil, err
		}
		_, err = w.client.Head(ctx, digest)
		switch isTagged := slices.ContainsFunc(d.Tags, func(tag string) bool { return w.tags[d.Repository][tag] == d.Digest }); {
		case errors.Is(err, registry.ErrNotFound) && !isTagged:
			continue
		case err != nil && !isTagged:
			return nil, err
		}
		left.Digests = append(left.Digests, d)
		if d.Kind == "attachment" {
			continue
		}
		made, err := w.add(ctx, &Release{}, d.Repository, d.Digest, d.Kind)
		if err != nil {
			return nil, err
		}
		if made.IsZero() || p.Now.Sub(made) < minAge {
			return nil, stays(planned.Record, short(d.Digest)+" is younger than 7 days, or its age is unknown")
		}
	}
	why, err := w.withdrawal(ctx, left)
	if why != "" {
		err = stays(planned.Record, why)
	}
	return left, err
}

// delete deletes a release, after it read the tags of its repositories once more.
func (w *world) delete(ctx context.Context, r *Release) error {
	seen := map[string]bool{}
	for _, d := range r.Digests {
		if seen[d.Repository] {
			continue
		}
		seen[d.Repository] = true
		if err := w.unmoved(ctx, r, d.Repository); err != nil {
			return err
		}
	}
	for _, d := range r.Digests {
		digest, err := w.digest(d.Repository, d.Digest)
		if err != nil {
			return err
		}
		if err := w.deleteManifest(ctx, digest); err != nil {
			return err
		}
		for _, tag := range d.Tags {
			if err := w.deleteTag(ctx, digest, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteManifest deletes a manifest.
func (w *world) deleteManifest(ctx context.Context, digest name.Digest) error {
	if err := w.client.Delete(ctx, digest); err != nil && !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	there, err := w.lookTwice(ctx, digest)
	if err == nil && there != "" {
		return isStillThere(digest)
	}
	return err
}

// deleteTag deletes a tag that the registry did not delete with its manifest.
func (w *world) deleteTag(ctx context.Context, digest name.Digest, tag string) error {
	at := digest.Context().Tag(tag)
	there, err := w.lookTwice(ctx, at)
	if err != nil || there != digest.DigestStr() {
		return err
	}
	if err := w.client.Delete(ctx, at); err != nil && !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	there, err = w.lookTwice(ctx, at)
	if err == nil && there != "" {
		return isStillThere(at)
	}
	return err
}

// lookTwice returns the digest of a manifest or tag, or "" if the registry answers twice that
// it does not exist, because the manifests that it names are deleted next.
func (w *world) lookTwice(ctx context.Context, reference name.Reference) (string, error) {
	for range 2 {
		there, err := w.client.Head(ctx, reference)
		if err == nil {
			return there.Digest.String(), nil
		}
		if !errors.Is(err, registry.ErrNotFound) {
			return "", err
		}
	}
	return "", nil
}

func isStillThere(reference name.Reference) error {
	return fmt.Errorf("deleting %s: the registry says that it is deleted, but still has it", reference)
}

// look is a reading of all tags of a repository.
type look struct {
	end  time.Time
	took time.Duration
}

// unmoved returns an error if a tag of a repository is new, or has moved since it was read. It
// reads the tag of the release each time. A list of many tags takes long, and many releases may
// go: so it is not read again within four times the duration of the last reading.
func (w *world) unmoved(ctx context.Context, r *Release, repository string) error {
	now := []string{}
	if w.tags[repository][r.Record.Tag] != "" {
		now = append(now, r.Record.Tag)
	}
	start, last := time.Now(), w.looked[repository]
	listed := start.Sub(last.end) > 4*last.took
	if listed {
		var err error
		if now, err = w.client.Tags(ctx, repository); err != nil {
			return err
		}
	}
	for _, tag := range now {
		if err := w.unmovedTag(ctx, r, catalog.Ref{Repository: repository, Tag: tag}); err != nil {
			return err
		}
	}
	if listed {
		w.looked[repository] = look{time.Now(), time.Since(start)}
	}
	return nil
}

// unmovedTag does the same for one tag. The tags of attachments, and those of other releases,
// do not move.
func (w *world) unmovedTag(ctx context.Context, r *Release, ref catalog.Ref) error {
	was := w.tags[ref.Repository][ref.Tag]
	_, _, isRelease := catalog.ParseTag(ref.Tag)
	if attachmentTag().MatchString(ref.Tag) || isRelease && was != "" && ref.Tag != r.Record.Tag {
		return nil
	}
	at, err := w.client.Tag(ref)
	if err != nil {
		return err
	}
	is, err := w.client.HeadAt(ctx, at, was)
	if err != nil {
		return err
	}
	if is.Digest.String() != was {
		return &fault.Fault{Err: fmt.Errorf("%s was pushed or moved in the meantime, so %s stays", at, r.Record), Fix: "make a new plan with libre prune"}
	}
	return nil
}
