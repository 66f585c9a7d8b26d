package layout

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/atomicfile"
)

func refNames(t testing.TB, l *Layout) string {
	t.Helper()
	entries, err := l.Entries()
	check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Annotations[RefNameAnnotation])
	}
	return strings.Join(names, " ")
}

func TestLayoutPut(t *testing.T) {
	l := newLayout(t)
	index := putImage(t, l, "notes-server-default:1.0-1")
	check(t, l.Put("docs-backend-default:5.4.1-1", index, nil))
	check(t, l.Put("notes-server-default:1.0-1", index, map[string]string{"sh.libre.image-key": "key 2"}))
	if got, want := refNames(t, l), "docs-backend-default:5.4.1-1 notes-server-default:1.0-1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	entry, ok, err := l.Lookup("notes-server-default:1.0-1")
	check(t, err)
	if !ok || !entry.Complete || entry.Digest != index.Digest || entry.Annotations["sh.libre.image-key"] != "key 2" {
		t.Errorf("got %+v, %v", entry, ok)
	}
	if _, ok, err := l.Lookup("notes-server-default:1.0-2"); ok || err != nil {
		t.Errorf("an unknown name: %v, %v", ok, err)
	}
}

// The image counts as incomplete if any of its blobs is truncated or missing.
func TestLayoutLookupIncomplete(t *testing.T) {
	l := newLayout(t)
	putImage(t, l, "a:1-1")
	blobs, err := filepath.Glob(filepath.Join(l.dir, "blobs/sha256/*"))
	check(t, err)
	for _, blob := range blobs {
		content, err := os.ReadFile(blob)
		check(t, err)
		for _, damage := range []func() error{
			func() error { return os.Truncate(blob, int64(len(content)-1)) },
			func() error { return os.Remove(blob) },
		} {
			check(t, damage())
			entry, ok, err := l.Lookup("a:1-1")
			if !ok || err != nil || entry.Complete {
				t.Errorf("without %s: %+v, %v, %v", filepath.Base(blob), entry, ok, err)
			}
			check(t, os.WriteFile(blob, content, 0o644))
		}
	}
}

func TestLayoutPrune(t *testing.T) {
	l := newLayout(t)
	putImage(t, l, "a:1-1")
	count := func() int {
		blobs, err := filepath.Glob(filepath.Join(l.dir, "blobs/sha256/*"))
		check(t, err)
		return len(blobs)
	}
	before := count()
	_, _, err := l.WriteBlob(context.Background(), func(w io.Writer) error {
		_, err := io.WriteString(w, "nobody refers to this")
		return err
	})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(l.dir, "blobs/sha256", atomicfile.Prefix+"x"), []byte("half"), 0o644))
	check(t, os.WriteFile(filepath.Join(l.dir, atomicfile.Prefix+"y"), []byte("half"), 0o644))
	freed, err := l.Prune()
	check(t, err)
	if want := int64(len("nobody refers to this") + 2*len("half")); freed != want {
		t.Errorf("%d bytes freed, want %d", freed, want)
	}
	if entry, _, err := l.Lookup("a:1-1"); err != nil || !entry.Complete || count() != before {
		t.Errorf("after pruning: %d blobs, want %d, %+v, %v", count(), before, entry, err)
	}
	if reader, err := Open(l.dir); err != nil {
		t.Error(err)
	} else if _, err := reader.Prune(); err == nil {
		t.Error("a reader prunes")
	}
}

// Prune deletes nothing if a manifest cannot be read.
func TestLayoutPruneDamaged(t *testing.T) {
	l := newLayout(t)
	index := putImage(t, l, "a:1-1")
	check(t, os.WriteFile(l.BlobPath(index.Digest), []byte("{"), 0o644))
	if freed, err := l.Prune(); err == nil || freed != 0 {
		t.Errorf("freed %d, %v", freed, err)
	}
}

func TestLayoutLock(t *testing.T) {
	l := newLayout(t)
	_, err := Create(context.Background(), l.dir, nil)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a second writer: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := Create(ctx, l.dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	said := 0
	second, err := Create(context.Background(), l.dir, func() {
		said++
		time.AfterFunc(250*time.Millisecond, func() { l.Close() })
	})
	check(t, err)
	defer second.Close()
	if said != 1 {
		t.Errorf("waiting was called %d times", said)
	}
}

func TestLayoutForeignFolder(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o644))
	if _, err := Create(context.Background(), dir, nil); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder without oci-layout is opened")
	}
}

func TestLayoutReader(t *testing.T) {
	l := newLayout(t)
	index := putImage(t, l, "a:1-1")
	reader, err := Open(l.dir)
	check(t, err)
	if entry, ok, err := reader.Lookup("a:1-1"); !ok || !entry.Complete || err != nil {
		t.Errorf("%+v, %v, %v", entry, ok, err)
	}
	if err := reader.Put("b:1-1", index, nil); err == nil {
		t.Error("a reader writes")
	}
}

func TestIndexIsReadAgainIfItChanged(t *testing.T) {
	l := newLayout(t)
	index := putImage(t, l, "a:1-1")
	reader, err := Open(l.dir)
	check(t, err)
	entries, err := reader.Entries()
	check(t, err)
	entries[0].Annotations = nil // the list is the caller's
	if got := refNames(t, reader); got != "a:1-1" {
		t.Errorf("%s before the change", got)
	}
	check(t, l.Put("b:1-1", index, nil))
	if got := refNames(t, reader); got != "a:1-1 b:1-1" {
		t.Errorf("%s after the change", got)
	}
	path := filepath.Join(l.dir, IndexFile)
	content, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(path, []byte(strings.Replace(string(content), "b:1-1", "other:1-1", 1)), 0o644)) // in its place
	if got, written := refNames(t, reader), refNames(t, l); got != "a:1-1 other:1-1" || written != got {
		t.Errorf("%s, and %s for the one who wrote, after another program wrote", got, written)
	}
}

func FuzzIndexJSON(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:aa","size":1}]}`))
	f.Add([]byte(`{"manifests":null}`))
	dir := f.TempDir()
	l, err := Create(context.Background(), dir, nil)
	check(f, err)
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, content []byte) {
		check(t, os.WriteFile(filepath.Join(dir, "index.json"), content, 0o644))
		l := &Layout{dir: dir} // which has read nothing yet
		entries, err := l.Entries()
		if err != nil {
			return
		}
		for _, e := range entries {
			l.Lookup(e.Annotations[RefNameAnnotation])
		}
	})
}
