package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/testkit"
)

func importSpec() ImportSpec {
	return ImportSpec{
		Platform:    amd64,
		Upstream:    []string{"org.opencontainers.image.authors", "maintainer"},
		Labels:      map[string]string{"org.opencontainers.image.version": "5.4.1-1"},
		Annotations: map[string]string{"org.opencontainers.image.version": "5.4.1-1"},
		Created:     created,
	}
}

// engineLayout writes a layout like an engine's: one plain layer, compressed ones, and traces
// of the engine and of its clock.
func engineLayout(t testing.TB, engine string, layers ...[]byte) string {
	t.Helper()
	l := newLayout(t)
	config := v1.ConfigFile{Author: "upstream", Container: engine, DockerVersion: engine} //nolint:staticcheck // engines write it
	config.Created = v1.Time{Time: time.Now()}
	config.Config = v1.Config{
		Cmd: []string{"serve"}, Hostname: engine, Image: "sha256:" + engine, User: "1001", Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "true"}},
		Labels: map[string]string{"io.buildah.version": engine, "org.opencontainers.image.vendor": "the base's", "maintainer": "upstream",
			"org.opencontainers.image.authors": "upstream"},
	}
	config.History = []v1.History{{CreatedBy: "CMD serve", EmptyLayer: true, Comment: engine, Author: engine, Created: config.Created}}
	d := baseImage(t, l, config, layers...)
	check(t, l.Put("x", d, nil))
	return l.Dir()
}

func TestImport(t *testing.T) {
	layers := [][]byte{tarOf(t, "f a"), tarOf(t, "f b"), tarOf(t, "f c")}
	l := newLayout(t)
	opts := Options{Cache: NewCache("")}
	result, err := Import(context.Background(), engineLayout(t, "engine 1", layers...), l, importSpec(), opts)
	check(t, err)
	var manifest v1.Manifest
	var config v1.ConfigFile
	check(t, l.ReadJSON(result.Descriptor, &manifest))
	check(t, l.ReadJSON(manifest.Config, &config))
	for i, d := range manifest.Layers {
		if d.MediaType != types.OCILayer || d.Annotations[LayerKeyAnnotation] == "" || !result.Layers[i].Fresh {
			t.Errorf("layer %+v", d)
		}
		if !bytes.Equal(layerTarOf(t, l, d), layers[i]) {
			t.Errorf("layer %d has another content", i)
		}
	}
	at := v1.Time{Time: created}
	want := v1.ConfigFile{
		Author: "upstream", OS: "linux", Architecture: "amd64", Created: at, RootFS: config.RootFS,
		Config: v1.Config{
			Cmd: []string{"serve"}, User: "1001", Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "true"}},
			Labels: map[string]string{"maintainer": "upstream", "org.opencontainers.image.authors": "upstream", "org.opencontainers.image.version": "5.4.1-1"},
		},
		History: []v1.History{
			{CreatedBy: "CMD serve", EmptyLayer: true, Created: at},
			{CreatedBy: "base", Created: at}, {CreatedBy: "base", Created: at}, {CreatedBy: "base", Created: at},
		},
	}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Error(diff)
	}
	if !reflect.DeepEqual(manifest.Annotations, importSpec().Annotations) {
		t.Errorf("annotations %v", manifest.Annotations)
	}

	// Another engine, clock and compression make the same image. A sibling with one more layer
	// writes only that layer.
	again, err := Import(context.Background(), engineLayout(t, "engine 2", layers...), l, importSpec(), opts)
	check(t, err)
	if again.Descriptor.Digest != result.Descriptor.Digest || again.Written != 0 {
		t.Errorf("a second engine: %+v", again)
	}
	sibling, err := Import(context.Background(), engineLayout(t, "engine 2", append(layers, tarOf(t, "f d"))...), l, importSpec(), opts)
	check(t, err)
	if sibling.Written != sibling.Layers[3].Size {
		t.Errorf("a sibling: %d bytes, %+v", sibling.Written, keys(sibling))
	}
}

func TestImportRefused(t *testing.T) {
	spec := importSpec()
	import_ := func(dir string) error {
		_, err := Import(context.Background(), dir, newLayout(t), spec, Options{Cache: NewCache("")})
		return err
	}
	dir := engineLayout(t, "e", tarOf(t, "f a"))
	l, err := layout.Open(dir)
	check(t, err)
	manifest, _, err := findImage(l, amd64)
	check(t, err)
	blob := l.BlobPath(manifest.Layers[0].Digest)
	content, err := os.ReadFile(blob)
	check(t, err)
	content[600]++
	check(t, os.WriteFile(blob, content, 0o644))
	if err := import_(dir); err == nil || !strings.Contains(err.Error(), "its content has the digest sha256:") {
		t.Errorf("a damaged layer: %v", err)
	}
	spec.Platform.Architecture = "arm64"
	if err := import_(dir); err == nil || !strings.Contains(err.Error(), "no image for linux/arm64, only for linux/amd64") {
		t.Errorf("another platform: %v", err)
	}
	if err := import_(newLayout(t).Dir()); err == nil || !strings.Contains(err.Error(), "holds no image") {
		t.Errorf("an empty layout: %v", err)
	}
	if err := import_(t.TempDir()); err == nil || !strings.Contains(err.Error(), "oci-layout") {
		t.Errorf("no layout: %v", err)
	}
}

// buildkit puts the image into an index, beside an "image" of attestations. Old Docker media
// types are converted.
func TestImportNested(t *testing.T) {
	ctx := context.Background()
	l := newLayout(t)
	d := baseImage(t, l, v1.ConfigFile{}, tarOf(t, "f a"))
	var manifest v1.Manifest
	check(t, l.ReadJSON(d, &manifest))
	manifest.MediaType, manifest.Config.MediaType, manifest.Layers[0].MediaType = types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer
	docker, err := l.WriteJSON(ctx, types.DockerManifestSchema2, manifest)
	check(t, err)
	attestation := baseImage(t, l, v1.ConfigFile{}, tarOf(t, "f attestation"))
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	nested, err := l.WriteJSON(ctx, types.DockerManifestList, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{attestation, docker}})
	check(t, err)
	check(t, l.Put("x", nested, nil))
	to := newLayout(t)
	result, err := Import(ctx, l.Dir(), to, importSpec(), Options{Cache: NewCache("")})
	check(t, err)
	check(t, to.ReadJSON(result.Descriptor, &manifest))
	if manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayer || result.Descriptor.MediaType != types.OCIManifestSchema1 {
		t.Errorf("media types of %+v", manifest)
	}
	if got, want := layerListingNames(t, to, manifest.Layers[0]), "a"; got != want {
		t.Errorf("imported %s, want %s", got, want)
	}
}

func layerListingNames(t testing.TB, l *layout.Layout, d v1.Descriptor) string {
	t.Helper()
	tree := &baseTree{root: &node{children: map[string]*node{}}}
	check(t, tree.addLayer(context.Background(), bytes.NewReader(layerTarOf(t, l, d)), 0))
	var names []string
	for name := range tree.root.children {
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestImportBuildah imports the output of the real buildah.
func TestImportBuildah(t *testing.T) {
	testkit.Require(t, "buildah")
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "hello"), []byte("hello"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM scratch\nCOPY hello /hello\nLABEL maintainer=me\nUSER 1001\n"), 0o644))
	var digests []string
	for i := range 2 {
		storage, out := t.TempDir(), t.TempDir()
		global := []string{"--root", storage + "/root", "--runroot", storage + "/run", "--storage-driver", "vfs"}
		run(t, "buildah", append(global, "build", "--isolation", "chroot", "--timestamp", "0", "--layers=false", "-t", fmt.Sprint("localhost/x", i), dir)...)
		run(t, "buildah", append(global, "push", fmt.Sprint("localhost/x", i), "oci:"+out+":x")...)
		l := newLayout(t)
		result, err := Import(context.Background(), out, l, importSpec(), Options{Cache: NewCache("")})
		check(t, err)
		digests = append(digests, result.Descriptor.Digest.Hex)
		index, err := Index(context.Background(), l, []v1.Descriptor{result.Descriptor}, nil)
		check(t, err)
		check(t, l.Put("x:5.4.1-1", index, nil))
		validateLayout(t, l.Dir(), Gzip)
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds: %v", digests)
	}
}
