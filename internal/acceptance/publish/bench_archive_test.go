package publish

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/bench"
)

// dockerArchive writes the closure as a docker-archive.
func dockerArchive(b *testing.B, s *bench.Store, file string) {
	b.Helper()
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	archive := tar.NewWriter(f)
	err = writeDockerArchive(s, archive)
	for _, end := range []io.Closer{archive, f} {
		if closeErr := end.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// writeDockerArchive computes the hash and the size of each layer before it writes the
// layer.
// https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
func writeDockerArchive(s *bench.Store, archive *tar.Writer) error {
	add := func(name string, content []byte) error {
		err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(content))})
		if err == nil {
			_, err = archive.Write(content)
		}
		return err
	}
	config := v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers"}}
	var layers []string
	for _, p := range s.Closure {
		dir := filepath.Join(s.Dir, p.Path)
		sum, size := sha256.New(), &discarded{}
		if err := writeTar(io.MultiWriter(sum, size), dir); err != nil {
			return err
		}
		hash := v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, hash)
		layers = append(layers, hash.Hex+"/layer.tar")
		if err := archive.WriteHeader(&tar.Header{Name: layers[len(layers)-1], Mode: 0o444, Size: size.n}); err != nil {
			return err
		}
		if err := writeTar(archive, dir); err != nil {
			return err
		}
	}
	content, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if err := add("config.json", content); err != nil {
		return err
	}
	content, err = json.Marshal([]map[string]any{{"Config": "config.json", "Layers": layers}})
	if err != nil {
		return err
	}
	return add("manifest.json", content)
}

func writeTar(to io.Writer, dir string) error {
	w := tar.NewWriter(to)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return w.Close()
}

// discarded counts the bytes that are written to it.
type discarded struct{ n int64 }

func (d *discarded) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return len(p), nil
}
