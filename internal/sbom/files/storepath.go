package files

import (
	"context"
	"fmt"
	"slices"

	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/source/stereoscopesource"

	"github.com/libresh/libre/internal/sbom"
)

// fromStorePaths lists the packages in each of several store paths, and hashes the paths
// meanwhile. At a limit it calls end.
func fromStorePaths(ctx context.Context, paths []sbom.PlacedPath, limits sbom.Limits, end func(error)) (documents []*sbom.Document, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hashed := make(chan storeFileResult, len(paths))
	go func() {
		for _, path := range paths {
			if ctx.Err() != nil {
				return
			}
			described, err := storeFile(path.StorePath)
			hashed <- storeFileResult{described, err}
		}
	}()
	for _, path := range paths {
		inPath := func(err error) error { return fmt.Errorf("%s: %w", path.StorePath, err) }
		w, err := newWatch(limits, func(met error) { end(inPath(met)) })
		if err != nil {
			return nil, err
		}
		document, err := fromStorePath(ctx, path, w)
		w.end()
		if err != nil {
			return nil, inPath(err)
		}
		whole := <-hashed
		if whole.err != nil {
			return nil, inPath(whole.err)
		}
		document.File = whole.File
		documents = append(documents, document)
	}
	return documents, nil
}

// storeFileResult has the results of storeFile.
type storeFileResult struct {
	sbom.File
	err error
}

// fromStorePath lists the packages in a store path. syft sees nothing else of the image, so the
// result depends only on the content of the path. In a whole image, syft names packages after
// the distribution, follows links into other packages, and drops a package in favour of
// another.
func fromStorePath(ctx context.Context, path sbom.PlacedPath, w *watch) (*sbom.Document, error) {
	placed, err := imageOf(path)
	if err != nil {
		return nil, err
	}
	if err := w.holds(placed.Layers[0].Metadata.Size); err != nil {
		return nil, err
	}
	found, err := recognise(ctx, stereoscopesource.New(placed, stereoscopesource.ImageConfig{Reference: path.StorePath}))
	if err != nil {
		return nil, err
	}
	components := map[string]*sbom.Component{}
	for _, c := range found.Components {
		elsewhere := slices.ContainsFunc(c.Where, func(place string) bool { return !slices.Contains(path.Where, place) })
		if elsewhere || c.Type != string(pkg.NixPkg) { // not the store path itself
			components[c.ID] = &c
		}
	}
	return sbom.NewDocument(components, found.Tools...), nil
}
