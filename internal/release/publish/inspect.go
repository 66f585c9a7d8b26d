package publish

import (
	"context"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/vex"
)

// Inspected is a new image for one platform, before anything is attached to it.
type Inspected struct {
	Target *release.Target
	Contents

	// Former reads the newest published image of the same name, for the same platform; nil
	// if there is none.
	Former func(context.Context) (*Contents, error)
}

// Contents is what an image is made of, and the statements about its vulnerabilities.
type Contents struct {
	SBOM    *sbom.Document
	Answers *vex.Answers
}

// inspect asks Inspect whether an image may be published. What is published stays, with its
// attachments.
func (i *imagePush) inspect(ctx context.Context, document *sbom.Document) error {
	p := i.publisher
	if p.Inspect == nil || i.adopted {
		return nil
	}
	answers, err := i.answers(document)
	if err != nil {
		return err
	}
	return p.Inspect(ctx, Inspected{Target: i.target, Contents: Contents{document, answers}, Former: func(ctx context.Context) (*Contents, error) {
		former, published := i.former[document.Subject.Platform.String()]
		if !published {
			return nil, nil
		}
		document, err := state.AttestedSBOM(ctx, p.signing(), former)
		if err != nil {
			return nil, err
		}
		answers, err := state.Answers(ctx, p.signing(), former)
		return &Contents{document, answers}, err
	}})
}
