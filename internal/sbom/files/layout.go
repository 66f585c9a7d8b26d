package files

import (
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// singleImage makes a folder with an OCI layout that contains one image of another layout,
// because syft cannot select an image by digest. The caller removes the folder.
func singleImage(from string, manifest v1.Hash) (dir string, err error) {
	l, err := layout.Open(from)
	if err != nil {
		return "", err
	}
	d, err := l.Describe(manifest)
	if err != nil {
		return "", err
	}
	if !d.MediaType.IsImage() {
		return "", fmt.Errorf("%s is not the manifest of an image: its media type is %q", manifest, d.MediaType)
	}
	if dir, err = os.MkdirTemp("", "libre-sbom-"); err != nil {
		return "", err
	}
	if err = l.Link(dir, d); err != nil {
		os.RemoveAll(dir)
	}
	return dir, err
}
