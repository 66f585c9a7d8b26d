package clean

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	now  = time.Now()
	week = 7 * 24 * time.Hour
)

// put writes a file that was last used some time ago.
func put(t *testing.T, path string, ago time.Duration) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte("content"), 0o600))
	check(t, os.Chtimes(path, now.Add(-ago), now.Add(-ago)))
}

// left lists the files below a folder.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	}))
	return names
}

func TestWhatWasNotUsedForLongGoes(t *testing.T) {
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Before: now.Add(-week)}
	for _, name := range []string{"layers/a", "evaluations/a", "sboms/x/a", "sboms-1/x/a", "upstream/a", "logs/a", "sources/a"} {
		put(t, filepath.Join(m.Cache, name+"-old.json"), week+time.Hour)
		put(t, filepath.Join(m.Cache, name+"-new.json"), week-time.Hour)
	}
	for name, ago := range map[string]time.Duration{"old": week + time.Hour, "new": time.Hour} {
		// A GC root is as old as the last use of its source.
		check(t, os.Symlink("/nix/store/none", filepath.Join(m.Cache, "sources/a-"+name+".root")))
		folder := filepath.Join(m.Temp, "libre-roots-"+name)
		put(t, filepath.Join(folder, "read-only/file"), ago)
		check(t, os.Chmod(filepath.Join(folder, "read-only"), 0o500))
		check(t, os.Chtimes(folder, now.Add(-ago), now.Add(-ago)))
		put(t, filepath.Join(m.Cache, "vulnerabilities/database-"+name, "vulnerability.db"), ago)
		index := filepath.Join(m.Cache, "vulnerabilities", name+".json")
		check(t, os.WriteFile(index, []byte(`{"Folder":"database-`+name+`"}`), 0o600))
		check(t, os.Chtimes(index, now.Add(-ago), now.Add(-ago)))
	}
	put(t, filepath.Join(m.Temp, "mine/file"), 10*week)
	put(t, filepath.Join(m.Cache, "runs/old.json"), 10*week)

	groups := m.Groups(t.Context())
	if len(groups) != 8 {
		t.Errorf("%d groups", len(groups))
	}
	for _, group := range groups {
		if group.Bytes <= 0 || group.Error != "" {
			t.Errorf("%+v", group)
		}
		check(t, group.Remove(t.Context()))
	}
	want := []string{"evaluations/a-new.json", "layers/a-new.json", "logs/a-new.json", "runs/old.json", "sboms/x/a-new.json", "sboms-1/x/a-new.json",
		"sources/a-new.json", "sources/a-new.root", "upstream/a-new.json", "vulnerabilities/database-new/vulnerability.db", "vulnerabilities/new.json"}
	if got := left(t, m.Cache); !slices.Equal(got, want) {
		t.Errorf("left in the cache: %q", got)
	}
	if got := left(t, m.Temp); !slices.Equal(got, []string{"libre-roots-new/read-only/file", "mine/file"}) {
		t.Errorf("left in TMPDIR: %q", got)
	}
	if again := m.Groups(t.Context()); len(again) != 0 {
		t.Errorf("a second time: %+v", again[0])
	}
}

func TestWhatIsUsedAfterTheQuestionStays(t *testing.T) {
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Before: now.Add(-week)}
	log := filepath.Join(m.Cache, "logs/a.log")
	put(t, log, 2*week)
	groups := m.Groups(t.Context())
	put(t, log, 0)
	for _, group := range groups {
		check(t, group.Remove(t.Context()))
	}
	if got := left(t, m.Cache); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

func TestNoLinkLeadsOutOfAFolder(t *testing.T) {
	outside := t.TempDir()
	for _, name := range []string{"logs/a.log", "tree/x/a", "vulnerability.db", "database-1/vulnerability.db"} {
		put(t, filepath.Join(outside, name), 2*week)
	}
	before := left(t, outside)
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Before: now.Add(-week)}
	check(t, os.Symlink(filepath.Join(outside, "logs"), filepath.Join(m.Cache, "logs")))
	check(t, os.Symlink(filepath.Join(outside, "tree"), filepath.Join(m.Cache, "sboms-1")))
	check(t, os.Symlink(outside, filepath.Join(m.Temp, "libre-roots-1")))
	put(t, filepath.Join(m.Cache, "vulnerabilities/a.json"), 0)
	check(t, os.WriteFile(filepath.Join(m.Cache, "vulnerabilities/a.json"), []byte(`{"Folder":".."}`), 0o600))
	check(t, os.Chtimes(filepath.Join(m.Cache, "vulnerabilities/a.json"), now.Add(-2*week), now.Add(-2*week)))
	check(t, os.Symlink(filepath.Join(outside, "database-1"), filepath.Join(m.Cache, "vulnerabilities/database-1")))
	m.Before = now.Add(time.Hour)
	for _, group := range m.Groups(t.Context()) {
		_ = group.Remove(t.Context())
	}
	if got := left(t, outside); !slices.Equal(got, before) {
		t.Errorf("left: %q, want %q", got, before)
	}
}

// newLayout is a layout with the images a and b, and a blob of neither.
func newLayout(t *testing.T) (dir string, l *layout.Layout) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "dist")
	l, err := layout.Create(t.Context(), dir, nil)
	check(t, err)
	for _, name := range []string{"a", "b", ""} {
		digest, size, err := l.WriteBlob(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, strings.Repeat(name+".", 1000)); return err })
		check(t, err)
		if name == "" {
			continue
		}
		config, err := l.WriteJSON(t.Context(), types.OCIConfigJSON, v1.ConfigFile{Author: name})
		check(t, err)
		manifest, err := l.WriteJSON(t.Context(), types.OCIManifestSchema1, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config,
			Layers: []v1.Descriptor{{MediaType: types.OCILayer, Digest: digest, Size: size}}})
		check(t, err)
		check(t, l.Put(name+":1-1", manifest, nil))
	}
	return dir, l
}

func dropA(d v1.Descriptor) bool { return d.Annotations[layout.RefNameAnnotation] == "a:1-1" }

func TestImagesGoWithTheBlobsThatNoOtherHas(t *testing.T) {
	dir, l := newLayout(t)
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Output: dir, Drop: dropA}
	groups := m.Groups(t.Context())
	if len(groups) != 1 || groups[0].Bytes < 3000 || groups[0].Bytes > 5000 {
		t.Fatalf("%+v", groups[0])
	}
	// Nothing goes from under a build.
	if err := groups[0].Remove(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "stays as it is, because another libre writes to it") {
		t.Errorf("%v", err)
	}
	if there, _, err := l.Lookup("a:1-1"); err != nil || !there.Complete {
		t.Errorf("%+v, %v", there, err)
	}
	check(t, l.Close())
	check(t, groups[0].Remove(t.Context()))
	if _, found, err := l.Lookup("a:1-1"); err != nil || found {
		t.Errorf("a is there: %v", err)
	}
	if there, _, err := l.Lookup("b:1-1"); err != nil || !there.Complete {
		t.Errorf("b: %+v, %v", there, err)
	}
	if got := left(t, dir); len(got) != 5 { // the layer, configuration and manifest of b, and the layout's two files
		t.Errorf("left: %q", got)
	}
}

func TestADamagedLayoutStaysAsItIs(t *testing.T) {
	dir, l := newLayout(t)
	there, _, err := l.Lookup("b:1-1")
	check(t, err)
	check(t, os.WriteFile(l.BlobPath(there.Digest), []byte("{"), 0o600))
	check(t, l.Close())
	before := left(t, dir)
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Output: dir, Drop: dropA}
	groups := m.Groups(t.Context())
	if len(groups) != 1 || groups[0].Error == "" {
		t.Fatalf("%+v", groups)
	}
	if err := groups[0].Remove(context.Background()); err == nil {
		t.Error("it is cleaned")
	}
	if got := left(t, dir); !slices.Equal(got, before) {
		t.Errorf("left: %q", got)
	}
	if _, found, _ := l.Lookup("a:1-1"); !found {
		t.Error("a lost its name")
	}
}

func TestFetchedImagesStayWhileTheyAreUsed(t *testing.T) {
	dir, l := newLayout(t)
	check(t, l.Close())
	m := &Machine{Cache: t.TempDir(), Temp: t.TempDir(), Before: now.Add(-week)}
	check(t, os.Rename(dir, filepath.Join(m.Cache, "run")))
	if groups := m.Groups(t.Context()); len(groups) != 0 {
		t.Errorf("%+v", groups[0])
	}
	check(t, os.Chtimes(filepath.Join(m.Cache, "run/index.json"), now, now.Add(-2*week)))
	groups := m.Groups(t.Context())
	if len(groups) != 1 {
		t.Fatal(groups)
	}
	check(t, groups[0].Remove(t.Context()))
	if got := left(t, m.Cache); !slices.Equal(got, []string{"run/index.json", "run/oci-layout"}) {
		t.Errorf("left: %q", got)
	}
}

// Each folder that libre makes in TMPDIR is one that gc knows.
func TestTemporaryFoldersAreKnown(t *testing.T) {
	made := regexp.MustCompile(`MkdirTemp\("", "(libre-[a-z]+-)`)
	found := 0
	check(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testkit") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range made.FindAllStringSubmatch(string(text), -1) {
			found++
			if !slices.Contains(temporary, name[1]+"*") {
				t.Errorf("%s makes %s*", path, name[1])
			}
		}
		return err
	}))
	if found < 15 {
		t.Errorf("found %d", found)
	}
}
