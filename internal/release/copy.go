package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

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
		if err == nil && result.State == IsPublished {
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
	got, err := p.Registry.Get(ctx, from)
	if err != nil {
		return err
	}
	var index v1.IndexManifest // a record's manifest has no manifests
	if err := json.Unmarshal(got.Content, &index); err != nil {
		return fmt.Errorf("reading %s: %w", from, err)
	}
	subjects := []string{from.DigestStr()}
	for _, child := range index.Manifests {
		subjects = append(subjects, child.Digest.String())
	}
	for _, digest := range subjects {
		source, subject := from.Context().Digest(digest), wanted.Context().Digest(digest)
		if err := p.Signing.Client.Copy(ctx, p.Signing.Policy, source, subject); err != nil {
			return err
		}
		if len(index.Manifests) == 0 {
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
