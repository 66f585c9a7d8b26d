package sign

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// An attachedTypes lists the types of a digest's attachments in one format, as their
// annotations give them. Nothing is verified.
type attachedTypes struct {
	Signature  bool
	Predicates []string // types of attestations, sorted, without duplicates
}

// Attached lists a digest's attachments in one format with one or two requests, or three if
// the registry lacks the referrers API.
func (c *Client) Attached(ctx context.Context, subject name.Digest, format Format) (attachedTypes, error) {
	var found attachedTypes
	candidates, err := c.Attachments(subject).candidates(ctx, format, format.store().lists("")[0], "")
	if err != nil {
		return found, err
	}
	for _, candidate := range candidates {
		switch candidate.kind {
		case SignatureType:
			found.Signature = true
		case "": // no type given
		default:
			found.Predicates = append(found.Predicates, candidate.kind)
		}
	}
	slices.Sort(found.Predicates)
	found.Predicates = slices.Compact(found.Predicates)
	return found, nil
}
