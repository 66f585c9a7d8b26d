package release

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/registry"
)

// copyRelease brings a published release, signatures and attestations included,
// to another registry, in the order in which it was published: nothing is built
// or signed again. published has the images, then the record.
func (p *Publisher) copyRelease(ctx context.Context, to *registry.Client, release *variantRelease, published []Published) []Published {
	var results []Published
	for _, there := range published {
		refName := there.refName()
		result := Published{Name: there.Name, State: IsPublished}
		var err error
		if result.Tag, err = to.Tag(refName); err == nil {
			result.Digest = result.Tag.Context().Digest(there.Digest.DigestStr())
			result.State, err = p.copyState(ctx, to, release, result)
		}
		// What was signed anew is attached to what is there.
		if err == nil && (result.State == IsPublished || p.Resign && result.State == WasThere && !p.DryRun) {
			err = p.copyOne(ctx, to, refName, there.Digest, result.Digest)
		}
		if err != nil {
			return []Published{{Name: release.name(), State: NotPublished, Err: &Failure{Step: "copy to " + to.String(), Err: explained(err)}}}
		}
		results = append(results, result)
	}
	var tags []tagging
	for _, result := range results {
		if result.State == IsPublished {
			tags = append(tags, tagging{refName: result.refName(), digest: result.Digest})
		}
	}
	if err := p.setTags(ctx, to, release.app.Name, tags); err != nil {
		return []Published{{Name: release.name(), State: NotPublished, Err: &Failure{Step: "copy to " + to.String(), Err: err}}}
	}
	return results
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
func (p *Publisher) copyOne(ctx context.Context, to *registry.Client, refName string, from, wanted name.Digest) error {
	if _, err := to.Copy(ctx, from, p.Registry, refName); err != nil || p.Signing == nil {
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
	for _, source := range subjects {
		subject := wanted.Context().Digest(source.DigestStr())
		if err := p.Signing.Client.Copy(ctx, policy, source, subject); err != nil {
			return err
		}
		if len(subjects) == 1 {
			_, err = p.Signing.Client.Verify(ctx, subject, p.Signing.Policy)
		} else {
			_, err = verifyImage(ctx, p.Signing, subject)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
