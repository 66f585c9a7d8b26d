package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/layout"
)

var errWhiteout = errors.New(`a name that begins with ".wh." marks a deleted file in a layer: the file would be lost`)

// checkName refuses names that begin with ".wh.": an unpacker does not write such a file,
// but deletes the file with the rest of the name.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
func checkName(name string) error {
	if !strings.HasPrefix(path.Base(name), whiteout) {
		return nil
	}
	return &fault.Fault{
		Doing: fmt.Sprintf("%q", "/"+strings.Trim(name, "/")),
		Err:   errWhiteout,
		Fix:   "rename it, or remove it from the package",
	}
}

// copyLayer copies the tar of a layer that an engine wrote, and returns the names that its
// whiteouts delete, without opaque folders. A whiteout is an empty file. Another entry with
// such a name is an error, because unpackers would lose it. So is a device 0:0, which is a
// whiteout of overlayfs:
// https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
func copyLayer(w io.Writer, r io.Reader) (deleted []string, err error) {
	copied := io.TeeReader(r, w)
	for entries := tar.NewReader(copied); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeChar && header.Devmajor == 0 && header.Devminor == 0 {
			return nil, &fault.Fault{Doing: fmt.Sprintf("%q", path.Clean("/"+header.Name)), Err: errDevice, Fix: "remove it from the image"}
		}
		dir, base := path.Split(path.Clean("/" + header.Name))
		if name, isWhiteout := strings.CutPrefix(base, whiteout); !isWhiteout {
			continue
		} else if header.Size != 0 || header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeLink {
			return nil, checkName(header.Name)
		} else if !strings.HasPrefix(name, whiteout) { // .wh..wh.opq and the like
			deleted = append(deleted, dir+name)
		}
	}
	_, err = io.Copy(io.Discard, copied) // padding after the end of the archive
	return deleted, err
}

var errDevice = errors.New("a device with the numbers 0:0 marks a deleted file in a layer")

// checkDeleted refuses whiteouts of files that no lower layer has. No engine writes them:
// they are files of such a name, which would be lost.
func checkDeleted(ctx context.Context, l *layout.Layout, lower []v1.Descriptor, deleted []string) error {
	if len(deleted) == 0 {
		return nil
	}
	there := &baseTree{root: &node{children: map[string]*node{}}, keep: true}
	for i, d := range lower {
		if err := there.addBlob(ctx, l, d, i); err != nil {
			return fmt.Errorf("reading the layer %s: %w", d.Digest, err)
		}
	}
	for _, name := range deleted {
		if n, _, err := there.lookup(name, false); err == nil && n == nil {
			return checkName(path.Join(path.Dir(name), whiteout+path.Base(name)))
		}
	}
	return nil
}
