package layout

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/atomicfile"
)

// ArchiveSpec describes an archive.
type ArchiveSpec struct {
	RefNames []string    // of the images, in any order
	Platform v1.Platform // of the images in manifest.json
	Registry string      // prefix of the names of loaded images; "" is docker.io/library
}

// WriteArchive writes named images as one tar that podman, skopeo and docker read: an
// OCI layout (oci-archive) with all platforms, and Docker's manifest.json, as `docker
// save` writes it since Docker 25. manifest.json lists the images for one platform; if
// there is none, the file is left out. The bytes depend only on the images and spec.
func (l *Layout) WriteArchive(ctx context.Context, spec ArchiveSpec, w io.Writer) error {
	a := archive{spec: spec, tar: tarWriter{ctx, tar.NewWriter(w)}, layout: l, index: newIndex(nil), seen: map[v1.Hash]bool{}}
	for _, refName := range slices.Compact(slices.Sorted(slices.Values(spec.RefNames))) {
		if err := a.add(refName); err != nil {
			return fmt.Errorf("archiving %s: %w", refName, err)
		}
	}
	if err := a.write(); err != nil {
		return fmt.Errorf("archiving images of %s: %w", l.dir, err)
	}
	return nil
}

// WriteArchiveFile writes the archive into a temporary file beside name and renames it:
// after an error, and when ctx ends, the file name is unchanged. It returns the size of
// the archive in bytes.
func (l *Layout) WriteArchiveFile(ctx context.Context, spec ArchiveSpec, name string) (size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the archive %s: %w", name, err)
		}
	}()
	f, err := atomicfile.Create(filepath.Dir(name), 0o666)
	if err != nil {
		return 0, err
	}
	defer f.Discard()
	count := &counter{ctx: ctx, w: f}
	if err := l.WriteArchive(ctx, spec, count); err != nil {
		return 0, err
	}
	return count.n, f.Replace(name)
}

// archive is the state of writing an archive.
type archive struct {
	spec   ArchiveSpec
	tar    tarWriter
	layout *Layout
	index  *v1.IndexManifest
	docker []dockerManifest
	blobs  []v1.Descriptor // each once
	seen   map[v1.Hash]bool
}

// dockerManifest is one image of manifest.json, see
// https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// add adds an image and its blobs to the lists.
func (a *archive) add(refName string) error {
	entry, ok, err := a.layout.Lookup(refName)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%s has no image of this name", a.layout.dir)
	case !entry.Complete:
		return fmt.Errorf("blobs are missing in %s", a.layout.dir)
	}
	d := entry.Descriptor
	if err := a.addDocker(refName, d); err != nil {
		return err
	}
	err = a.layout.visit(d, func(b v1.Descriptor) {
		if !a.seen[b.Digest] {
			a.seen[b.Digest] = true
			a.blobs = append(a.blobs, b)
		}
	})
	d.Annotations = map[string]string{
		RefNameAnnotation: refName,
		// The full name, which Docker's containerd store needs and podman uses, too.
		"io.containerd.image.name": cmp.Or(a.spec.Registry, "docker.io/library") + "/" + refName,
	}
	a.index.Manifests = append(a.index.Manifests, d)
	return err
}

// addDocker adds the image for the platform to manifest.json, if there is one.
func (a *archive) addDocker(refName string, d v1.Descriptor) error {
	image, err := a.layout.ForPlatform([]v1.Descriptor{d}, a.spec.Platform)
	if errors.Is(err, ErrNoPlatform) {
		return nil
	}
	if err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := a.layout.ReadJSON(image, &manifest); err != nil {
		return err
	}
	docker := dockerManifest{Config: blobName(manifest.Config.Digest), RepoTags: []string{refName}}
	for _, layer := range manifest.Layers {
		docker.Layers = append(docker.Layers, blobName(layer.Digest))
	}
	a.docker = append(a.docker, docker)
	return nil
}

func (a *archive) write() error {
	if len(a.index.Manifests) == 0 {
		return errors.New("no image was named")
	}
	for _, dir := range []string{blobsDir, blobsDir + "/sha256"} {
		if err := a.tar.header(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, b := range a.blobs {
		if err := a.blob(b.Digest); err != nil {
			return err
		}
	}
	if err := a.tar.json(IndexFile, a.index); err != nil {
		return err
	}
	if len(a.docker) > 0 {
		if err := a.tar.json("manifest.json", a.docker); err != nil {
			return err
		}
	}
	if err := a.tar.json(versionFile, version{knownVersion}); err != nil {
		return err
	}
	return a.tar.Close()
}

func (a *archive) blob(digest v1.Hash) error {
	f, info, err := a.layout.OpenBlob(digest)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.tar.file(blobName(digest), info.Size(), f)
}

// tarWriter writes entries whose bytes depend only on names and contents.
type tarWriter struct {
	ctx context.Context
	*tar.Writer
}

func (w tarWriter) header(h tar.Header) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	h.ModTime, h.Format = time.Unix(1, 0).UTC(), tar.FormatPAX // as in layers
	return w.WriteHeader(&h)
}

func (w tarWriter) file(name string, size int64, content io.Reader) error {
	if err := w.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	n, err := io.Copy(w, content)
	if err == nil && n != size {
		err = fmt.Errorf("%s changed while it was read", name)
	}
	return err
}

func (w tarWriter) json(name string, document any) error {
	content, err := encode(document)
	if err != nil {
		return err
	}
	return w.file(name, int64(len(content)), bytes.NewReader(content))
}
