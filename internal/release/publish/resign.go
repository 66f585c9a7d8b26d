package publish

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// resign signs all statements about a published release that a former key signed again, with
// the present key. It signs the record last. No digest and no tag changes.
func (p *Publisher) resign(ctx context.Context, r *releasePush, published []Result) []Result {
	var results []Result
	for _, there := range published {
		statements := 0
		_, err := p.run(ctx, step{
			"resign",
			func(ctx context.Context) (reason skip, err error) {
				if statements, err = p.resignOne(ctx, there.Digest, true); statements == 0 {
					reason = "the present key signed it"
				}
				return reason, err
			},
			func(ctx context.Context) error {
				_, err := p.resignOne(ctx, there.Digest, false)
				return err
			},
		})
		if err != nil {
			return []Result{{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "resign", Err: state.Explained(err)}}}
		}
		if statements > 0 {
			there.State, there.Reason = p.made(state.Signed), fmt.Sprintf("%d statements, with the present key", statements)
			if p.DryRun {
				there.Reason = fmt.Sprintf("%d statements would be signed with the present key", statements)
			}
		}
		results = append(results, there)
	}
	return results
}

// resignOne signs the statements about a digest and its children that a former key signed. If
// count is true, it only counts them.
func (p *Publisher) resignOne(ctx context.Context, digest name.Digest, count bool) (statements int, err error) {
	signer, err := p.signing().Signer()
	if err != nil {
		return 0, err
	}
	subjects, err := p.subjectsOf(ctx, digest)
	if err != nil {
		return 0, err
	}
	return p.signing().Client.Resign(ctx, signer, p.signing().Policy, count, subjects...)
}

// subjectsOf returns a published digest and, if it is an index, its children: the subjects
// of attachments.
func (p *Publisher) subjectsOf(ctx context.Context, digest name.Digest) ([]name.Digest, error) {
	got, err := p.registry().Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest // a record's manifest lists no manifests
	if err := json.Unmarshal(got.Content, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", digest, err)
	}
	subjects := []name.Digest{digest}
	for _, child := range index.Manifests {
		subjects = append(subjects, digest.Context().Digest(child.Digest.String()))
	}
	return subjects, nil
}
