package containerfile

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	gcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/testkit"
)

// eachEngine runs a test with buildah and with podman.
func eachEngine(t *testing.T, test func(t *testing.T, e Engine)) {
	for _, name := range []string{"buildah", "podman"} {
		t.Run(name, func(t *testing.T) {
			testkit.Require(t, name, "busybox")
			e, err := Detect(context.Background(), Choice{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			test(t, e)
		})
	}
}

// newStorage makes a folder for a Builder, and checks that nothing is left behind.
func newStorage(t testing.TB, e Engine) string {
	dir := filepath.Join(t.TempDir(), "storage")
	t.Cleanup(func() {
		for _, mapped := range []bool{true, false} {
			os.RemoveAll((&storage{engine: e, dir: dir, mapped: mapped}).runRoot())
		}
		removeOwned(e, dir)
	})
	return dir
}

// removeOwned removes files of users in a rootless engine's namespace.
func removeOwned(e Engine, dir string) {
	if os.Geteuid() != 0 {
		exec.Command(e.Path, "unshare", "rm", "-rf", dir).Run()
	}
}

// write makes files below a new folder, from a map of names to contents. They have the modes of
// a store path.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// image makes an image of files; those in bin/ are executable. The layers are compressed, as in
// an image from a registry.
func image(t testing.TB, platform string, env []string, files map[string][]byte) v1.Image {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		if filepath.Dir(name) == "bin" {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), l)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Config.Env = p.OS, p.Architecture, env
	if img, err = mutate.ConfigFile(img, cf); err != nil {
		t.Fatal(err)
	}
	return img
}

// busyboxIndex returns an image with a shell for two platforms. Both have the same binary.
func busyboxIndex(t testing.TB, env ...string) v1.ImageIndex {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range []string{machinePlatform(), foreignPlatform()} {
		img := image(t, platform, append(env, "PATH=/bin", "PLATFORM="+platform), map[string][]byte{
			"bin/busybox": busybox, "bin/sh": busybox, "etc/passwd": []byte("root:x:0:0::/:/bin/sh\n"), "tmp/.keep": nil,
		})
		p, _ := v1.ParsePlatform(platform)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	return idx
}

// single returns an index of one image for this machine's platform.
func single(t v1.Image) v1.ImageIndex {
	p, _ := v1.ParsePlatform(machinePlatform())
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: t, Descriptor: v1.Descriptor{Platform: p}})
}

func foreignPlatform() string {
	if machinePlatform() == "linux/arm64" {
		return "linux/amd64"
	}
	return "linux/arm64"
}

// catalogueLayout makes an OCI layout like libre's: an index for the image, named in the
// layout's index.
func catalogueLayout(t testing.TB, ref string, idx v1.ImageIndex) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dist")
	l, err := gcr.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendIndex(idx, gcr.WithAnnotations(map[string]string{layout.RefNameAnnotation: ref})); err != nil {
		t.Fatal(err)
	}
	return dir
}

// built reads the one image of a result.
func built(t testing.TB, r Result) (v1.Image, *v1.ConfigFile) {
	t.Helper()
	idx, err := gcr.ImageIndexFromPath(r.Layout)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 {
		t.Fatalf("%d images in the layout, want 1", len(m.Manifests))
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return img, cf
}

// file is one file of an image's topmost layers.
type file struct {
	mode    int64
	mtime   int64
	uid     int
	content string
}

func filesOf(t testing.TB, img v1.Image) map[string]file {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]file{}
	for _, l := range layers {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		r := tar.NewReader(rc)
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Clean("/"+h.Name)] = file{h.Mode & 0o7777, h.ModTime.Unix(), h.Uid, string(content)}
		}
		rc.Close()
	}
	return files
}
