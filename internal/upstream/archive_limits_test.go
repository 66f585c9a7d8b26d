package upstream_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nix-community/go-nix/pkg/nar"

	"github.com/libresh/libre/internal/upstream"
)

// Nothing is left in the folder for temporary files, not even while the archive is open.
func TestArchiveLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	hashArchive(t, makeTar(t, entry{"top/file", "x"}))
	if _, err := upstream.HashArchive(strings.NewReader("x"), upstream.DefaultArchiveLimits); err == nil {
		t.Error("x is an archive")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// Memory does not grow with the archive: 16 times the bytes, no more live heap.
func TestArchiveMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 128 MB")
	}
	small, large := peakHeap(t, 8), peakHeap(t, 128)
	t.Logf("%d kB for 8 MB, %d kB for 128 MB", small>>10, large>>10)
	if large > small+16<<20 {
		t.Errorf("%d kB for 8 MB, %d kB for 128 MB", small>>10, large>>10)
	}
}

// watchedReader records the largest heap at its reads.
type watchedReader struct {
	io.Reader
	peak uint64
}

func (w *watchedReader) Read(p []byte) (int, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, m.HeapInuse)
	return w.Reader.Read(p)
}

// peakHeap returns the largest heap while an archive of the given size is read.
func peakHeap(t *testing.T, megabytes int) uint64 {
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	f, err := os.Create(file)
	must(t, err)
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(block)
	for i := range megabytes / 4 {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("top/", i), Mode: 0o644, Size: 4 << 20}))
		for range 4 {
			_, err := w.Write(block)
			must(t, err)
		}
	}
	must(t, w.Close())
	must(t, z.Close())
	_, err = f.Seek(0, io.SeekStart)
	must(t, err)
	defer f.Close()
	runtime.GC()
	watched := &watchedReader{Reader: f}
	a, err := upstream.HashArchive(watched, upstream.DefaultArchiveLimits)
	must(t, err)
	must(t, a.Close())
	return watched.peak
}

// For any bytes, the result is an error, or the hash that go-nix returns for the same tree.
func FuzzHashArchive(f *testing.F) {
	f.Add(makeTar(f, global(strings.Repeat("a", 40)), entry{"top/", ""}, entry{"top/b", "x"}, entry{"top/a/c", "→b"}))
	f.Add(gzipped(f, makeTar(f, entry{"top/a/b", "x"}, entry{"top/a.b", "12345678"})))
	f.Add(makeTar(f, entry{"./top/file", "x"}, entry{"./top/é/" + strings.Repeat("long", 60), ""}))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := upstream.HashArchive(bytes.NewReader(content), upstream.ArchiveLimits{Bytes: 1 << 20, Entries: 1000})
		if err != nil {
			return
		}
		defer a.Close()
		sum := sha256.New()
		w, err := nar.NewWriter(sum)
		must(t, err)
		invalid := false
		must(t, fs.WalkDir(a, ".", func(name string, d fs.DirEntry, err error) error {
			must(t, err)
			if invalid = invalid || !fs.ValidPath(name); invalid {
				return fs.SkipAll // an fs.FS cannot have names that are not UTF-8
			}
			h := &nar.Header{Path: "/" + strings.TrimPrefix(name, "."), Type: nar.TypeRegular}
			info, err := d.Info()
			must(t, err)
			switch {
			case d.IsDir():
				h.Type = nar.TypeDirectory
			case d.Type() == fs.ModeSymlink:
				h.Type = nar.TypeSymlink
				h.LinkTarget, err = a.ReadLink(name)
				must(t, err)
			default:
				h.Size, h.Executable = info.Size(), info.Mode()&0o100 != 0
			}
			must(t, w.WriteHeader(h))
			if h.Type == nar.TypeRegular {
				text, err := fs.ReadFile(a, name)
				must(t, err)
				_, err = w.Write(text)
				must(t, err)
			}
			return nil
		}))
		if invalid {
			return
		}
		must(t, w.Close())
		if want := "sha256-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); a.Hash != want {
			t.Errorf("hash %s, go-nix has %s", a.Hash, want)
		}
	})
}
