package containerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

func TestStorageIsEmptiedAfterAWeek(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		ctx := context.Background()
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		dir := newStorage(t, e)
		b := NewBuilder(e, dir)
		req := request(t, write(t, map[string]string{"Dockerfile": "FROM base\nENV A=b"}), map[string]Origin{"base": {Layout: dist}})
		if _, err := b.Build(ctx, req); err != nil {
			t.Fatal(describe(err))
		}
		images := func() int {
			out, err := newOutput(ctx, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			said, err := query(b.storage.child(b.storage.flags, "images", "--all", "--quiet", "--no-trunc"), out)
			if err != nil {
				t.Fatal(err, out.tail())
			}
			return len(slices.Compact(slices.Sorted(slices.Values(strings.Fields(said)))))
		}
		if images() != 1 {
			t.Errorf("%d images after a build, want the base", images())
		}
		old := time.Now().Add(-keep - time.Hour)
		if err := os.Chtimes(filepath.Join(b.storage.root(), "born"), old, old); err != nil {
			t.Fatal(err)
		}
		unlock, _, err := b.storage.lock(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		b.storage.clean(ctx)
		if images() != 1 {
			t.Error("a storage in use was emptied")
		}
		unlock()
		b.storage.clean(ctx)
		if images() != 0 {
			t.Errorf("%d images after a week, want none", images())
		}
		if _, err := b.Build(ctx, req); err != nil {
			t.Fatal(describe(err))
		}
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

// What somebody has put where the engine's run-time state goes is not used.
func TestRunRootIsNobodyElses(t *testing.T) {
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
		if err == nil || !strings.Contains(err.Error(), "is not a folder of this user") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// podman keeps a process for a user's namespace; what a build has started ends with it.
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
