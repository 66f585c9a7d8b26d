package containerfile

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Load copies one image of an OCI layout into the user's own podman, buildah
// (both: containers-storage) or docker, where it is called name afterwards:
// registry.example/lasuite/docs-backend-default:5.4.1-1. A name without a
// registry is under localhost/ in the first two.
//
// ref is the entry's org.opencontainers.image.ref.name or digest; of an index
// the platform's image is taken, "" being linux on this machine's
// architecture. An error of the engine is an [*Error].
func Load(ctx context.Context, e Engine, layout, ref, platform, name string) error {
	p, err := pick(layout, ref, cmp.Or(platform, machinePlatform()))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "libre-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return err
	}
	engine := func(args ...string) child {
		return child{path: e.Path, args: args, env: environment(ownStorage)}
	}
	doing := fmt.Sprintf("load %s into %s", name, e.Name)
	if e.Name == "docker" {
		return loadDocker(p, engine("load", "--quiet"), name, doing, out)
	}
	// No flags for storage or policy: the user's own.
	dir := filepath.Join(tmp, "image")
	if err := p.asDir(dir); err != nil {
		return err
	}
	said, err := query(engine("pull", "--quiet", "dir:"+dir), out)
	if err != nil {
		return failure(doing, out, err)
	}
	if err := run(engine("tag", lastLineOf(said), name), out); err != nil {
		return failure(doing, out, err)
	}
	return nil
}

// loadDocker streams the image into "docker load".
func loadDocker(p picked, c child, name, doing string, out *output) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := p.writeArchive(w, name)
		w.CloseWithError(err)
		written <- err
	}()
	c.stdin = r
	err := run(c, out)
	r.Close() // ends the writer when the child has not read to the end
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return fmt.Errorf("%s: %w", doing, werr)
	}
	if err != nil {
		return failure(doing, out, err)
	}
	return nil
}

// writeArchive writes the image as "docker save" does since docker 25: an OCI
// layout with a manifest.json beside it, which docker without the containerd
// store, docker before 25 and podman read.
// https://github.com/moby/moby/blob/master/image/spec/v1.2.md#combined-image-json--filesystem-changeset-format
func (p picked) writeArchive(to io.Writer, name string) error {
	ref, err := parseReference(name)
	if err != nil {
		return err
	}
	entry := p.manifest
	entry.Annotations = map[string]string{
		"io.containerd.image.name": ref.byTag(),
		refName:                    ref.tag,
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{entry}})
	if err != nil {
		return err
	}
	path := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	type image struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	m := image{Config: path(p.image.Config.Digest), RepoTags: []string{ref.byTag()}}
	for _, l := range p.image.Layers {
		m.Layers = append(m.Layers, path(l.Digest))
	}
	manifest, err := json.Marshal([]image{m})
	if err != nil {
		return err
	}
	w := tar.NewWriter(to)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{"manifest.json", manifest},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	done := map[v1.Hash]bool{}
	for _, d := range append([]v1.Descriptor{p.manifest}, p.parts()...) {
		if done[d.Digest] {
			continue
		}
		done[d.Digest] = true
		if err := writeBlob(w, path(d.Digest), p.blob(d.Digest)); err != nil {
			return err
		}
	}
	return w.Close()
}

func writeBlob(w *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
