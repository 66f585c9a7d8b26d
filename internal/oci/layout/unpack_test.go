package layout

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// archiveOf makes an archive of files; a name that ends in / is a folder.
func archiveOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}
		if strings.HasSuffix(files[i], "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readArchive reads an archive into a new layout.
func readArchive(t *testing.T, archive []byte, dir string) error {
	t.Helper()
	l, err := Create(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.ReadArchive(t.Context(), bytes.NewReader(archive))
}

const (
	emptyBlob  = "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	emptyIndex = `{"schemaVersion": 2, "manifests": []}`
)

func TestOnlyAWholeLayoutIsReadFromAnArchive(t *testing.T) {
	for name, test := range map[string]struct {
		sent []byte
		want string
	}{
		"a layout":        {archiveOf(t, "blobs/", "", "blobs/sha256/", "", emptyBlob, "", "oci-layout", "{}", "index.json", emptyIndex), ""},
		"no index":        {archiveOf(t, emptyBlob, ""), "reading the archive of an OCI layout: it has no index.json"},
		"no archive":      {[]byte("x"), "reading the archive of an OCI layout: unexpected EOF"},
		"a wrong index":   {archiveOf(t, "index.json", "{"), "reading the archive of an OCI layout: index.json: unexpected EOF"},
		"a wrong blob":    {archiveOf(t, emptyBlob, "x"), "reading a blob of an archive: sha256:e3b0c442"},
		"a name outside":  {archiveOf(t, "blobs/sha256/../../../x", "x"), "reading a blob of an archive: "},
		"another outside": {archiveOf(t, "../x", "x", "index.json", emptyIndex), ""},
	} {
		dir := filepath.Join(t.TempDir(), "below", "layout")
		if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		err := readArchive(t, test.sent, dir)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		if beside, _ := os.ReadDir(filepath.Dir(dir)); len(beside) != 1 {
			t.Errorf("%s: %v", name, beside)
		}
	}
}

// Whatever an archive has, only a layout is written, in its folder, and each blob has its digest.
func FuzzReadArchive(f *testing.F) {
	f.Add(archiveOf(f, "blobs/", "", emptyBlob, "", "oci-layout", "{}", "index.json", emptyIndex))
	f.Add(archiveOf(f, "index.json", emptyIndex, "../index.json", "x", "blobs/sha256/../x", "y"))
	f.Add(archiveOf(f, "blobs/sha512/"+strings.Repeat("0", 128), "x"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		parent := t.TempDir()
		err := readArchive(t, sent, filepath.Join(parent, "layout"))
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
		_ = filepath.WalkDir(parent, func(path string, d fs.DirEntry, _ error) error {
			rel, _ := filepath.Rel(filepath.Join(parent, "layout"), path)
			algorithm, hex, isBlob := strings.Cut(strings.TrimPrefix(rel, "blobs/"), "/")
			switch {
			case d.IsDir(), rel == IndexFile, rel == versionFile:
			case isBlob:
				content, _ := os.ReadFile(path)
				if sum, _, err := v1.SHA256(bytes.NewReader(content)); err != nil || sum.String() != algorithm+":"+hex {
					t.Errorf("%s has other content", rel)
				}
			default:
				t.Errorf("%s is written", rel)
			}
			return nil
		})
	})
}
