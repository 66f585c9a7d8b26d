package files

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	stereoscopefile "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/source/stereoscopesource"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/sbom"
)

// fromStorePath lists the packages in a store path, which is in an image at the given
// places: absolute folders, "/" for the root directory. syft sees nothing else of the
// image, so that the result depends only on the content of the path: in a whole image it
// names packages after the distribution, follows links into other packages, and drops one
// package in favour of another.
func fromStorePath(ctx context.Context, storePath string, where []string, w *watch) (document *sbom.Document, err error) {
	hashed := make(chan storeFileResult, 1)
	go func() { // while syft reads
		described, err := storeFile(storePath)
		hashed <- storeFileResult{described, err}
	}()
	single, err := mutate.AppendLayers(empty.Image, placed{storePath, where})
	if err != nil {
		return nil, err
	}
	temporary := stereoscopefile.NewTempDirGenerator("libre-sbom")
	defer func() {
		if cleanErr := temporary.Cleanup(); err == nil {
			err = cleanErr
		}
	}()
	dir, err := temporary.NewDirectory("store-path")
	if err != nil {
		return nil, err
	}
	read := image.New(single, temporary, dir)
	if err := read.Read(ctx); err != nil {
		return nil, err
	}
	source := stereoscopesource.New(read, stereoscopesource.ImageConfig{Reference: storePath})
	defer source.Close()
	found, err := recognise(ctx, source, w)
	if err != nil {
		return nil, err
	}
	components := map[string]*sbom.Component{}
	for _, c := range found.Components {
		elsewhere := slices.ContainsFunc(c.Where, func(place string) bool { return !slices.Contains(where, place) })
		if elsewhere || c.Type != string(pkg.NixPkg) { // not the store path itself
			components[c.ID] = &c
		}
	}
	document = sbom.NewDocument(components, found.Tools...)
	whole := <-hashed
	document.File = whole.File
	return document, whole.err
}

// storeFileResult is what storeFile returns.
type storeFileResult struct {
	sbom.File
	err error
}

// placed is a layer with a store path at its places in an image. Its digests are hashes
// of the name, since nothing compares them.
type placed struct {
	storePath string
	where     []string
}

func (p placed) Digest() (v1.Hash, error) {
	sum := sha256.Sum256([]byte(p.storePath))
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, nil
}

func (p placed) DiffID() (v1.Hash, error)            { return p.Digest() }
func (p placed) Size() (int64, error)                { return 0, nil }
func (p placed) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }
func (p placed) Compressed() (io.ReadCloser, error)  { return p.Uncompressed() }
func (p placed) Uncompressed() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.write(w)) }()
	return r, nil
}

func (p placed) write(w io.Writer) error {
	t := tar.NewWriter(w)
	for _, place := range p.where {
		err := filepath.WalkDir(p.storePath, func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside, err := filepath.Rel(p.storePath, name)
			if err != nil {
				return err
			}
			return writeEntry(t, strings.TrimPrefix(path.Join(place, inside), "/"), name)
		})
		if err != nil {
			return err
		}
	}
	return t.Close()
}

// writeEntry writes what syft reads of a file: name, type, mode and content.
func writeEntry(t *tar.Writer, name, from string) error {
	info, err := os.Lstat(from)
	if err != nil || name == "" {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm())}
	switch info.Mode().Type() {
	case fs.ModeDir:
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		return t.WriteHeader(header)
	case fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = os.Readlink(from); err != nil {
			return err
		}
		return t.WriteHeader(header)
	case 0:
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
	default:
		return fmt.Errorf("%s is neither a file, a folder nor a link", from)
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}
