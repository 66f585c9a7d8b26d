package publish

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/sign"
)

// cold returns the catalogue on a machine that has its store paths but knows no layer.
func (c catalogue) cold(t testing.TB) catalogue {
	t.Helper()
	other := c.copy(t)
	if err := os.RemoveAll(filepath.Join(other.dir, "dist")); err != nil {
		t.Fatal(err)
	}
	cache := libre.TempDir(t)
	if err := os.Mkdir(filepath.Join(cache, "libre"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(libre.CacheHome(), "libre", "sources"), filepath.Join(cache, "libre", "sources")); err != nil {
		t.Fatal(err)
	}
	other.env = append(other.env, "XDG_CACHE_HOME="+cache)
	return other
}

// A machine without any layer writes and sends only changed layers, also of the debug
// image, and publishes what another machine would.
func TestColdMachineSendsChangedLayersAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"referrers", "docker-registry"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := shared(t).copy(t)
			reg := newWatched(t, kind, sign.Bundle)
			c.run("push", "two", "--to", reg.prefix()).want(t, 0)
			c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
			c.edit(t, "apps/two/default.nix", "the job of two", "another job")
			cold := c.cold(t)
			before := reg.count()
			pushed := printedDigests(cold.run("push", "two", "--to", reg.prefix()).want(t, 0), "published")
			requests := reg.since(before)
			reg.audit(t)

			warm := printedDigests(c.run("push", "two", "--to", newWatched(t, kind, sign.Bundle).prefix()).want(t, 0), "published")
			if diff := cmp.Diff(warm, pushed, butRecords); diff != "" {
				t.Errorf("a warm machine, and a cold one: %s", diff)
			}
			for _, refName := range []string{"two-web-default:2-4", "two-web-debug:2-4", "two-job-default:2-4", "two-job-debug:2-4"} {
				repository, _, _ := strings.Cut(refName, ":")
				here, elsewhere := 0, 0
				for _, layer := range layersOf(t, cold, refName) {
					_, err := os.Stat(filepath.Join(cold.dir, "dist/blobs/sha256", layer.Digest.Hex))
					asked := 0
					for _, request := range requests {
						if strings.HasSuffix(request, "/"+repository+"/blobs/"+layer.Digest.String()) {
							asked++
						}
					}
					if err == nil {
						here++
					} else if elsewhere++; asked > 0 {
						t.Errorf("%s: the registry is asked for a layer that it has", refName)
					}
				}
				if changed := strings.Contains(refName, "job"); changed != (here > 0) || elsewhere == 0 && !changed {
					t.Errorf("%s: %d layers written, %d not", refName, here, elsewhere)
				}
			}
			// The layout is completed when a command needs it.
			cold.run("build", "two").want(t, 0)
			if again := printedDigests(cold.run("push", "two", "--to", reg.prefix()).want(t, 0), "unchanged"); len(again) != len(pushed) {
				t.Errorf("again: %v", again)
			}
		})
	}
}

// layersOf returns the layers of an image in the layout.
func layersOf(t testing.TB, c catalogue, refName string) []v1.Descriptor {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "dist/blobs/sha256", manifestOf(t, c, refName).Digest.Hex))
	if err != nil {
		t.Fatal(err)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest.Layers
}

// Layer keys count only in images that the catalogue's key signed. Layers that somebody
// else claims for the registry are not used.
func TestLayersThatOthersClaimAreNotUsed(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "docker-registry", "")
	other := c.copy(t)
	other.run("keygen", "--output", "other").want(t, 0)
	other.run("push", two, "--to", reg.prefix(), "--key", "other.key").want(t, 0)
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	cold := c.cold(t)
	cold.run("push", two, "--to", reg.prefix()).want(t, 0)
	for _, layer := range layersOf(t, cold, "two-web-default:2-4") {
		if _, err := os.Stat(filepath.Join(cold.dir, "dist/blobs/sha256", layer.Digest.Hex)); err != nil {
			t.Errorf("a layer was taken on a stranger's word: %v", err)
		}
	}
}

// Building a Containerfile again gives another image. The first published digest of a key
// stays, even if its release was not completed.
func TestFirstPublishedDigestOfAKeyStays(t *testing.T) {
	t.Parallel()
	c := newDice(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	first := printedDigests(c.run("push", dice, "--to", reg.prefix()).want(t, 0), "published")

	// The run was killed before it set the record's tag, on a machine that is lost.
	reg.forget(t, "dice-default", "1.0-1")
	again := printedDigests(c.cold(t).run("push", dice, "--to", reg.prefix()).want(t, 0), "published")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the first digest, and the next: %s", diff)
	}
	// The run was killed before it tagged all images. A record names them.
	reg.forget(t, "dice-roll-default", "1.0-1")
	if plan := c.run("plan", dice, "--to", reg.prefix()).want(t, 0); strings.Count(plan.stdout, "\ttag\t") != 2 {
		t.Errorf("plan:\n%s", plan.stdout)
	}
	again = printedDigests(c.cold(t).run("push", dice, "--to", reg.prefix()).want(t, 0), "published")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the first digest, and the next: %s", diff)
	}
	reg.audit(t)

	rebuilt := c.run("verify", "dice/roll/default", "--rebuild", "--to", reg.prefix()).want(t, 1)
	if !strings.Contains(rebuilt.stderr, "tmp/number: content differs at byte") {
		t.Errorf("verify --rebuild:\n%s", rebuilt.stderr)
	}
	same := c.run("verify", "dice/base/default", "--rebuild", "--to", reg.prefix()).want(t, 0)
	if !strings.Contains(same.stdout, "\tverified\trebuilt\n") {
		t.Errorf("verify --rebuild:\n%s", same.stdout)
	}
}

// forget removes a tag from the registry, but not the manifest that it points to.
func (w *watched) forget(t testing.TB, repository, tag string) {
	t.Helper()
	reference, err := name.NewTag(w.backend + "/" + namespace + "/" + repository + ":" + tag)
	if err == nil {
		err = remote.Delete(reference)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const dice = "dice/*/default"

// newDice returns a catalogue with an image that differs each time it is built.
func newDice(t testing.TB) catalogue {
	t.Helper()
	c := newCatalogue(t, map[string]string{
		"dice/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "dice"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.roll = { containerfile = "Containerfile"; bases.toolbox = "dice/base/debug"; };
  components.base.package = pkgs.writeText "base" "of dice\n";
}
`,
		"dice/src/Containerfile": "FROM toolbox\nRUN [\"/opt/libre/bin/dd\", \"if=/dev/urandom\", \"of=/tmp/number\", \"bs=8\", \"count=1\"]\n",
	}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	return c
}

// If two concurrent runs build different images for one key, one run adopts the other's.
func TestOneOfTwoDifferentBuildsOfAKeyIsPublished(t *testing.T) {
	t.Parallel()
	c := newDice(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	others := []catalogue{c.cold(t), c.cold(t)}
	done := make(chan outcome)
	for _, other := range others {
		go func() { done <- other.run("push", dice, "--to", reg.prefix()) }()
	}
	var printed []map[string]string
	for range others {
		got := (<-done).want(t, 0)
		all := printedDigests(got, "published")
		maps.Copy(all, printedDigests(got, "unchanged"))
		printed = append(printed, all)
	}
	if diff := cmp.Diff(printed[0], printed[1]); diff != "" {
		t.Errorf("one run, and the other: %s", diff)
	}
	if diff := cmp.Diff(printed[0], reg.tags(t)); diff != "" {
		t.Errorf("printed, and in the registry: %s", diff)
	}
	reg.audit(t)
}
