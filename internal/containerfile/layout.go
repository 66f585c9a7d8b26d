package containerfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation that names an entry of an OCI layout's index.
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
const refName = "org.opencontainers.image.ref.name"

// picked is one image of an OCI layout, for one platform.
type picked struct {
	layout   string        // the layout's absolute path
	top      v1.Descriptor // what ref names: a manifest or an index
	manifest v1.Descriptor
	image    v1.Manifest
}

// pick finds ref (a digest, or a name as in refName's annotation; "" where the
// layout has one entry only) and in an index below it the platform's manifest.
// What has a digest need not be in the layout's index yet.
func pick(layout, ref, platform string) (picked, error) {
	p := picked{}
	fail := func(err error) (picked, error) {
		return picked{}, fmt.Errorf("OCI layout %s: %w", layout, err)
	}
	var err error
	if p.layout, err = filepath.Abs(layout); err != nil {
		return fail(err)
	}
	if p.top, err = p.entry(ref); err != nil {
		return fail(err)
	}
	p.manifest = p.top
	if p.top.MediaType.IsIndex() {
		list, err := readJSON[v1.IndexManifest](p.blob(p.top.Digest))
		if err != nil {
			return fail(err)
		}
		if p.manifest, err = forPlatform(list.Manifests, platform); err != nil {
			return fail(fmt.Errorf("image %q: %w", ref, err))
		}
	}
	if p.image, err = readJSON[v1.Manifest](p.blob(p.manifest.Digest)); err != nil {
		return fail(err)
	}
	return p, nil
}

// entry is what ref means in the layout.
func (p picked) entry(ref string) (v1.Descriptor, error) {
	if digestForm.MatchString(ref) {
		d := v1.Descriptor{}
		var err error
		if d.Digest, err = v1.NewHash(ref); err != nil {
			return d, err
		}
		raw, err := os.ReadFile(p.blob(d.Digest))
		if err != nil {
			return d, err
		}
		d.Size = int64(len(raw))
		var head struct {
			MediaType types.MediaType
			Manifests []json.RawMessage
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return d, fmt.Errorf("%s is no manifest: %w", ref, err)
		}
		switch d.MediaType = head.MediaType; {
		case d.MediaType != "":
		case head.Manifests != nil: // an OCI manifest need not say its type
			d.MediaType = types.OCIImageIndex
		default:
			d.MediaType = types.OCIManifestSchema1
		}
		return d, nil
	}
	index, err := readJSON[v1.IndexManifest](filepath.Join(p.layout, "index.json"))
	if err != nil {
		return v1.Descriptor{}, err
	}
	var names []string
	for _, d := range index.Manifests {
		name := d.Annotations[refName]
		if names = append(names, name); ref != "" && name == ref || ref == "" && len(index.Manifests) == 1 {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("no image %q: it has %s", ref, strings.Join(names, ", "))
}

func forPlatform(list []v1.Descriptor, platform string) (v1.Descriptor, error) {
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var have []string
	for _, d := range list {
		if d.Platform == nil {
			continue
		}
		have = append(have, d.Platform.String())
		if d.Platform.OS == want.OS && d.Platform.Architecture == want.Architecture &&
			(want.Variant == "" || d.Platform.Variant == want.Variant) {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("it is not made for %s, only for %s", platform, strings.Join(have, ", "))
}

func (p picked) blob(h v1.Hash) string {
	return filepath.Join(p.layout, "blobs", h.Algorithm, h.Hex)
}

// parts are the blobs of an image: configuration and layers.
func (p picked) parts() []v1.Descriptor {
	return append([]v1.Descriptor{p.image.Config}, p.image.Layers...)
}

// asDir lays the image out for the dir: transport of containers/image, by
// links. dir: is the one transport that puts an image into a storage under no
// name; oci: makes one of the path, whether that is a legal name or not.
func (p picked) asDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("Directory Transport Version: 1.1\n"), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(p.blob(p.manifest.Digest), filepath.Join(dir, "manifest.json")); err != nil {
		return err
	}
	for _, d := range p.parts() {
		err := os.Symlink(p.blob(d.Digest), filepath.Join(dir, d.Digest.Hex))
		if err != nil && !os.IsExist(err) { // the same layer twice
			return err
		}
	}
	return nil
}

// layoutFromDir makes an OCI layout of what a dir: transport wrote. dir: and
// not oci: because only the first is written without compression.
func layoutFromDir(layout, dir string) error {
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "manifest.json"), err)
	}
	blobs := filepath.Join(layout, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		err := os.Rename(filepath.Join(dir, d.Digest.Hex), filepath.Join(blobs, d.Digest.Hex))
		if err != nil && !(os.IsNotExist(err) && exists(filepath.Join(blobs, d.Digest.Hex))) { // the same layer twice
			return err
		}
	}
	digest, size, err := v1.SHA256(strings.NewReader(string(manifest)))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(blobs, digest.Hex), manifest, 0o644); err != nil {
		return err
	}
	mediaType := m.MediaType
	if mediaType == "" {
		mediaType = types.OCIManifestSchema1
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{{MediaType: mediaType, Size: size, Digest: digest}},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(layout, "index.json"), index, 0o644)
}

// changeHistory changes what the image that a dir: transport wrote says of its steps.
func changeHistory(dir string, change func(string) string) error {
	m, err := readJSON[v1.Manifest](filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	return changeConfig(dir, m, change)
}

// changeConfig changes the configuration, and writes the manifest that goes with it.
func changeConfig(dir string, m v1.Manifest, change func(string) string) error {
	config, err := os.ReadFile(filepath.Join(dir, m.Config.Digest.Hex))
	if err != nil {
		return err
	}
	return writeConfig(dir, m, []byte(change(string(config))))
}

// writeConfig writes a configuration, and the manifest that goes with it.
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
