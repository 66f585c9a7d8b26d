package files

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
	"github.com/anchore/stereoscope/pkg/image"

	"github.com/libresh/libre/internal/sbom"
)

// imageOf returns an image that contains only a store path, at its places. Its files are read
// from the store, and not copied first.
func imageOf(from sbom.PlacedPath) (*image.Image, error) {
	p := placed{image.NewFileCatalog(), &image.Layer{Metadata: image.LayerMetadata{Digest: from.StorePath}}, filetree.New()}
	for _, place := range from.Where {
		err := filepath.WalkDir(from.StorePath, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside, err := filepath.Rel(from.StorePath, name)
			if err != nil || path.Join(place, inside) == "/" {
				return err
			}
			return p.add(path.Join(place, inside), name, entry)
		})
		if err != nil {
			return nil, err
		}
	}
	union := filetree.NewUnionFileTree()
	union.PushTree(p.tree)
	squashed, err := union.Squash() // Squash removes entries that hide files of lower layers
	if err != nil {
		return nil, err
	}
	p.layer.Tree, p.layer.SquashedTree = p.tree, squashed
	p.layer.SearchContext = filetree.NewSearchContext(p.tree, p.catalog.Index)
	p.layer.SquashedSearchContext = filetree.NewSearchContext(squashed, p.catalog.Index)
	return &image.Image{Layers: []*image.Layer{p.layer}, FileCatalog: p.catalog, SquashedSearchContext: p.layer.SquashedSearchContext}, nil
}

// placed collects the files of an image's only layer.
type placed struct {
	catalog *image.FileCatalog
	layer   *image.Layer
	tree    *filetree.FileTree
}

// add adds a file of the store, with what syft wants to know of it: name, type, mode, size and
// the type of its content.
func (p placed) add(name, from string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header := tar.Header{Name: name, Mode: int64(info.Mode().Perm())}
	var content io.Reader
	switch info.Mode().Type() {
	case fs.ModeDir:
		header.Typeflag = tar.TypeDir
		header.Name += "/"
	case fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = os.Readlink(from); err != nil {
			return err
		}
	case 0:
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		opened, err := os.Open(from)
		if err != nil {
			return err
		}
		defer opened.Close()
		content = opened
	default:
		return fmt.Errorf("%s is neither a file, a folder nor a link", from)
	}
	metadata := file.NewMetadata(header, content)
	reference, err := filetree.NewBuilder(p.tree, p.catalog.Index).Add(metadata)
	if err != nil {
		return err
	}
	p.layer.Metadata.Size += header.Size
	p.catalog.AssociateLayer(*reference, p.layer)
	p.catalog.AssociateOpener(*reference, func() (io.ReadCloser, error) { return file.NewLazyReadCloser(from), nil })
	return nil
}
