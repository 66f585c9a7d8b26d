package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

var errWhiteout = errors.New(`in a layer, a name that begins with ".wh." says that a file is deleted: the file itself would be lost`)

// checkName refuses names that mean something in a layer: an unpacker deletes what
// follows ".wh.", and never writes the file.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
func checkName(name string) error {
	if !strings.HasPrefix(path.Base(name), whiteout) {
		return nil
	}
	return &fault.Fault{
		Doing: fmt.Sprintf("%q", "/"+strings.Trim(name, "/")),
		Err:   errWhiteout,
		Fix:   "rename it, or leave it out of the package",
	}
}

// copyLayer copies the tar of a layer that an engine made. Whiteouts are empty files:
// what else has such a name is a file that would be lost.
func copyLayer(w io.Writer, r io.Reader) error {
	copied := io.TeeReader(r, w)
	for entries := tar.NewReader(copied); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		deletes := header.Size == 0 && (header.Typeflag == tar.TypeReg || header.Typeflag == tar.TypeLink)
		if err := checkName(header.Name); err != nil && !deletes {
			return err
		}
	}
	_, err := io.Copy(io.Discard, copied) // what follows the end of the archive
	return err
}
