package sign

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// x is what a digest carries in one format, as the annotations say:
// nothing of it is verified.
type x struct {
	Signature  bool
	Predicates []string // types of attestations, sorted, each once
}

// Attached lists what a digest carries in one format with one or two requests,
// three where the registry lacks the referrers API.
func (c *Client) Attached(ctx context.Context, subject name.Digest, format Format) (x, error) {
	var found x
	candidates, err := c.Attachments(subject).candidates(ctx, format, format.store().places("")[0], "")
	if err != nil {
		return found, err
	}
	for _, candidate := range candidates {
		switch candidate.kind {
		case SignatureType:
			found.Signature = true
		case "": // says nothing
		default:
			found.Predicates = append(found.Predicates, candidate.kind)
		}
	}
	slices.Sort(found.Predicates)
	found.Predicates = slices.Compact(found.Predicates)
	return found, nil
}
