package publish

import (
	"context"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
)

// Inspected is a new image for one platform, before anything is attached to it.
type Inspected struct {
	Target *release.Target
	SBOM   *sbom.Document

	// Former returns the attested SBOM of the newest published image of the same name; nil
	// if there is none.
	Former func(context.Context) (*sbom.Document, error)
}

// inspect asks Inspect whether an image may be published. What is published stays, with its
// attachments.
func (i *imagePush) inspect(ctx context.Context, document *sbom.Document) error {
	p := i.publisher
	if p.Inspect == nil || i.adopted {
		return nil
	}
	return p.Inspect(ctx, Inspected{Target: i.target, SBOM: document, Former: func(ctx context.Context) (*sbom.Document, error) {
		former, published := i.former[document.Subject.Platform.String()]
		if !published {
			return nil, nil
		}
		return state.AttestedSBOM(ctx, p.signing(), former)
	}})
}
