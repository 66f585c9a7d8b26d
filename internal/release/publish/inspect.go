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

// Contents lists the components of an image, and the statements about its vulnerabilities.
type Contents struct {
	SBOM    *sbom.Document
	Answers *vex.Answers
}

// isInspected asks Inspect whether a new image may be published. It writes nothing, so a dry
// run asks too. It does not ask about published images.
func (i *imagePush) isInspected(ctx context.Context) (skip, error) {
	p := i.publisher
	switch {
	case p.Inspect == nil:
		return "nothing inspects it", nil
	case i.adopted:
		return "it is published", nil
	}
	for n := range i.found.Manifests {
		document, err := i.document(ctx, n)
		if err != nil {
			return "", err
		}
		answers, err := i.answers(document)
		if err != nil {
			return "", err
		}
		inspected := Inspected{Target: i.target, Contents: Contents{document, answers}, Former: func(ctx context.Context) (*Contents, error) {
			return i.formerContents(ctx, document.Subject.Platform.String())
		}}
		if err := p.Inspect(ctx, inspected); err != nil {
			return "", err
		}
	}
	return "it may be published", nil
}

// formerContents returns the contents of the newest published image of a platform.
func (i *imagePush) formerContents(ctx context.Context, platform string) (*Contents, error) {
	former, published := i.former[platform]
	if !published {
		return nil, nil
	}
	signing := i.publisher.signing()
	document, err := state.AttestedSBOM(ctx, signing, former)
	if err != nil {
		return nil, err
	}
	answers, err := state.Answers(ctx, signing, former)
	return &Contents{document, answers}, err
}
