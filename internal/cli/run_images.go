package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

// runnable returns the document of the app to run, and the layout with its images: those of
// the working tree, or those of a published release, which must all verify.
func (e *env) runnable(ctx context.Context, o registryOptions, words []string) (*describe.Application, *layout.Layout, error) {
	if len(words) == 1 && isRepository(words[0]) {
		return nil, nil, noTag(words[0])
	}
	if len(words) == 1 && isReference(words[0]) {
		return e.publishedRunnable(ctx, o, words[0])
	}
	if o.key != "" || o.signer.given() || o.insecure {
		return nil, nil, usageError{errors.New("--key, --identity, --issuer and --insecure are for a published release: leave them out, or give REGISTRY/APP-VARIANT:TAG")}
	}
	document, ws, err := e.catalogueApplication(ctx, "run", words)
	if err != nil {
		return nil, nil, err
	}
	document.Spec.Registry = "localhost"
	if err := checkBuilt(document); err != nil {
		return nil, nil, err
	}
	dist, err := layout.Open(ws.output(""))
	return document, dist, err
}

// checkBuilt returns an error if an image that runs is not in the layout.
func checkBuilt(app *describe.Application) error {
	for _, component := range slices.Sorted(maps.Keys(app.Spec.Components)) {
		c := app.Spec.Components[component]
		if len(c.Services) > 0 && (c.Image == nil || c.Image.Digest == "") {
			selection := app.Metadata.Name
			if app.Spec.Variant != "default" {
				selection += "/*/" + app.Spec.Variant
			}
			return &fault.Fault{Err: fmt.Errorf("the image of %s/%s/%s is not built", app.Metadata.Name, component, app.Spec.Variant), Fix: "libre build '" + selection + "'"}
		}
	}
	return nil
}

// publishedRunnable verifies a release, and fetches its images for this machine.
func (e *env) publishedRunnable(ctx context.Context, o registryOptions, word string) (*describe.Application, *layout.Layout, error) {
	results, err := e.verifyReferences(ctx, o, []string{word})
	if err != nil {
		return nil, nil, err
	}
	for _, result := range results {
		if state.AsWithdrawn(result.Err) != nil || errors.Is(result.Err, registry.ErrNotFound) {
			return nil, nil, result.Err
		}
		if result.Err != nil {
			return nil, nil, fmt.Errorf("%s is not run, because %s does not verify: %w", word, result.Reference, result.Err)
		}
	}
	document, err := e.publishedApplication(ctx, o, word)
	if err != nil {
		return nil, nil, err
	}
	ws, client, _, err := e.verifier(ctx, o, word)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(ws.cacheDir, "run")
	dist, err := layout.Create(ctx, dir, func() { e.Notef("waiting for another libre that fetches images") })
	if err != nil {
		return nil, nil, err
	}
	for _, component := range slices.Sorted(maps.Keys(document.Spec.Components)) {
		if c := document.Spec.Components[component]; len(c.Services) > 0 {
			if err := e.fetchImage(ctx, client, dist, c.Image); err != nil {
				return nil, nil, errors.Join(err, dist.Close())
			}
		}
	}
	if err := dist.Close(); err != nil {
		return nil, nil, err
	}
	read, err := layout.Open(dir)
	return document, read, err
}

// fetchImage copies an image for this machine into a layout, and pins it there.
func (e *env) fetchImage(ctx context.Context, client *registry.Client, into *layout.Layout, image *describe.Image) error {
	platform := "linux/" + runtime.GOARCH
	digest, err := v1.NewHash(image.Platforms[platform])
	if err != nil {
		return fmt.Errorf("%s has no image for %s: it has those for %v", image.Reference, platform, slices.Sorted(maps.Keys(image.Platforms)))
	}
	tag, err := client.Tag(catalog.ParseRef(image.Reference))
	if err != nil {
		return err
	}
	described, err := client.Describe(ctx, tag.Context().Digest(digest.String()))
	if err != nil {
		return err
	}
	manifest := *described
	err = into.Fetch(ctx, layout.Source{Descriptor: manifest, Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		return client.Open(ctx, tag.Context(), d)
	}})
	if err != nil {
		return fmt.Errorf("fetching %s: %w", image.Reference, err)
	}
	manifest.Platform = &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	image.Digest = digest.String()
	return into.Put(image.Reference, manifest, nil)
}
