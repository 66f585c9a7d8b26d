package files

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// singleImage makes a folder that is an OCI layout of one image of another
// layout, with the same blobs: syft takes a layout, and cannot be told which of
// its images is meant. The caller removes the folder.
func singleImage(layout string, manifest v1.Hash) (dir string, err error) {
	blobs, err := filepath.Abs(filepath.Join(layout, "blobs"))
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(filepath.Join(blobs, manifest.Algorithm, manifest.Hex))
	if err != nil {
		return "", err
	}
	var read struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return "", fmt.Errorf("manifest %s: %w", manifest, err)
	}
	if !read.MediaType.IsImage() {
		return "", fmt.Errorf("%s is not an image's manifest but %q", manifest, read.MediaType)
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{{MediaType: read.MediaType, Size: int64(len(raw)), Digest: manifest}},
	})
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "libre-sbom-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if err = os.Symlink(blobs, filepath.Join(dir, "blobs")); err != nil {
		return "", err
	}
	if err = os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644)
}
