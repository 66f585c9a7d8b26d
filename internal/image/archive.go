package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// WriteArchive writes one named image as a tar stream that both `podman load`
// and `docker load` read: an OCI layout (oci-archive) that also has Docker's
// manifest.json, which names the image of the wanted platform, as `docker save`
// writes it since Docker 25.
func (l *Layout) WriteArchive(ctx context.Context, refName string, platform v1.Platform, w io.Writer) error {
	entry, ok, err := l.Lookup(refName)
	switch {
	case err != nil:
		return fmt.Errorf("archiving %s: %w", refName, err)
	case !ok:
		return fmt.Errorf("archiving %s: %s has no image of this name", refName, l.dir)
	case !entry.Complete:
		return fmt.Errorf("archiving %s: blobs are missing in %s", refName, l.dir)
	}
	a := archive{tree: newTree(ctx, w), layout: l}
	if err := a.write(refName, entry.Descriptor, platform); err != nil {
		return fmt.Errorf("archiving %s: %w", refName, err)
	}
	return a.tree.tw.Close()
}

type archive struct {
	tree   *tree
	layout *Layout
}

func (a *archive) write(refName string, d v1.Descriptor, platform v1.Platform) error {
	images, err := a.layout.images([]v1.Descriptor{d})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(images, func(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.Satisfies(platform) })
	if at < 0 {
		return fmt.Errorf("it has no image for %s", platform.String())
	}
	var manifest v1.Manifest
	if err := a.layout.readJSON(images[at], &manifest); err != nil {
		return err
	}
	docker := dockerManifest{Config: blobName(manifest.Config), RepoTags: []string{refName}}
	for _, layer := range manifest.Layers {
		docker.Layers = append(docker.Layers, blobName(layer))
	}
	index := emptyIndex()
	index.Manifests = []v1.Descriptor{d}
	index.Manifests[0].Annotations = map[string]string{
		RefNameAnnotation:          refName,
		"io.containerd.image.name": "docker.io/library/" + refName, // what Docker's containerd store calls it
	}
	if err := a.blobs(d); err != nil {
		return err
	}
	if err := a.json("index.json", index); err != nil {
		return err
	}
	if err := a.json("manifest.json", []dockerManifest{docker}); err != nil {
		return err
	}
	return a.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"})
}

// dockerManifest is one image of manifest.json, see
// https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archive) blobs(d v1.Descriptor) error {
	for _, dir := range []string{"blobs", "blobs/sha256"} {
		if err := a.tree.dir(dir, 0o755, 0, 0); err != nil {
			return err
		}
	}
	var all []v1.Descriptor
	if err := a.layout.visit(d, func(b v1.Descriptor) { all = append(all, b) }); err != nil {
		return err
	}
	seen := map[v1.Hash]bool{}
	for _, b := range all {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			if err := a.tree.file(blobName(b), a.layout.blobPath(b.Digest), 0o644, 0, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *archive) json(name string, document any) error {
	content, err := encode(document)
	if err != nil {
		return err
	}
	if err := a.tree.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		return err
	}
	_, err = a.tree.tw.Write(content)
	return err
}

func blobName(d v1.Descriptor) string {
	return path.Join("blobs", d.Digest.Algorithm, d.Digest.Hex)
}
