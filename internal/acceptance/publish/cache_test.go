package publish

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/sign"
)

// A push that could not copy to the binary cache is completed by the next one, although
// everything is published.
func TestNextPushCopiesToTheCache(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"two/default.nix": definitions["two/default.nix"]}, "x86_64-linux")
	reg, cache := newWatched(t, "referrers", sign.Bundle), libre.TempDir(t)
	key := filepath.Join(libre.TempDir(t), "cache.key")
	libre.Tool(t, "nix-store", "--generate-binary-cache-key", "cache.example-1", key, key+".pub")
	settings := func(to string) {
		c.file(t, "libre.yaml", "sign:\n  key: cosign.key\ncache:\n  to: file://"+to+"\n  key: "+key+"\n")
	}
	settings("/dev/null/cache")
	failed := c.run("push", two, "--to", reg.prefix()).want(t, 1)
	if len(printedDigests(failed, "published")) != 3 || strings.Count(failed.stderr, "\nerror: copying to file:///dev/null/cache: ") != 1 {
		t.Errorf("to a folder that cannot be:\n%s%s", failed.stdout, failed.stderr)
	}
	settings(cache)
	again := c.run("push", two, "--to", reg.prefix()).want(t, 0)
	if len(printedDigests(again, "unchanged")) != 3 || !strings.Contains(again.stderr, "file://"+cache+" has what the images are made of\n") {
		t.Errorf("again:\n%s%s", again.stdout, again.stderr)
	}
	for _, name := range []string{"web", "job"} {
		found, err := filepath.Glob(filepath.Join(cache, "*.narinfo"))
		check(t, err)
		content := ""
		for _, info := range found {
			content += libre.Tool(t, "cat", info)
		}
		if !strings.Contains(content, "-"+name+"\n") {
			t.Errorf("the cache lacks %s:\n%s", name, content)
		}
	}
}

// What is wrong with the disk of a cache is not mended in the store: the error says where.
func TestFullCacheIsNotTheStoresDisk(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"two/default.nix": definitions["two/default.nix"]}, "x86_64-linux")
	cache, key := libre.TempDir(t), filepath.Join(libre.TempDir(t), "cache.key")
	libre.Tool(t, "nix-store", "--generate-binary-cache-key", "cache.example-1", key, key+".pub")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\ncache:\n  to: file://"+cache+"\n  key: "+key+"\n")
	reg := newWatched(t, "referrers", sign.Bundle)
	mount(t, cache, "size=8k")
	for _, reason := range []string{"No space left on device", "Read-only file system"} {
		failed := c.run("push", two, "--to", reg.prefix()).want(t, 1)
		const fix = "; make room in the cache, or make it writable, and run the same command again\n"
		if !strings.Contains(failed.stderr, "\nerror: copying to file://"+cache+": ") || !strings.HasSuffix(failed.stderr, reason+fix) {
			t.Errorf("%s:\n%s", reason, failed.stderr)
		}
		remount(t, cache, unix.MS_RDONLY, "size=64m")
	}
	remount(t, cache, 0, "size=64m")
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
}
