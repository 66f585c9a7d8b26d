package layout

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sparse is how keys of sparse files begin, of which an archive has only a part.
// https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
const sparse = "GNU.sparse."

// ReadArchive adds the blobs of an archive of a layout, and replaces the entries by its entries.
// Each blob must have its digest. A sparse file is an error; other files are ignored.
func (l *Layout) ReadArchive(ctx context.Context, from io.Reader) error {
	var index *v1.IndexManifest
	for files := tar.NewReader(from); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the archive of an OCI layout: %w", err)
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, sparse) { // a few bytes would become a full disk
				return fmt.Errorf("reading the archive of an OCI layout: %q is a sparse file", h.Name)
			}
		}
		name, isBlob := strings.CutPrefix(h.Name, blobsDir+"/")
		switch {
		case h.Typeflag != tar.TypeReg:
		case h.Name == IndexFile:
			if index, err = v1.ParseIndexManifest(io.LimitReader(files, MaxDocument)); err != nil {
				return fmt.Errorf("reading the archive of an OCI layout: %s: %w", h.Name, err)
			}
		case isBlob:
			digest, err := v1.NewHash(strings.Replace(name, "/", ":", 1))
			if err == nil {
				err = l.AddBlob(ctx, digest, files)
			}
			if err != nil {
				return fmt.Errorf("reading a blob of an archive: %w", err)
			}
		}
	}
	if index == nil {
		return fmt.Errorf("reading the archive of an OCI layout: it has no %s", IndexFile)
	}
	return l.Update(func([]v1.Descriptor) ([]v1.Descriptor, error) { return index.Manifests, nil })
}
