package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLayout(t testing.TB) *Layout {
	t.Helper()
	l, err := Create(context.Background(), filepath.Join(t.TempDir(), "dist"), nil)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}
)

func putBlob(t testing.TB, l *Layout, mediaType types.MediaType, content []byte) v1.Descriptor {
	t.Helper()
	digest, size, err := l.WriteBlob(context.Background(), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	check(t, err)
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
}

// putJSON stores a small document.
func putJSON(t testing.TB, l *Layout, mediaType types.MediaType, document any) v1.Descriptor {
	t.Helper()
	d, err := l.WriteJSON(context.Background(), mediaType, document)
	check(t, err)
	return d
}

// layerTar returns a layer with one file.
func layerTar(t testing.TB, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(name)), Mode: 0o644}))
	_, err := io.WriteString(w, name)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

// putImage stores an image of four layers for the given platforms, or for linux/amd64, and
// names it. All images have the same layers; their labels differ.
func putImage(t testing.TB, l *Layout, name string, platforms ...v1.Platform) v1.Descriptor {
	t.Helper()
	if len(platforms) == 0 {
		platforms = []v1.Platform{amd64}
	}
	index := newIndex(nil)
	for _, platform := range platforms {
		config := v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{Labels: map[string]string{"platform": platform.String(), "name": name}}}
		manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
		for i := range 4 {
			plain := layerTar(t, fmt.Sprint("file ", i))
			diffID, _, err := v1.SHA256(bytes.NewReader(plain))
			check(t, err)
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
			manifest.Layers = append(manifest.Layers, putBlob(t, l, types.OCIUncompressedLayer, plain))
		}
		manifest.Config = putJSON(t, l, types.OCIConfigJSON, config)
		d := putJSON(t, l, types.OCIManifestSchema1, manifest)
		d.Platform = &platform
		index.Manifests = append(index.Manifests, d)
	}
	d := putJSON(t, l, types.OCIImageIndex, index)
	check(t, l.Put(name, d, map[string]string{"sh.libre.image-key": "key"}))
	return d
}
