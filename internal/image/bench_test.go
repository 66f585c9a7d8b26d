package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
)

// realStore spreads size bytes of the Go distribution, binaries and sources, over count store
// paths. Each ten of them refer to the last path of the ten before.
func realStore(b *testing.B, count int, size int64) (*fakeStore, Spec) {
	b.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	check(b, err)
	goroot, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	check(b, err)
	var files []string
	var sizes int64
	for round := 0; sizes < size; round++ {
		check(b, filepath.WalkDir(goroot, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || sizes >= size {
				return err
			}
			info, err := d.Info()
			files, sizes = append(files, name), sizes+info.Size()
			return err
		}))
	}
	s := newFakeStore(b)
	each := size / int64(count)
	for i := range count {
		p := nix.PathInfo{Path: pathFor(fmt.Sprint("path-", i)), NarHash: fmt.Sprint("sha256:", i)}
		if i > 0 {
			p.References = []string{s.all[i-1-i%10%i].Path}
		}
		check(b, os.MkdirAll(s.root+p.Path, 0o755))
		for n := 0; len(files) > 0 && (p.NarSize < each || i == count-1); n++ {
			to := fmt.Sprintf("%s/%d-%s", s.root+p.Path, n, filepath.Base(files[0]))
			if os.Link(files[0], to) != nil { // another file system
				content, err := os.ReadFile(files[0])
				check(b, err)
				check(b, os.WriteFile(to, content, 0o755))
			}
			info, err := os.Stat(to)
			check(b, err)
			p.NarSize += info.Size()
			files = files[1:]
		}
		s.all = append(s.all, p)
	}
	root := s.add("bench-root", map[string]string{"etc/passwd": "root"}, s.all[count-1].Path)
	return s, Spec{Platform: amd64, Closure: s.all, Root: root, Created: created}
}

// BenchmarkAssembleCold assembles 250 MB with an empty cache. The yardstick is one stream of the
// same files through tar, SHA-256, pgzip of the same level and SHA-256 to a file.
func BenchmarkAssembleCold(b *testing.B) {
	s, spec := realStore(b, 100, 250e6)
	var l *layout.Layout
	assemble := func(name string, codec Codec) bench.Program {
		return bench.Program{Name: name, Prepare: func() { l = newLayout(b) }, Run: func() bench.Use {
			spec.Codec = codec
			_, err := Assemble(context.Background(), l, spec, s.options())
			check(b, err)
			return bench.Use{}
		}}
	}
	bench.Times(b, bench.Row{Table: "Assemble and push", Work: "250 MB of the Go distribution, assembled only"},
		assemble("libre", Gzip),
		bench.Program{Name: "tar, sha256, pgzip, sha256", Run: func() bench.Use {
			f, err := os.Create(filepath.Join(b.TempDir(), "yardstick"))
			check(b, err)
			bench.TarSumPgzip(b, io.MultiWriter(sha256.New(), f), s.root, gzipLevel)
			check(b, f.Close())
			return bench.Use{}
		}},
		assemble("libre, layers.compression: zstd", Zstd),
	)
}

// BenchmarkAssembleChangedRoot changes the root path, one of 100 paths. Only the root's layer
// is written.
func BenchmarkAssembleChangedRoot(b *testing.B) {
	s, spec := realStore(b, 100, 100e6)
	l := newLayout(b)
	opts := s.options()
	_, err := Assemble(context.Background(), l, spec, opts)
	check(b, err)
	last := len(spec.Closure) - 1
	var written int64
	for n := 0; b.Loop(); n++ {
		spec.Closure[last].NarHash = fmt.Sprint("sha256:changed-", n)
		result, err := Assemble(context.Background(), l, spec, opts)
		check(b, err)
		for i, layer := range result.Layers {
			if layer.Fresh != (i == len(result.Layers)-1) {
				b.Fatalf("layer %d of %s: fresh %v", i, layer.Name, layer.Fresh)
			}
		}
		written = result.Written
	}
	b.ReportMetric(float64(written), "B-written")
}

// Memory does not grow with the layer: 32 times the bytes need no larger heap.
func TestWriteLayerMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 256 MB")
	}
	for _, codec := range []Codec{Gzip, Zstd} {
		small, large := peakHeap(t, codec, 8), peakHeap(t, codec, 256)
		t.Logf("%s: %d kB for 8 MB, %d kB for 256 MB", codec, small>>10, large>>10)
		if large > small+32<<20 { // the race detector needs some of it
			t.Errorf("%s: %d kB for 8 MB, %d kB for 256 MB", codec, small>>10, large>>10)
		}
	}
}

// peakHeap returns the largest heap in use, in bytes, while a layer of so many megabytes is
// written.
func peakHeap(t testing.TB, codec Codec, megabytes int) (peak uint64) {
	l := newLayout(t)
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(block[:1<<18])
	runtime.GC()
	_, err := writeLayer(context.Background(), l, codec, v1.Hash{}, func(w io.Writer) error {
		for range megabytes {
			if _, err := w.Write(block); err != nil {
				return err
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
		return nil
	})
	check(t, err)
	return peak
}
