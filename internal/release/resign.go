package release

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// resign has the present key say of a published release all that a former key said,
// the record's signature last: no digest and no tag changes, and what the present key
// said already is left alone.
func (p *Publisher) resign(ctx context.Context, release *variantRelease, published []Published) []Published {
	var results []Published
	for _, there := range published {
		written, err := p.resignOne(ctx, there.Digest)
		switch {
		case err != nil:
			return []Published{{Name: release.name(), State: PublishFailed, Err: &Failure{Step: "resign", Err: explained(err)}}}
		case written > 0 && p.DryRun:
			there.State, there.Reason = WouldBe, fmt.Sprintf("%d statements would be signed anew", written)
		case written > 0:
			there.State, there.Reason = Resigned, fmt.Sprintf("anew with the present key, %d statements", written)
		}
		results = append(results, there)
	}
	return results
}

func (p *Publisher) resignOne(ctx context.Context, digest name.Digest) (written int, err error) {
	signer, err := p.Signing.Signer()
	if err != nil {
		return 0, err
	}
	subjects, err := p.subjectsOf(ctx, digest)
	if err != nil {
		return 0, err
	}
	return p.Signing.Client.Resign(ctx, signer, p.Signing.Policy, p.DryRun, subjects...)
}

// subjectsOf are a published digest, and the children that it has if it is an index:
// what things are attached to.
func (p *Publisher) subjectsOf(ctx context.Context, digest name.Digest) ([]name.Digest, error) {
	got, err := p.Registry.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest // a record's manifest has no manifests
	if err := json.Unmarshal(got.Content, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", digest, err)
	}
	subjects := []name.Digest{digest}
	for _, child := range index.Manifests {
		subjects = append(subjects, digest.Context().Digest(child.Digest.String()))
	}
	return subjects, nil
}
