package files

import (
	"context"
	"io"
	"path"

	"github.com/anchore/syft/syft/file"
	syftsource "github.com/anchore/syft/syft/source"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sbom"
)

// licenseTexts returns the license texts in the files of an image of an OCI layout, by their
// absolute paths.
func licenseTexts(ctx context.Context, layout string, subject sbom.Subject, w *watch) (map[string]string, error) {
	source, done, err := openLayout(ctx, layout, subject)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := w.unpacked(); err != nil {
		return nil, err
	}
	resolver, err := source.FileResolver(syftsource.SquashedScope)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for location := range resolver.AllLocations(ctx) {
		if !license.IsText(path.Base(location.RealPath)) {
			continue
		}
		text, err := readText(resolver, location)
		if err != nil {
			return nil, err
		}
		if text != "" {
			texts[location.RealPath] = text
		}
	}
	return texts, ctx.Err()
}

// readText reads a file. It returns "" for a folder and for a file that is too large.
func readText(resolver file.Resolver, location file.Location) (string, error) {
	metadata, err := resolver.FileMetadataByLocation(location)
	if err != nil || !metadata.Mode().IsRegular() || metadata.Size() > license.MaxText {
		return "", err
	}
	content, err := resolver.FileContentsByLocation(location)
	if err != nil {
		return "", err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, license.MaxText))
	return string(text), err
}
