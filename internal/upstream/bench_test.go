package upstream_test

import (
	"archive/tar"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/upstream"
)

// BenchmarkHashArchive hashes an archive of 50 MB with files of the Go distribution. The
// yardstick is gunzip and SHA-256 of the output.
func BenchmarkHashArchive(b *testing.B) {
	file := largeArchive(b, 50e6)
	bench.Times(b, bench.Row{Table: "Follow upstream", Work: "Nix hash of an archive of 50 MB"},
		bench.Program{Name: "libre", Run: func() bench.Use {
			f, err := os.Open(file)
			must(b, err)
			defer f.Close()
			a, err := upstream.HashArchive(f, upstream.DefaultArchiveLimits)
			must(b, err)
			must(b, a.Close())
			return bench.Use{}
		}},
		bench.Program{Name: "gunzip, sha256", Run: func() bench.Use {
			must(b, gunzipSum(file))
			return bench.Use{}
		}},
	)
}

func gunzipSum(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(sha256.New(), z)
	return err
}

// largeArchive packs files of the Go distribution until the archive has the given size.
func largeArchive(b *testing.B, size int64) (file string) {
	b.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	must(b, err)
	goroot, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	must(b, err)
	f, err := os.Create(filepath.Join(b.TempDir(), "large.tar.gz"))
	must(b, err)
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, 6)
	must(b, err)
	w := tar.NewWriter(z)
	for round := "top/1/"; ; round += "1/" {
		must(b, filepath.WalkDir(goroot, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if at, err := f.Seek(0, io.SeekCurrent); err != nil || at >= size {
				return fs.SkipAll
			}
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			header := &tar.Header{Name: round + strings.TrimPrefix(name, goroot+"/"), Mode: 0o644, Size: int64(len(content))}
			if err := w.WriteHeader(header); err != nil {
				return err
			}
			_, err = w.Write(content)
			return err
		}))
		if at, err := f.Seek(0, io.SeekCurrent); err != nil || at >= size {
			break
		}
	}
	must(b, w.Close())
	must(b, z.Close())
	return f.Name()
}
