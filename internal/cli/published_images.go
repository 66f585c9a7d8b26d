package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

// publishedImages are published images that verify, each once, and what did not.
type publishedImages struct {
	images []publishedImage
	failed []error
}

// publishedImage is a published image for one platform, with the policy that it verifies by.
type publishedImage struct {
	state.PlatformImage
	signing *state.Signing
}

// referenced finds the images of references. It needs no catalogue.
func (e *env) referenced(ctx context.Context, o registryOptions, words []string) (publishedImages, error) {
	var found publishedImages
	for _, word := range words {
		if !isReference(word) {
			return found, usageError{fmt.Errorf("%s is not a reference: give references or selections, not both", word)}
		}
		_, client, signing, err := e.verifier(ctx, o, word)
		if err != nil {
			return found, err
		}
		reference, err := client.Parse(word)
		if err != nil {
			return found, err
		}
		images, err := state.PlatformImages(ctx, client, signing, reference)
		if err == nil {
			err = e.warnWithdrawn(ctx, client, signing, reference)
		}
		if err != nil {
			found.failed = append(found.failed, about(word, err))
		}
		found.add(signing, images)
	}
	return found, nil
}

// warnWithdrawn warns of a withdrawn release or image that somebody named.
func (e *env) warnWithdrawn(ctx context.Context, client *registry.Client, signing *state.Signing, named name.Reference) error {
	err := state.CheckWithdrawn(ctx, client, signing, named)
	if state.AsWithdrawn(err) == nil {
		return err
	}
	e.Warnf("%s", err)
	return nil
}

// released finds the images of the selected apps' releases: of all, or of the newest of each
// app and variant that is not withdrawn.
func (ws *workspace) released(ctx context.Context, o registryOptions, client *registry.Client, patterns []catalog.Pattern, apps map[string]catalog.App, onlyNewest bool) (publishedImages, state.ReleaseImages, error) {
	var found publishedImages
	signing, err := ws.operatorVerifying(ctx, o, client)
	if err != nil {
		return found, state.ReleaseImages{}, err
	}
	var repositories []string
	for _, ref := range state.RecordRefs(patterns, apps) {
		repositories = append(repositories, ref.Repository)
	}
	published := state.ReadReleaseImages(ctx, client, signing, repositories, onlyNewest)
	found.failed = published.Failed
	found.add(signing, published.Images)
	return found, published, nil
}

func (p *publishedImages) add(signing *state.Signing, images []state.PlatformImage) {
	for _, image := range images {
		if !slices.ContainsFunc(p.images, func(other publishedImage) bool { return other.PlatformImage == image }) {
			p.images = append(p.images, publishedImage{image, signing})
		}
	}
}
