package containerfile

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// A storage keeps the most recently used bases, within its limit, for a week.
func TestStorageStaysBelowItsLimit(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		ctx := context.Background()
		bases := map[string]Origin{}
		for _, name := range []string{"a", "b", "c"} { // 3 MiB each
			bases[name] = Origin{Layout: catalogueLayout(t, name, single(image(t, machinePlatform(), nil, map[string][]byte{name: bytes.Repeat([]byte(name), 3<<20)})))}
		}
		b := NewBuilder(e, newStorage(t, e))
		build := func(name string) {
			t.Helper()
			if _, err := b.Build(ctx, request(t, write(t, map[string]string{"Dockerfile": "FROM " + name + "\nENV A=b\nLABEL a=b\n"}), bases)); err != nil {
				t.Fatal(describe(err))
			}
		}
		there := func() int { all, _ := b.storage.bases(); return len(all) }
		size := func() (size int64) {
			filepath.WalkDir(b.storage.root(), func(path string, entry fs.DirEntry, err error) error {
				if info, statErr := entry.Info(); err == nil && statErr == nil && info.Mode().IsRegular() {
					size += info.Size()
				}
				return nil
			})
			return size
		}
		has := func(name string) bool {
			p, err := findImage(bases[name].Layout, "", machinePlatform())
			if err != nil {
				t.Fatal(err)
			}
			all, _ := b.storage.bases()
			return slices.ContainsFunc(all, func(base cachedBase) bool { return base.id == p.image.Config.Digest.Hex })
		}
		build("a")
		build("b")
		build("c")
		if there() != 3 || size() < 9<<20 {
			t.Errorf("%d bases with %d bytes without a limit, want 3", there(), size())
		}
		build("a") // now the last use of a is later than that of b
		b.KeepAtMost(7 << 20)
		build("c")
		if has("b") || !has("a") || !has("c") || size() > 8<<20 {
			t.Errorf("%d bases with %d bytes, want a and c in 7 MiB", there(), size())
		}
		build("b")
		if has("a") || !has("b") || !has("c") || size() > 8<<20 {
			t.Errorf("%d bases with %d bytes, want b and c in 7 MiB", there(), size())
		}
		// Nothing is removed during a build.
		unlock, _, err := b.storage.lock(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		b.KeepAtMost(1 << 20)
		b.storage.clean(ctx)
		if there() != 2 {
			t.Error("a storage in use was emptied")
		}
		unlock()
		b.storage.clean(ctx)
		if there() != 0 || size() > 1<<20 {
			t.Errorf("%d bases with %d bytes, want none in 1 MiB", there(), size())
		}
		b.KeepAtMost(0)
		build("a")
		build("b")
		old := time.Now().Add(-defaultKeep - time.Hour)
		all, _ := b.storage.bases()
		if err := os.Chtimes(b.storage.mark(all[1].id), old, old); err != nil { // a
			t.Fatal(err)
		}
		// The whole storage of an engine that is no longer used is removed.
		other := filepath.Join(b.storage.dir, "other")
		for name, at := range map[string]time.Time{"other": old, "another": time.Now()} {
			lock := filepath.Join(b.storage.dir, name, "lock")
			if err := errors.Join(os.MkdirAll(filepath.Dir(lock), 0o700), os.WriteFile(lock, nil, 0o600), os.Chtimes(lock, at, at)); err != nil {
				t.Fatal(err)
			}
		}
		b.storage.clean(ctx)
		if has("a") || !has("b") {
			t.Errorf("%d bases after a week, want b", there())
		}
		if exists(other) || !exists(filepath.Join(b.storage.dir, "another")) {
			t.Errorf("another storage: %v", exists(other))
		}
		build("a")
	})
}

func TestStorageLock(t *testing.T) {
	s := &storage{engine: Engine{Name: "x"}, dir: t.TempDir()}
	if err := os.MkdirAll(s.root(), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	unlock, ok, err := s.lock(ctx, true)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := s.lock(ctx, true); ok || err != nil {
		t.Error("two have it alone")
	}
	cancel()
	if _, ok, err := s.lock(ctx, false); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("shared while another has it alone: %v, %v", ok, err)
	}
	unlock()
	for range 2 {
		if _, ok, err := s.lock(context.Background(), false); !ok || err != nil {
			t.Errorf("shared: %v, %v", ok, err)
		}
	}
}

// A folder that another user prepared at the path of the engine's runtime state is refused.
func TestRunRootOfAnotherUserIsRefused(t *testing.T) {
	testkit.RequireRoot(t)
	for name, prepare := range map[string]func(path string) error{
		"folder": func(path string) error { return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, 1000, 1000)) },
		"link":   func(path string) error { return os.Symlink(t.TempDir(), path) },
		"file":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"root's": func(path string) error { return os.Mkdir(path, 0o700) }, // the engine's root is another
	} {
		s := &storage{engine: Engine{Name: "buildah"}, dir: t.TempDir(), mapped: true}
		if err := prepare(s.runRoot()); err != nil {
			t.Fatal(err)
		}
		err := s.makeRunRoot()
		os.RemoveAll(s.runRoot())
		if err == nil || !strings.Contains(err.Error(), "is not a folder owned by this user") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// podman keeps a process for a user's namespace; a build's processes end with it.
func TestNoProcessIsLeft(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		if _, got := p.build("FROM base\nRUN true\n", nil, func(*order) {}); got.Err != "" {
			t.Fatal(got.Err)
		}
		environments, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environments {
			if said, _ := os.ReadFile(path); strings.Contains(string(said), p.dir) {
				program, _ := os.Readlink(filepath.Dir(path) + "/exe")
				t.Errorf("%s is left as %s", program, path)
			}
		}
	})
}

// gc measures and removes unused bases, and what killed builds left.
func TestUnusedBasesAreMeasuredAndRemoved(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		ctx := context.Background()
		dir := newStorage(t, e)
		base := Origin{Layout: catalogueLayout(t, "a", single(image(t, machinePlatform(), nil, map[string][]byte{"a": bytes.Repeat([]byte("a"), 3<<20)})))}
		b := NewBuilder(e, dir)
		if _, err := b.Build(ctx, request(t, write(t, map[string]string{"Dockerfile": "FROM a\nENV A=b\n"}), map[string]Origin{"a": base})); err != nil {
			t.Fatal(describe(err))
		}
		again := NewBuilder(e, dir)
		if bytes, err := again.Unused(ctx); err != nil || bytes != 0 {
			t.Errorf("%d bytes, %v, of what was just used", bytes, err)
		}
		again.KeepFor(time.Nanosecond)
		if bytes, err := again.Unused(ctx); err != nil || bytes < 3<<20 || bytes > 4<<20 {
			t.Errorf("%d bytes, %v, want 3 MiB", bytes, err)
		}
		work, remove, err := b.NewWork(dir)
		if err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(dir, ".build-left")
		if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, "file"), []byte("left"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if bytes := LeftWork(dir); bytes != 4 {
			t.Errorf("%d bytes left", bytes)
		}
		again.CleanWork(dir)
		if _, err := os.Stat(left); err == nil {
			t.Error("what a killed build left is there")
		}
		if _, err := os.Stat(work); err != nil {
			t.Error("a build lost its folder")
		}
		remove()
		if err := again.Clean(ctx); err != nil {
			t.Fatal(err)
		}
		if all, _ := again.storage.bases(); len(all) != 0 {
			t.Errorf("%d bases are left", len(all))
		}
	})
}
