package cli

import (
	"context"
	"errors"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/operator"
)

// renderOperator writes custom resources.
func renderOperator(i *instance.Instance, o appOptions) ([]kit.File, error) {
	files, err := operator.Resources(i, operator.Options{Namespace: o.namespace})
	if err != nil {
		return nil, err
	}
	return o.kustomized(files)
}

// renderCRDs renders the CustomResourceDefinitions of the selected apps, in all their
// variants, or of a published release. It needs no image.
func (e *env) renderCRDs(ctx context.Context, o appOptions, words []string) ([]kit.File, error) {
	documents, err := e.describedApps(ctx, o.registry, words)
	if err != nil {
		return nil, err
	}
	files, err := operator.CRDs(documents)
	if err != nil {
		return nil, err
	}
	return o.kustomized(files)
}

// describedApps returns the documents of the selected apps, each in all variants and
// without images, or the document of a published release.
func (e *env) describedApps(ctx context.Context, o registryOptions, words []string) ([]*describe.Application, error) {
	if len(words) == 1 && isRepository(words[0]) {
		return nil, noTag(words[0])
	}
	if len(words) == 1 && isReference(words[0]) {
		document, err := e.publishedApplication(ctx, o, words[0])
		return []*describe.Application{document}, err
	}
	if len(o.to) > 0 || o.key != "" || o.signer.given() || o.insecure {
		return nil, usageError{errors.New("--crds reads no registry, unless you give a reference: leave out --to, --key, --identity, --issuer and --insecure")}
	}
	ws, patterns, err := e.selected(ctx, "render", words, len(words) == 0)
	if err != nil {
		return nil, err
	}
	defer e.warnLeftOut(ctx, ws)()
	apps, err := e.evaluateApps(ctx, ws, nix.Request{Patterns: patterns, Described: true})
	if err != nil {
		return nil, err
	}
	if _, err := catalog.SelectImages(patterns, apps); err != nil {
		return nil, err
	}
	var documents []*describe.Application
	for app := range valuesInOrder(apps) {
		for _, variant := range app.Variants {
			document, err := describe.New(app, variant)
			if err != nil {
				return nil, err
			}
			documents = append(documents, document)
		}
	}
	return documents, nil
}
