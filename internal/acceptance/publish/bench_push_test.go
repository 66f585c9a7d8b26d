package publish

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/testkit"
)

// gzipLevel is the level of libre's layers.
const gzipLevel = 5

// BenchmarkPushClosure assembles a closure of about 350 MB and 90 paths with an empty cache
// and pushes it without signing, in a process of its own. The baselines, in the same run:
//
//   - for a registry that discards its input: one stream of the same files through tar,
//     SHA-256 and pgzip.
//   - for docker-registry: pushing the image of nixpkgs' dockerTools. Each path is a
//     layer that goes through tar twice, once to hash it and once into a docker-archive,
//     which skopeo copies. The program of nixpkgs is in Python; Go's tar takes half the time
//     for its part.
func BenchmarkPushClosure(b *testing.B) {
	store := bench.NewStore(b, "postgresql-15")
	b.Run("discarded", func(b *testing.B) { pushDiscarded(b, store) })
	b.Run("docker-registry", func(b *testing.B) { pushStored(b, store) })
	b.Run("zstd", func(b *testing.B) { pushZstd(b, store) })
}

func pushDiscarded(b *testing.B, store *bench.Store) {
	var discard *sink
	var host string
	bench.Times(b, bench.Row{Table: "Assemble and push", Work: "350 MB, to a registry that discards", Goal: 1.05},
		bench.Program{Name: "libre", Prepare: func() { discard = newSink(); host = serve(b, discard) }, Run: func() bench.Use {
			use := assembleAndPush(b, store, image.Gzip, host)
			use.Sent, use.Requests = discard.received.Load(), discard.requests.Load()
			return use
		}},
		bench.Program{Name: "tar, sha256, pgzip", Run: func() bench.Use {
			bench.TarSumPgzip(b, io.Discard, store.Dir, gzipLevel)
			return bench.Use{}
		}},
		bench.Program{Name: "tar, sha256", Run: func() bench.Use {
			bench.TarSum(b, store.Dir)
			return bench.Use{}
		}},
		bench.Program{Name: "reading the files", Run: func() bench.Use {
			bench.Read(b, store.Dir)
			return bench.Use{}
		}},
	)
}

func pushStored(b *testing.B, store *bench.Store) {
	testkit.Require(b, "skopeo", "python3", "buildah")
	var kept *stored
	prepare := func() { kept = newStored(b) }
	run := func(name string, push func(reference string) bench.Use) bench.Program {
		return bench.Program{Name: name, Prepare: prepare, Run: func() bench.Use {
			use := push(kept.host + "/image:1")
			use.Sent = kept.size(b)
			return use
		}}
	}
	file := filepath.Join(b.TempDir(), "archive.tar")
	archive := func() bench.Use {
		return bench.Command(b, "python3", "testdata/docker_archive.py", filepath.Join(store.Dir, "nix/store"), file)
	}
	bench.Times(b, bench.Row{Table: "Assemble and push", Work: "350 MB, to docker-registry on the same cores", Goal: 0.33},
		run("libre", func(string) bench.Use { return assembleAndPush(b, store, image.Gzip, kept.host) }),
		run("docker-archive of dockerTools, skopeo copy", func(reference string) bench.Use {
			return archive().And(skopeo(b, "docker-archive:"+file, "docker://"+reference))
		}),
		run("docker-archive of dockerTools, crane push", func(reference string) bench.Use {
			use := archive()
			cranePush(b, file, reference)
			return use
		}),
		run("docker-archive by Go's tar, skopeo copy", func(reference string) bench.Use {
			dockerArchive(b, store, file)
			return skopeo(b, "docker-archive:"+file, "docker://"+reference)
		}),
		run("buildah: add, commit, push", func(reference string) bench.Use { return buildah(b, store.Dir, reference) }),
	)
}

// pushZstd compares layers compressed by zstd with those compressed by gzip.
func pushZstd(b *testing.B, store *bench.Store) {
	side := func(name string, codec image.Codec) bench.Program {
		var kept *stored
		return bench.Program{Name: name, Prepare: func() { kept = newStored(b) }, Run: func() bench.Use {
			use := assembleAndPush(b, store, codec, kept.host)
			use.Sent = kept.size(b)
			return use
		}}
	}
	bench.Times(b, bench.Row{Table: "zstd", Work: "assemble and push 350 MB"}, side("libre, layers.compression: zstd", image.Zstd), side("libre, gzip", image.Gzip))
	unpack := func(name string, codec image.Codec) bench.Program {
		host, dir := newStored(b).host, filepath.Join(b.TempDir(), "dist")
		index, err := assemble(b.Context(), pushed{Store: store, Codec: codec}, dir, nil)
		if err == nil {
			err = pushIndex(b.Context(), dir, index, host)
		}
		if err != nil {
			b.Fatal(err)
		}
		var storage string
		return bench.Program{Name: name, Prepare: func() { storage = b.TempDir() }, Run: func() bench.Use {
			return bench.Command(b, "buildah", append(storageFlags(storage), "pull", "--quiet", "--tls-verify=false", host+"/image@"+index.String())...)
		}}
	}
	bench.Times(b, bench.Row{Table: "zstd", Work: "buildah pull, which unpacks"}, unpack("layers of zstd", image.Zstd), unpack("layers of gzip", image.Gzip))
}

// BenchmarkPushLayout pushes the same image from an OCI layout. The baseline is copying it
// with skopeo.
func BenchmarkPushLayout(b *testing.B) {
	testkit.Require(b, "skopeo")
	store := bench.NewStore(b, "postgresql-15")
	dir := filepath.Join(b.TempDir(), "dist")
	index, err := assemble(b.Context(), pushed{Store: store, Codec: image.Gzip}, dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	var kept *stored
	prepare := func() { kept = newStored(b) }
	bench.Times(b, bench.Row{Table: "Assemble and push", Work: "the same image from an OCI layout", Goal: 1},
		bench.Program{Name: "libre", Prepare: prepare, Run: func() bench.Use {
			if err := pushIndex(b.Context(), dir, index, kept.host); err != nil {
				b.Fatal(err)
			}
			return bench.Use{Sent: kept.size(b)}
		}},
		bench.Program{Name: "skopeo copy", Prepare: prepare, Run: func() bench.Use {
			return skopeo(b, "oci:"+dir+":image", "docker://"+kept.host+"/image:1", "--all")
		}},
	)
}

// BenchmarkMemory assembles and pushes ten times the bytes, which must need no more memory.
func BenchmarkMemory(b *testing.B) {
	store := bench.NewStore(b, "postgresql-15")
	host := serve(b, newSink())
	tenfold := store.Times(b, 10)
	large, small := bench.Side{Name: "libre, 3.5 GB"}, bench.Side{Name: "libre, 350 MB"}
	for range bench.Rounds {
		large.Values = append(large.Values, float64(assembleAndPush(b, tenfold, image.Gzip, host).Memory)/1e6)
		small.Values = append(small.Values, float64(assembleAndPush(b, store, image.Gzip, host).Memory)/1e6)
	}
	bench.Keep(b, bench.Row{Table: "Memory", Work: "assemble and push 3.5 GB", Unit: "MB", Goal: 1.2, Sides: []bench.Side{large, small}})
}

// pushed is what a process of its own assembles and pushes.
type pushed struct {
	Store *bench.Store
	Codec image.Codec
	Host  string
	Dir   string // for the layout
}

var benchRef = catalog.ParseRef("image:1")

// benchPush is the environment variable that names the file with a pushed.
const benchPush = "LIBRE_BENCH_PUSH"

// assembleAndPush starts this program anew to assemble and push a closure.
func assembleAndPush(b *testing.B, store *bench.Store, codec image.Codec, host string) bench.Use {
	b.Helper()
	dir := b.TempDir()
	task, err := json.Marshal(pushed{store, codec, host, filepath.Join(dir, "dist")})
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "task.json")
	if err := os.WriteFile(file, task, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchPush+"="+file, "GOGC=")
	return bench.Run(b, cmd)
}

// doPush does what a file from assembleAndPush says.
func doPush(file string) error {
	process.CollectSeldom()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var task pushed
	if err := json.Unmarshal(text, &task); err != nil {
		return err
	}
	ctx := context.Background()
	client, err := registry.NewClient(task.Host, registry.Options{})
	if err != nil {
		return err
	}
	ahead := client.NewAhead(func() (*layout.Layout, error) { return layout.Open(task.Dir) })
	defer ahead.Wait()
	index, err := assemble(ctx, task, task.Dir, func(_, _ int, layer image.Layer) { ahead.Send(ctx, benchRef, layer.Descriptor) })
	if err == nil {
		_, err = client.PushIndex(ctx, task.Dir, index, benchRef)
	}
	return err
}

// assemble writes the image of a closure into a layout. progress may be nil.
func assemble(ctx context.Context, task pushed, dir string, progress func(done, total int, layer image.Layer)) (v1.Hash, error) {
	dist, err := layout.Create(ctx, dir, nil)
	if err != nil {
		return v1.Hash{}, err
	}
	defer dist.Close()
	result, err := image.Assemble(ctx, dist, image.Spec{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Closure: task.Store.Closure, Root: task.Store.Root, Created: time.Unix(1, 0), Codec: task.Codec,
	}, image.Options{Cache: image.NewCache(""), StoreRoot: task.Store.Dir, Progress: progress})
	if err != nil {
		return v1.Hash{}, err
	}
	index, err := image.Index(ctx, dist, []v1.Descriptor{result.Descriptor}, nil)
	if err == nil {
		err = dist.Put("image", index, nil)
	}
	return index.Digest, err
}

func pushIndex(ctx context.Context, dir string, index v1.Hash, host string) error {
	client, err := registry.NewClient(host, registry.Options{})
	if err == nil {
		_, err = client.PushIndex(ctx, dir, index, benchRef)
	}
	return err
}

// stored is docker-registry with its folder.
type stored struct{ host, dir string }

func newStored(b *testing.B) *stored {
	b.Helper()
	dir := b.TempDir()
	return &stored{testkit.DockerRegistry(b, dir), dir}
}

// size returns the bytes of all files.
func (s *stored) size(b *testing.B) int64 {
	b.Helper()
	var size int64
	err := filepath.WalkDir(s.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

// skopeo copies an image.
func skopeo(b *testing.B, from, to string, args ...string) bench.Use {
	b.Helper()
	return bench.Command(b, "skopeo", append([]string{"--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", from, to}, args...)...)
}

// cranePush pushes a docker-archive as the program crane does.
func cranePush(b *testing.B, file, reference string) {
	b.Helper()
	archive, err := crane.Load(file)
	if err == nil {
		err = crane.Push(archive, reference, crane.Insecure)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// buildah makes an image with one layer of the files, and pushes it.
func buildah(b *testing.B, dir, reference string) bench.Use {
	b.Helper()
	flags := storageFlags(b.TempDir())
	var sum bench.Use
	for _, args := range [][]string{
		{"from", "--name", "made", "scratch"},
		{"add", "--quiet", "made", dir, "/"},
		{"commit", "--quiet", "made", "made"},
		{"push", "--quiet", "--tls-verify=false", "made", "docker://" + reference},
		{"rm", "made"},
	} {
		sum = sum.And(bench.Command(b, "buildah", append(flags[:len(flags):len(flags)], args...)...))
	}
	return sum
}

func storageFlags(dir string) []string {
	return []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay"}
}
