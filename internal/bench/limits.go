package bench

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/pgzip"
)

// TarSumPgzip streams the files below a folder through tar, SHA-256 and pgzip. The time for
// making layers is compared with it.
func TarSumPgzip(b *testing.B, to io.Writer, dir string, level int) {
	b.Helper()
	z, err := pgzip.NewWriterLevel(to, level)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(writeTar(io.MultiWriter(sha256.New(), z), dir), z.Close()); err != nil {
		b.Fatal(err)
	}
}

// TarSum streams the files below a folder through tar and SHA-256.
func TarSum(b *testing.B, dir string) {
	b.Helper()
	if err := writeTar(sha256.New(), dir); err != nil {
		b.Fatal(err)
	}
}

// Read reads the files below a folder, one after the other.
func Read(b *testing.B, dir string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(discard{}, f)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// discard is io.Discard without a buffer of its own.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func writeTar(to io.Writer, dir string) error {
	w := tar.NewWriter(to)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return w.Close()
}
