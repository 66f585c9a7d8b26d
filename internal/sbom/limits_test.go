package sbom

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/testkit"
)

// zipped makes an archive with a number of entries. write writes the content of each.
func zipped(t *testing.T, entries int, name string, write func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for n := range entries {
		w, err := z.Create(strings.ReplaceAll(name, "N", fmt.Sprint(n)))
		if err == nil {
			err = write(w)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zeroesOf(size int64) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.CopyN(w, zeroes{}, size)
		return err
	}
}

func content(text []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(text); return err }
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sparse returns a tar of two kilobytes with one file of the given size, all of it a hole.
// https://www.gnu.org/software/tar/manual/html_node/PAX-1.html
func sparse(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	records := map[string]string{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": fmt.Sprint(size)}
	// The library refuses to write such records, so the test writes them under other names.
	hidden := map[string]string{}
	for key, value := range records {
		hidden[strings.Replace(key, "GNU", "XNU", 1)] = value
	}
	block := make([]byte, 512)
	copy(block, fmt.Sprintf("1\n%d\n0\n", size))
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 512, PAXRecords: hidden, Format: tar.FormatPAX})
	if err == nil {
		_, err = w.Write(block)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("XNU.sparse"), []byte("GNU.sparse"))
}

// Bytes that are unpacked from nested archives count while they are written, and bytes that are
// read into memory count too. Nothing is left behind, and the next image can be read.
func TestNestedArchivesMeetALimit(t *testing.T) {
	const limit = 64 << 20
	jar := func(size int64) []byte { return zipped(t, 1, "big.jar", zeroesOf(size)) }
	deep := jar(60 << 20)
	for range 4 {
		deep = zipped(t, 1, "deeper.jar", content(deep))
	}
	for what, test := range map[string]struct {
		name    string
		archive []byte
		raise   string // limit that the error names; "" if it is not unpacked
	}{
		"a jar of zeroes in a jar":    {"app.jar", jar(300 << 20), "limits.nested"},
		"many jars in a war":          {"app.war", zipped(t, 50, "WEB-INF/lib/N.jar", zeroesOf(10<<20)), "limits.nested"},
		"jars in jars in jars":        {"app.ear", zipped(t, 10, "N.jar", content(deep)), "limits.nested"},
		"a jar in a zip":              {"app.zip", jar(300 << 20), "limits.nested"},
		"a jar in a compressed tar":   {"app.tar.gz", gzippedTar(t, "big.jar", 300<<20), ""},
		"a jar that is a hole":        {"app.tar", sparse(t, "big.jar", 300<<20), ""},
		"a name of much memory":       {"package.json", []byte(`{"version":"1","name":"` + strings.Repeat("x", 400<<20) + `"}`), "limits.memory"},
		"more than an image may have": {"data", make([]byte, 600<<20), "limits.image"},
	} {
		t.Run(what, func(t *testing.T) {
			path := t.TempDir()
			if err := os.WriteFile(filepath.Join(path, test.name), test.archive, 0o644); err != nil {
				t.Fatal(err)
			}
			t.Setenv("TMPDIR", t.TempDir())
			programs, err := testkit.Programs()
			if err != nil {
				t.Fatal(err)
			}
			s := newScanner(filepath.Join(programs, inspect.Program), Limits{Image: 500 << 20, Nested: limit, Memory: 600 << 20})
			defer s.Close()
			most := testkit.MostIn(os.TempDir())
			read := func(path string) error {
				closure := &Document{Components: []Component{{ID: path, StorePath: path, Where: []string{"/"}}}}
				_, err := s.FromStorePaths(t.Context(), closure, nil)
				return err
			}
			err = read(path)
			if (err == nil) != (test.raise == "") || err != nil && !strings.Contains(err.Error(), "raise "+test.raise+" in libre.yaml") {
				t.Errorf("got %v", err)
			}
			if kept := most(); kept > min(int64(len(test.archive)), 500<<20)+2*limit {
				t.Errorf("%d MB were in temporary files", kept>>20)
			}
			nothingLeft(t)
			if err := read(t.TempDir()); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func gzippedTar(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size})
	if err == nil {
		err = zeroesOf(size)(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
