package publish

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/testkit"
)

// gzipLevel is the level of libre's layers.
const gzipLevel = 5

// BenchmarkPushClosure assembles a closure of about 350 MB and 90 paths with an empty cache
// and pushes it without signing. The baselines, in the same run:
//
//   - for a registry that discards its input: one stream of the same files through tar,
//     SHA-256 and pgzip. Goal: at most 1.3 times its time.
//   - for docker-registry: pushing the image of nixpkgs' dockerTools. Each path is a
//     layer that goes through tar twice, once to hash it and once into a docker-archive,
//     which skopeo copies. Goal: at most 0.45 times its time. The program of nixpkgs is in
//     Python; "x-go" is the same with Go's tar, which takes half the time for its part.
//
// "x-cpu" is the ratio of the CPU times of the pushing side, which does not depend on other
// work on the machine.
func BenchmarkPushClosure(b *testing.B) {
	store := newDebianStore(b, "postgresql-15")
	b.Run("discarded", func(b *testing.B) {
		var ours, yardstick fastestOf
		for range rounds {
			yardstick.run(b, func() time.Duration {
				testkit.TarSumPgzip(b, io.Discard, store.dir, gzipLevel)
				return 0
			})
			ours.run(b, func() time.Duration { return store.push(b, serve(b, newSink())) })
		}
		store.report(b, ours, yardstick)
	})
	b.Run("docker-registry", func(b *testing.B) {
		testkit.Require(b, "skopeo", "python3")
		file := filepath.Join(b.TempDir(), "archive.tar")
		var ours, plain, python, copied fastestOf
		for range rounds {
			plain.run(b, func() time.Duration { return store.dockerArchive(b, file) })
			python.run(b, func() time.Duration {
				return command(b, "python3", "testdata/docker_archive.py", filepath.Join(store.dir, "nix/store"), file)
			})
			host := testkit.DockerRegistry(b, b.TempDir())
			copied.run(b, func() time.Duration {
				return skopeo(b, "docker-archive:"+file, "docker://"+host+"/image:1")
			})
			host = testkit.DockerRegistry(b, b.TempDir())
			ours.run(b, func() time.Duration { return store.push(b, host) })
		}
		store.report(b, ours, python.and(copied))
		b.ReportMetric(ours.wall.Seconds()/plain.and(copied).wall.Seconds(), "x-go")
	})
}

// BenchmarkPushLayout pushes the same image from an OCI layout. The baseline is copying it
// with skopeo. Goal: at most its time.
func BenchmarkPushLayout(b *testing.B) {
	testkit.Require(b, "skopeo")
	store := newDebianStore(b, "postgresql-15")
	dir := filepath.Join(b.TempDir(), "dist")
	index := store.assemble(b, dir)
	var ours, yardstick fastestOf
	for range rounds {
		host := testkit.DockerRegistry(b, b.TempDir())
		yardstick.run(b, func() time.Duration {
			return skopeo(b, "oci:"+dir+":image", "docker://"+host+"/image:1", "--all")
		})
		host = testkit.DockerRegistry(b, b.TempDir())
		ours.run(b, func() time.Duration {
			pushIndex(b, dir, index, host)
			return 0
		})
	}
	store.report(b, ours, yardstick)
}

func (s *debianStore) report(b *testing.B, ours, yardstick fastestOf) {
	b.ReportMetric(float64(len(s.closure)), "paths")
	b.ReportMetric(float64(s.size())/1e6, "MB")
	b.ReportMetric(ours.wall.Seconds(), "s")
	b.ReportMetric(ours.wall.Seconds()/yardstick.wall.Seconds(), "x-yardstick")
	b.ReportMetric(ours.cpu.Seconds()/yardstick.cpu.Seconds(), "x-cpu")
	b.ReportMetric(0, "ns/op")
}

// push assembles the closure and pushes it.
func (s *debianStore) push(b *testing.B, host string) time.Duration {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "dist")
	pushIndex(b, dir, s.assemble(b, dir), host)
	return 0
}

func (s *debianStore) assemble(b *testing.B, dir string) v1.Hash {
	b.Helper()
	dist, err := layout.Create(b.Context(), dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer dist.Close()
	result, err := image.Assemble(b.Context(), dist, image.Spec{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Closure: s.closure, Root: s.root, Created: time.Unix(1, 0),
	}, image.Options{Cache: image.NewCache(""), StoreRoot: s.dir})
	if err != nil {
		b.Fatal(err)
	}
	index, err := image.Index(b.Context(), dist, []v1.Descriptor{result.Descriptor}, nil)
	if err == nil {
		err = dist.Put("image", index, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	return index.Digest
}

func pushIndex(b *testing.B, dir string, index v1.Hash, host string) {
	b.Helper()
	client, err := registry.NewClient(host, registry.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.PushIndex(b.Context(), dir, index, catalog.ParseRef("image:1")); err != nil {
		b.Fatal(err)
	}
}

// dockerArchive writes the closure as a docker-archive.
func (s *debianStore) dockerArchive(b *testing.B, file string) time.Duration {
	b.Helper()
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	archive := tar.NewWriter(f)
	err = s.writeDockerArchive(archive)
	for _, end := range []io.Closer{archive, f} {
		if closeErr := end.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return 0
}

// writeDockerArchive computes the hash and the size of each layer before it writes the
// layer.
// https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
func (s *debianStore) writeDockerArchive(archive *tar.Writer) error {
	add := func(name string, content []byte) error {
		err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(content))})
		if err == nil {
			_, err = archive.Write(content)
		}
		return err
	}
	config := v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers"}}
	var layers []string
	for _, p := range s.closure {
		dir := filepath.Join(s.dir, p.Path)
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

// skopeo copies an image and returns the CPU time.
func skopeo(b *testing.B, from, to string, args ...string) time.Duration {
	b.Helper()
	return command(b, "skopeo", append([]string{"--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", from, to}, args...)...)
}

// command runs another program and returns its CPU time.
func command(b *testing.B, name string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
