package release

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
)

// copyRelease brings a published release, signatures and attestations included,
// to another registry, in the order in which it was published: nothing is built
// or signed again. published has the images, then the record.
func (p *Publisher) copyRelease(ctx context.Context, to *registry.Client, release *variantRelease, published []Published) []Published {
	failed := func(err error) []Published {
		return []Published{{Name: release.name(), State: PublishFailed, Err: &Failure{Step: "copy to " + to.String(), Err: explained(err)}}}
	}
	lacks, err := p.lacksIn(ctx, to, release)
	if err != nil {
		return failed(err)
	}
	var results []Published
	for _, there := range published {
		ref := there.Ref
		result := Published{Name: there.Name, Ref: ref, State: IsPublished}
		var err error
		if result.Tag, err = to.Tag(ref); err == nil {
			result.Digest = result.Tag.Context().Digest(there.Digest.DigestStr())
			result.State, err = p.copyState(ctx, to, release, result)
		}
		// What is gone, or was signed anew, is attached to what is there.
		again := result.State == WasThere && (lacks == nil || lacks(result.Digest))
		if again && lacks != nil {
			result.State, result.Reason = Attached, "what was gone"
			if p.DryRun {
				result.State, result.Reason = WouldBe, "what is gone would be attached again"
			}
		}
		if err == nil && !p.DryRun && (result.State == IsPublished || again || p.Resign && result.State == WasThere) {
			err = p.copyOne(ctx, to, ref, there.Digest, result.Digest)
		}
		if err != nil {
			return failed(err)
		}
		results = append(results, result)
	}
	var tags []tagging
	for _, result := range results {
		if result.State == IsPublished {
			tags = append(tags, tagging{ref: result.Ref, digest: result.Digest})
		}
	}
	if err := p.setTags(ctx, to, release.app.Name, tags); err != nil {
		return failed(err)
	}
	return results
}

// lacksIn tells of which digests of a release something is gone in another registry; nil
// where it is not known what belongs to it, since it was published just now.
func (p *Publisher) lacksIn(ctx context.Context, to *registry.Client, release *variantRelease) (func(name.Digest) bool, error) {
	if s := release.there.RemoteState; s != AsWanted && s != Incomplete {
		return nil, nil
	}
	tag, err := to.Tag(release.ref())
	if err != nil {
		return nil, err
	}
	own := tagging{ref: release.ref(), tag: tag, digest: tag.Context().Digest(release.there.digest.DigestStr())}
	all, err := p.lookCopied(ctx, to, release, own, release.there.record)
	return func(digest name.Digest) bool {
		return slices.ContainsFunc(all, func(l Lacking) bool { return l.Digest.Context() == digest.Context() })
	}, err
}

// copyState tells what is to be done for one image or record of another registry.
func (p *Publisher) copyState(ctx context.Context, to *registry.Client, release *variantRelease, wanted Published) (PublishState, error) {
	head, err := to.HeadAt(ctx, wanted.Tag, wanted.Digest.DigestStr())
	switch {
	case err == nil && head.Digest.String() == wanted.Digest.DigestStr():
		return WasThere, nil
	case err == nil && !p.Force:
		return "", moved(&MovedError{Reference: wanted.Tag.String(), Shows: head.Digest.String(), Signed: wanted.Digest.DigestStr(), By: "in " + p.Registry.String() + " it shows"}, release.putBack())
	case err != nil && !errors.Is(err, registry.ErrNotFound):
		return "", err
	case p.DryRun:
		return WouldBe, nil
	}
	return IsPublished, nil
}

// copyOne copies an image or a record, and what is attached to it and its
// children, without a tag, and verifies it where it is now.
func (p *Publisher) copyOne(ctx context.Context, to *registry.Client, ref catalog.Ref, from, wanted name.Digest) error {
	if _, err := to.Copy(ctx, from, p.Registry, ref); err != nil || p.Signing == nil {
		return err
	}
	policy := p.Signing.Policy
	if p.Resign {
		signer, err := p.Signing.Signer()
		if err != nil {
			return err
		}
		policy = signer.Policy()
	}
	subjects, err := p.subjectsOf(ctx, from)
	if err != nil {
		return err
	}
	var copies []name.Digest
	for _, subject := range subjects {
		copies = append(copies, wanted.Context().Digest(subject.DigestStr()))
	}
	if _, err := p.Signing.Client.Copy(ctx, policy, subjects, copies); err != nil {
		return err
	}
	for _, subject := range copies {
		if len(subjects) == 1 {
			_, err = p.Signing.Client.Verify(ctx, subject, p.Signing.Policy)
		} else {
			_, _, err = verifyImage(ctx, p.Signing, subject)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
