package containerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// asDir writes the image in the form of the dir: transport of containers/image, as links.
// Engines take an image without a name only from dir:. From oci: they make a name of the path,
// which may not be valid.
func (p layoutImage) asDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("Directory Transport Version: 1.1\n"), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(p.layout.BlobPath(p.manifest.Digest), filepath.Join(dir, "manifest.json")); err != nil {
		return err
	}
	for _, d := range p.parts() {
		err := os.Symlink(p.layout.BlobPath(d.Digest), filepath.Join(dir, d.Digest.Hex))
		if err != nil && !os.IsExist(err) { // a layer may be there twice
			return err
		}
	}
	return nil
}

// layoutFromDir makes an OCI layout from the image that an engine wrote with the dir:
// transport. Unlike oci:, that transport can write without compression. image.Import checks the
// digests of the layers when it reads them.
func layoutFromDir(to, dir string) error {
	ctx := context.Background() // nothing here waits
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "manifest.json"), err)
	}
	l, err := layout.Create(ctx, to, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		err := l.MoveBlob(filepath.Join(dir, d.Digest.Hex), d.Digest)
		if err != nil && !(os.IsNotExist(err) && l.HasBlob(d.Digest, d.Size)) { // a layer may be there twice
			return err
		}
	}
	digest, _, err := v1.SHA256(bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	if err := l.AddBlob(ctx, digest, bytes.NewReader(manifest)); err != nil {
		return err
	}
	d, err := l.Describe(digest)
	if err != nil {
		return err
	}
	return l.Update(func([]v1.Descriptor) ([]v1.Descriptor, error) { return []v1.Descriptor{d}, nil })
}

// changeHistory edits the commands in the history of an image in a dir: folder.
func changeHistory(dir string, change func(string) string) error {
	m, err := readJSON[v1.Manifest](filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	return changeConfig(dir, m, change)
}

// changeConfig edits the config as text, and writes a manifest with its new digest.
func changeConfig(dir string, m v1.Manifest, change func(string) string) error {
	config, err := os.ReadFile(filepath.Join(dir, m.Config.Digest.Hex))
	if err != nil {
		return err
	}
	return writeConfig(dir, m, []byte(change(string(config))))
}

// writeConfig writes a config, and a manifest with its digest.
func writeConfig(dir string, m v1.Manifest, config []byte) (err error) {
	if m.Config.Digest, m.Config.Size, err = v1.SHA256(bytes.NewReader(config)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, m.Config.Digest.Hex), config, 0o644); err != nil {
		return err
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o644)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func readJSON[T any](path string) (T, error) {
	var v T
	b, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return v, nil
}
