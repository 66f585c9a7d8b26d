package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Through a link or a pipe in a layout, a reader gets nothing from outside.
func TestReaderFollowsNoLinkOutOfTheLayout(t *testing.T) {
	l := newLayout(t)
	d := putBlob(t, l, types.OCIConfigJSON, []byte(`{"os":"canary"}`))
	outside := t.TempDir()
	check(t, os.Rename(l.BlobPath(d.Digest), filepath.Join(outside, d.Digest.Hex)))
	blobs := filepath.Dir(l.BlobPath(d.Digest))
	for name, plant := range map[string]func() error{
		"a blob":               func() error { return os.Symlink(filepath.Join(outside, d.Digest.Hex), l.BlobPath(d.Digest)) },
		"a blob, by relation":  func() error { return os.Symlink("../../../"+filepath.Base(outside), l.BlobPath(d.Digest)) },
		"a pipe":               func() error { return syscall.Mkfifo(l.BlobPath(d.Digest), 0o600) },
		"a folder":             func() error { return os.Mkdir(l.BlobPath(d.Digest), 0o700) },
		"the folder of a hash": func() error { return errors.Join(os.Remove(blobs), os.Symlink(outside, blobs)) },
	} {
		check(t, os.RemoveAll(blobs))
		check(t, os.MkdirAll(blobs, 0o700))
		check(t, plant())
		expectNothing(t, name, l, d)
	}
	check(t, os.RemoveAll(filepath.Dir(blobs)))
	check(t, os.Mkdir(filepath.Join(outside, "sha256"), 0o700))
	check(t, os.Rename(filepath.Join(outside, d.Digest.Hex), filepath.Join(outside, "sha256", d.Digest.Hex)))
	check(t, os.Symlink(outside, filepath.Dir(blobs)))
	expectNothing(t, "the folder of blobs", l, d)
}

func expectNothing(t *testing.T, name string, l *Layout, d v1.Descriptor) {
	t.Helper()
	if content, err := l.ReadBlob(d.Digest); err == nil {
		t.Errorf("%s: read %s", name, content)
	}
	if l.HasBlob(d.Digest, d.Size) {
		t.Errorf("%s: counts as a blob", name)
	}
}

// A writer does not follow links either.
func TestWriterRefusesLinks(t *testing.T) {
	for _, entry := range []string{IndexFile, versionFile, blobsDir, blobsDir + "/sha256", blobsDir + "/sha512"} {
		l := newLayout(t)
		check(t, l.Close())
		elsewhere := t.TempDir()
		link := filepath.Join(l.Dir(), entry)
		check(t, os.RemoveAll(link))
		check(t, os.Symlink(elsewhere, link))
		if entry == blobsDir {
			check(t, os.Mkdir(filepath.Join(elsewhere, "sha256"), 0o700))
		}
		if _, err := Create(context.Background(), l.Dir(), nil); err == nil || !strings.Contains(err.Error(), entry+" is a link") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

// Content under a wrong digest is not a document, and an image with it is not complete.
func TestDocumentsHaveTheirDigest(t *testing.T) {
	for name, content := range map[string]string{
		"another manifest": `{"schemaVersion":2,"layers":[]}`,
		"nothing":          "",
		"an index":         `{"schemaVersion":2,"manifests":[]}`,
		"too much":         strings.Repeat(" ", MaxDocument+1),
	} {
		l := newLayout(t)
		index := putImage(t, l, "a:1-1")
		manifests, err := l.Manifests(index)
		check(t, err)
		check(t, os.WriteFile(l.BlobPath(manifests[0].Digest), []byte(content), 0o600))
		if _, err := l.Layers(manifests[0]); err == nil || !strings.Contains(err.Error(), manifests[0].Digest.String()) {
			t.Errorf("%s: %.200v", name, err)
		}
		if entry, ok, err := l.Lookup("a:1-1"); err != nil || !ok || entry.Complete {
			t.Errorf("%s: %+v, %v, %v", name, entry, ok, err)
		}
	}
}

// A blob whose content does not have the promised digest does not appear under either digest.
func TestAddBlobRefusesOtherContent(t *testing.T) {
	l := newLayout(t)
	want, _, err := v1.SHA256(strings.NewReader("wanted"))
	check(t, err)
	sha512 := v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("0", 128)}
	for _, test := range []struct {
		digest  v1.Hash
		content string
	}{{want, "wante"}, {want, "wanted "}, {want, ""}, {sha512, "wanted"}, {v1.Hash{Algorithm: "md5", Hex: "00"}, "wanted"}} {
		if err := l.AddBlob(context.Background(), test.digest, strings.NewReader(test.content)); err == nil {
			t.Errorf("%q is %s", test.content, test.digest)
		}
	}
	left, err := filepath.Glob(filepath.Join(l.Dir(), blobsDir, "*/*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	check(t, l.AddBlob(context.Background(), want, strings.NewReader("wanted")))
	if content, err := l.ReadBlob(want); err != nil || string(content) != "wanted" {
		t.Errorf("%q, %v", content, err)
	}
}

// What others wrote into index.json, beside the entries or without a name, stays.
func TestUpdateKeepsWhatIsThere(t *testing.T) {
	l := newLayout(t)
	index := putImage(t, l, "b:1-1")
	nameless := index
	nameless.Annotations = nil
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{nameless},
		Annotations: map[string]string{"of": "others"}})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(l.Dir(), IndexFile), raw, 0o600))
	check(t, l.Put("a:1-1", index, nil))
	got, err := l.index()
	check(t, err)
	if got.Annotations["of"] != "others" || refNames(t, l) != " a:1-1" {
		t.Errorf("%+v", got)
	}
	check(t, l.Update(func([]v1.Descriptor) ([]v1.Descriptor, error) { return nil, nil }))
	if raw, err = os.ReadFile(filepath.Join(l.Dir(), IndexFile)); err != nil || bytes.Contains(raw, []byte("null")) {
		t.Errorf("without entries: %s, %v", raw, err)
	}
	refused := errors.New("refused")
	if err := l.Update(func([]v1.Descriptor) ([]v1.Descriptor, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	check(t, l.Close())
	if err := l.Update(func(all []v1.Descriptor) ([]v1.Descriptor, error) { return all, nil }); err == nil {
		t.Error("without the lock it is rewritten")
	}
}

// A manifest need not have a type, and a single image need not have a platform.
func TestImagesThatSayLittle(t *testing.T) {
	l := newLayout(t)
	arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	config := putJSON(t, l, types.OCIConfigJSON, v1.ConfigFile{OS: "linux", Architecture: "arm", Variant: "v7"})
	silent := putJSON(t, l, types.OCIManifestSchema1, map[string]any{"schemaVersion": 2, "config": config, "layers": []any{}})
	index := putJSON(t, l, types.OCIImageIndex, map[string]any{"schemaVersion": 2, "manifests": []any{silent}})
	for d, want := range map[v1.Hash]types.MediaType{silent.Digest: types.OCIManifestSchema1, index.Digest: types.OCIImageIndex} {
		if got, err := l.Describe(d); err != nil || got.MediaType != want || got.Size == 0 {
			t.Errorf("%s: %+v, %v", d, got, err)
		}
	}
	if got, err := l.ForPlatform([]v1.Descriptor{index}, arm); err != nil || got.Digest != silent.Digest {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := l.ForPlatform([]v1.Descriptor{index}, amd64); !errors.Is(err, ErrNoPlatform) || !strings.Contains(err.Error(), "for linux/amd64, only for linux/arm/v7") {
		t.Error(err)
	}
	if _, err := l.ForPlatform(nil, amd64); !errors.Is(err, ErrNoPlatform) {
		t.Error(err)
	}
	nothing := putJSON(t, l, types.OCIConfigJSON, map[string]any{})
	none := putJSON(t, l, types.OCIManifestSchema1, map[string]any{"schemaVersion": 2, "config": nothing, "layers": []any{}})
	if _, err := l.ForPlatform([]v1.Descriptor{none}, amd64); !errors.Is(err, ErrNoPlatform) {
		t.Error(err)
	}
	if _, err := l.Describe(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
