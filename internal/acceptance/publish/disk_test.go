package publish

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// large is an app with one image that is larger than the disks below.
var large = map[string]string{
	"large/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "large"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.web.package = { source, ... }: pkgs.runCommand "web" { inherit source; } "mkdir $out; cp $source/noise $out";
}
`,
	"large/src/noise": noise(6 << 20),
	"two/default.nix": definitions["two/default.nix"],
}

// noise returns text that compression does not shrink.
func noise(size int) string {
	random, text := rand.NewChaCha8([32]byte{}), make([]byte, size)
	_, _ = random.Read(text) // never fails
	return string(text)
}

// largeRelease returns a catalogue with large, and the tags that an undisturbed run
// publishes.
func largeRelease(t *testing.T) (catalogue, map[string]string) {
	t.Helper()
	publishLarge.Do(func() {
		c := newCatalogue(t, large, "x86_64-linux")
		c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
		reg := newWatched(t, "referrers", sign.Bundle)
		c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
		largeCatalogue, largeTags = c, reg.tags(t)
	})
	if largeTags == nil {
		t.Fatal("the catalogue could not be published")
	}
	return largeCatalogue, largeTags
}

var (
	publishLarge   sync.Once
	largeCatalogue catalogue
	largeTags      map[string]string
)

// mount mounts a file system in memory on a folder, with an option such as size=4m.
func mount(t *testing.T, dir, option string) {
	t.Helper()
	testkit.RequireRoot(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, option); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// remount changes a file system's options, for example to make room.
func remount(t *testing.T, dir string, flags uintptr, option string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, option); err != nil {
		t.Fatal(err)
	}
}

// completes repeats a run that failed, and compares the result with an undisturbed run.
func completes(t *testing.T, c catalogue, reg *watched, push []string, want map[string]string) {
	t.Helper()
	c.run(push...).want(t, 0)
	if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
		t.Errorf("tags after the next run: %s", diff)
	}
	reg.audit(t)
}

// When the disk with the layout is full, the image that does not fit fails. The next run,
// with more room, completes it.
func TestNextRunCompletesWhatAFullDiskFailed(t *testing.T) {
	t.Parallel()
	c, want := largeRelease(t)
	disk := libre.TempDir(t)
	mount(t, disk, "size=4m")
	reg := newWatched(t, "no referrers", sign.Bundle)
	push := []string{"push", defaults, "--to", reg.prefix(), "--output", filepath.Join(disk, "dist")}
	got := c.run(push...).want(t, 3)
	checkLines(t, got)
	if lines := regexp.MustCompile(`(?m)^failed: large/web/default\n.*no space left on device; free space with libre gc`).FindAllString(got.stderr, -1); len(lines) != 1 {
		t.Errorf("%d lines say that the disk is full:\n%s", len(lines), got.stderr)
	}
	for reference := range reg.tags(t) {
		if strings.HasPrefix(reference, "large-") {
			t.Errorf("%s is tagged", reference)
		}
	}
	remount(t, disk, 0, "size=64m")
	completes(t, c, reg, push, want)
	// No incomplete file is left.
	left, err := filepath.Glob(filepath.Join(disk, "dist", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if name := filepath.Base(path); name != "blobs" && name != "index.json" && name != "oci-layout" && !strings.HasPrefix(name, ".") {
			t.Errorf("left: %s", path)
		}
	}
}

// The registry's disk is full.
func TestNextRunCompletesWhatAFullRegistryRefused(t *testing.T) {
	t.Parallel()
	c, want := largeRelease(t)
	storage := libre.TempDir(t)
	mount(t, storage, "size=4m")
	reg := watch(t, testkit.DockerRegistry(t, storage), sign.Bundle)
	// One image only: docker-registry keeps a manifest that it could not write completely,
	// and answers 500 for it from then on.
	got := c.run("push", "large/*/default", "--to", reg.prefix()).want(t, 3)
	checkLines(t, got)
	if !regexp.MustCompile(`(?m)^failed: large/web/default\n  push: .*: 5\d\d `).MatchString(got.stderr) {
		t.Errorf("the line about the registry:\n%s", got.stderr)
	}
	remount(t, storage, 0, "size=64m")
	completes(t, c, reg, []string{"push", defaults, "--to", reg.prefix()}, want)
}

// The cache's disk is full.
func TestNextRunCompletesWhatAFullCacheFailed(t *testing.T) {
	t.Parallel()
	testCache(t, "no space left on device", func(t *testing.T, cache string) (mend func()) {
		remount(t, cache, 0, "size=1m")
		filler := filepath.Join(cache, "filler")
		if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err == nil {
			t.Fatal("a disk of 1 MiB holds 2 MiB")
		}
		return func() {
			remount(t, cache, 0, "size=64m")
			if err := os.Remove(filler); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestNextRunCompletesWhatAReadOnlyCacheFailed(t *testing.T) {
	t.Parallel()
	testCache(t, "read-only file system", func(t *testing.T, cache string) (mend func()) {
		remount(t, cache, unix.MS_RDONLY, "size=64m")
		return func() { remount(t, cache, 0, "size=64m") }
	})
}

// testCache publishes already built images of both kinds with a cache that spoil makes
// unwritable: libre's own, or Nix's too. If that prevents publishing, one line says so, and
// the next run completes it.
func testCache(t *testing.T, reason string, spoil func(t *testing.T, cache string) (mend func())) {
	want := undisturbedDefaults(t)
	for _, whose := range []string{"everybody's", "libre's"} {
		t.Run(whose, func(t *testing.T) {
			t.Parallel()
			c := newCatalogue(t, definitions, "x86_64-linux")
			c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
			home := libre.TempDir(t)
			c.env = append(c.env, "XDG_CACHE_HOME="+home)
			own := filepath.Join(home, "libre")
			cache := map[string]string{"everybody's": home, "libre's": own}[whose]
			err := os.MkdirAll(cache, 0o755)
			mount(t, cache, "size=64m")
			if err == nil {
				err = os.MkdirAll(own, 0o755)
			}
			if err == nil { // keep what is known of sources in the Nix store
				err = os.Symlink(filepath.Join(libre.CacheHome(), "libre", "sources"), filepath.Join(own, "sources"))
			}
			if err != nil {
				t.Fatal(err)
			}
			mend := spoil(t, cache)
			reg := newWatched(t, "no referrers", sign.Bundle)
			push := []string{"push", defaults, "--to", reg.prefix()}
			got := c.run(push...)
			checkLines(t, got)
			if got.code != 0 && got.code != 1 && got.code != 3 || got.code != 0 && !strings.Contains(strings.ToLower(got.stderr), reason) {
				t.Errorf("exit code %d, want a line with %q:\n%s", got.code, reason, got.stderr)
			}
			t.Logf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
			mend()
			completes(t, c, reg, push, want)
		})
	}
}
