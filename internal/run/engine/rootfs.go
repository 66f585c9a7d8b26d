package engine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// manifest is the image for this machine, and its configuration.
func (i Image) manifest() (v1.Manifest, v1.ConfigFile, error) {
	var manifest v1.Manifest
	digest, err := v1.NewHash(i.Digest)
	if err != nil {
		return manifest, v1.ConfigFile{}, fmt.Errorf("%s: %w", i.Name, err)
	}
	described, err := i.Layout.Describe(digest)
	if err == nil {
		described, err = i.Layout.ForPlatform([]v1.Descriptor{described}, v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
	}
	if err == nil {
		err = i.Layout.ReadJSON(described, &manifest)
	}
	if err != nil {
		return manifest, v1.ConfigFile{}, fmt.Errorf("%s in %s: %w", i.Name, i.Layout.Dir(), err)
	}
	config, err := i.Layout.Config(described)
	return manifest, config, err
}

// unpack writes the root file system of an image into a folder, layer over layer:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
func (i Image) unpack(ctx context.Context, dir string) error {
	manifest, _, err := i.manifest()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, layer := range manifest.Layers {
		if err := i.unpackLayer(ctx, root, layer); err != nil {
			return fmt.Errorf("unpacking %s: %w", i.Name, err)
		}
	}
	return nil
}

func (i Image) unpackLayer(ctx context.Context, root *os.Root, layer v1.Descriptor) error {
	blob, _, err := i.Layout.OpenBlob(layer.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	content, err := uncompressed(layer.MediaType, blob)
	if err != nil {
		return err
	}
	defer content.Close()
	entries := tar.NewReader(content)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = unpackEntry(root, header, entries)
		}
		if err != nil {
			return err
		}
	}
}

func uncompressed(mediaType types.MediaType, blob io.Reader) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(string(mediaType), "gzip"):
		return gzip.NewReader(blob)
	case strings.HasSuffix(string(mediaType), "zstd"):
		decoder, err := zstd.NewReader(blob)
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return io.NopCloser(blob), nil
}

// unpackEntry writes an entry of a layer. Devices are left out: containers have their own.
// os.Root lets no entry leave the folder, whatever links are in it.
func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
	if name == "" {
		return nil
	}
	dir, base := path.Split(name)
	if base == ".wh..wh..opq" {
		return empty(root, path.Clean(dir))
	}
	if hidden, is := strings.CutPrefix(base, ".wh."); is {
		return root.RemoveAll(path.Join(dir, hidden))
	}
	if parent := path.Clean(dir); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	if info, err := root.Lstat(name); err == nil && !(info.IsDir() && header.Typeflag == tar.TypeDir) {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	return writeEntry(root, name, header, content)
}

func writeEntry(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case tar.TypeReg:
		if err := writeFile(root, name, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(header.Linkname, name); err != nil {
			return err
		}
		return root.Lchown(name, header.Uid, header.Gid)
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(path.Clean("/"+header.Linkname), "/"), name)
	default:
		return nil
	}
	if err := root.Lchown(name, header.Uid, header.Gid); err != nil {
		return err
	}
	return root.Chmod(name, header.FileInfo().Mode()) // after chown, which takes setuid away
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// empty removes what lower layers have in a folder.
func empty(root *os.Root, dir string) error {
	file, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := file.Readdirnames(-1)
	file.Close()
	for _, name := range names {
		err = errors.Join(err, root.RemoveAll(path.Join(dir, name)))
	}
	return err
}
