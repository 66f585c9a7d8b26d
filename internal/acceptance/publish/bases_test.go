package publish

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/sign"
)

// A base of the catalogue is built once. It is taken from the layout or else from the
// registry, also if it is the base of a base.
func TestBasesAreBuiltOnce(t *testing.T) {
	t.Parallel()
	c, builds := newHouse(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
	first := manifestOf(t, c, ground)
	builds()

	c.run("build", "walls/*/default").want(t, 0)
	if got := builds(); len(got) != 1 {
		t.Errorf("with the base in dist, the engine builds %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
	standsOn(t, c, walls, ground, first.Digest)

	// With an empty layout, the published base is used and kept.
	cold := c.cold(t)
	cold.file(t, "libre.yaml", "sign:\n  key: cosign.key\nengine: buildah\nregistry: "+reg.prefix()+"\n")
	cold.run("build", "roof/*/default").want(t, 0)
	if got := builds(); len(got) != 2 {
		t.Errorf("with the base in the registry, the engine builds %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
	standsOn(t, cold, walls, ground, first.Digest)
	standsOn(t, cold, roof, walls, manifestOf(t, cold, walls).Digest)
	// Everything that was built is in the layout: nothing is left to do.
	again := cold.run("build", "walls/*/default", "ground/dice/default").want(t, 0)
	if got := builds(); len(got) != 0 || strings.Count(again.stdout, "\tunchanged\t") != 2 {
		t.Errorf("what was built as a base is built again %d times:\n%s", len(got), again.stdout)
	}
	reg.audit(t)
}

// A published image has published images as its bases, whatever the machine has built.
func TestPublishedBasesAreTakenByDigest(t *testing.T) {
	t.Parallel()
	c, builds := newHouse(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	other := c.cold(t)
	c.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
	first := manifestOf(t, c, ground)

	// This machine builds its own base, and images on it, before it sees the published one.
	other.run("build", "roof/*/default", "walls/*/debug").want(t, 0)
	if manifestOf(t, other, ground).Digest == first.Digest {
		t.Fatal("the base is the same each time")
	}
	if plan := other.run("plan", "walls/*/default", "ground/*/default", "--to", reg.prefix()).want(t, 0); !strings.Contains(plan.stdout, "walls/brick/default\tbuild\tit is built on another base than the published one\t") {
		t.Errorf("plan:\n%s", plan.stdout)
	}
	dry := other.run("push", "walls/*/default", "--to", reg.prefix(), "--dry-run").want(t, 0)
	standsOn(t, other, walls, ground, first.Digest)
	if !strings.Contains(dry.stdout, "\tdry-run") {
		t.Errorf("dry-run:\n%s", dry.stdout)
	}
	builds()
	other.run("push", "walls", "roof/*/default", "--to", reg.prefix()).want(t, 0)
	if got := builds(); len(got) != 1 { // only roof, on the former walls
		t.Errorf("the engine builds %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
	for _, refName := range []string{walls, "walls-brick-debug:2.0-1"} {
		standsOn(t, other, refName, ground, first.Digest)
	}
	standsOn(t, other, roof, walls, manifestOf(t, other, walls).Digest)
	reg.audit(t)

	rebuilt := other.cold(t).run("verify", "walls/brick/default", "--rebuild", "--to", reg.prefix()).want(t, 0)
	if !strings.Contains(rebuilt.stdout, "\tverified\trebuilt\n") {
		t.Errorf("verify --rebuild:\n%s%s", rebuilt.stdout, rebuilt.stderr)
	}
}

// A published image is used as a base only if a record by this catalogue's signer names it,
// with the same key, and it is complete. Otherwise it is built, and one line says why.
func TestBasesWithoutAVerifiedRecordAreBuilt(t *testing.T) {
	t.Parallel()
	c, builds := newHouse(t)
	tagOf := func(reg *watched, refName string) name.Tag {
		tag, err := name.NewTag(reg.backend + "/" + namespace + "/" + refName)
		if err != nil {
			t.Fatal(err)
		}
		return tag
	}
	for _, test := range []struct {
		name string
		from func(t *testing.T) (reg *watched, prefix string)
		says string // "" for no warning
	}{
		{"nothing is published", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			return reg, reg.prefix()
		}, ""},
		{"unsigned", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", "")
			unsigned := c.cold(t)
			unsigned.file(t, "libre.yaml", "sign: none\nengine: buildah\n")
			unsigned.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			return reg, reg.prefix()
		}, "ground-default:1.0-1 is not signed by this catalogue's signer: "},
		{"another key", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "docker-registry", "")
			stranger := c.cold(t)
			stranger.run("keygen", "--output", "other").want(t, 0)
			stranger.run("push", "ground/*/default", "--to", reg.prefix(), "--key", "other.key").want(t, 0)
			return reg, reg.prefix()
		}, "ground-default:1.0-1 is not signed by this catalogue's signer: "},
		{"signed for another registry", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			c.copy(t).run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			other := watch(t, reg.backend, sign.Bundle)
			return other, other.prefix()
		}, "ground-default:1.0-1 is not signed by this catalogue's signer: "},
		{"another image key", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			changed := c.cold(t)
			changed.edit(t, "apps/ground/src/Containerfile", "bs=8", "bs=9")
			changed.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			return reg, reg.prefix()
		}, " has another image key, "},
		{"another app's record", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			c.copy(t).run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			changed := c.cold(t)
			changed.edit(t, "apps/ground/default.nix", "packageVersion = 1", "packageVersion = 2")
			changed.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			record, err := remote.Get(tagOf(reg, "ground-default:1.0-2"))
			if err == nil {
				err = remote.Tag(tagOf(reg, "ground-default:1.0-1"), record)
			}
			if err != nil {
				t.Fatal(err)
			}
			return reg, reg.prefix()
		}, "ground-default:1.0-1 was moved: it points to "},
		{"a blob is lost", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			c.copy(t).run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			reg.meddle = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
				if strings.Contains(r.URL.Path, "/ground-dice-default/blobs/") {
					http.NotFound(w, r)
					return true
				}
				return false
			}
			return reg, reg.prefix()
		}, "not found"},
		{"a blob is damaged", func(t *testing.T) (*watched, string) {
			reg := newWatched(t, "referrers", sign.Bundle)
			c.copy(t).run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
			reg.meddle = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
				if strings.Contains(r.URL.Path, "/ground-dice-default/blobs/") {
					_, _ = w.Write([]byte("something else"))
					return true
				}
				return false
			}
			return reg, reg.prefix()
		}, "its content has digest sha256:"},
		{"unreachable", func(*testing.T) (*watched, string) { return nil, "127.0.0.1:1/" + namespace },
			"connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, prefix := test.from(t)
			builds()
			cold := c.cold(t)
			cold.file(t, "libre.yaml", "sign:\n  key: cosign.key\nengine: buildah\nregistry: "+prefix+"\n")
			got := cold.run("build", "walls/*/default").want(t, 0)
			if made := builds(); len(made) != 2 {
				t.Errorf("the engine builds %d times, want the base and the image:\n%s", len(made), strings.Join(made, "\n"))
			}
			standsOn(t, cold, walls, ground, manifestOf(t, cold, ground).Digest)
			var said []string
			for line := range strings.Lines(got.stderr) {
				if strings.Contains(line, "is not used as a base") && strings.Contains(line, "ground/dice/default") {
					said = append(said, line)
				}
			}
			switch {
			case test.says == "" && len(said) > 0:
				t.Errorf("it says:\n%s", strings.Join(said, ""))
			case test.says != "" && (len(said) != 1 || !strings.Contains(said[0], test.says) || !strings.Contains(said[0], "; it is built again")):
				t.Errorf("want one line with %q:\n%s", test.says, got.stderr)
			}
		})
	}
}

// Nothing is published on a base that is published with other content: the base cannot be
// published under its tag, so nobody could get it.
func TestPushOnAChangedBaseIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := newHouse(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", "ground/*/default", "--to", reg.prefix()).want(t, 0)
	for name, changed := range map[string]catalogue{"in an empty dist": c.cold(t), "built before": c.copy(t)} {
		t.Run(name, func(t *testing.T) {
			changed.edit(t, "apps/ground/src/Containerfile", "bs=8", "bs=9")
			if name == "built before" {
				changed.run("build", "walls/*/default").want(t, 0)
			}
			plan := changed.run("plan", "walls/*/default", "--to", reg.prefix()).want(t, 0)
			if !strings.Contains(plan.stdout, "\trefuse\tbase ground/") || !strings.Contains(plan.stdout, "libre bump --repack ground") {
				t.Errorf("plan says:\n%s", plan.stdout)
			}
			got := changed.run("push", "walls/*/default", "--to", reg.prefix()).want(t, 3)
			if !strings.Contains(got.stderr, "it is published with other content") || !strings.Contains(got.stderr, "libre bump --repack ground") {
				t.Errorf("push says:\n%s", got.stderr)
			}
			if _, err := remote.Get(mustTag(t, reg.backend+"/"+namespace+"/"+walls)); err == nil {
				t.Error("it is published")
			}
			changed.run("bump", "--repack", "ground").want(t, 0)
			changed.run("push", "ground/*/default", "walls/*/default", "--to", reg.prefix(), "--dry-run").want(t, 0)
		})
	}
}

// Without the package set, the keys of some images are unknown. The plan then does not
// refuse these images, nor images on them, because of other published keys.
func TestPlanWithoutThePackageSetRefusesNothing(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{
		"mixed/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "mixed"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.a.containerfile = "Containerfile";
  components.b = { containerfile = "OnTools"; bases.toolbox = "mixed/tools"; };
  components.tools.package = pkgs.writeText "tools" "of all\n";
}
`,
		"mixed/src/Containerfile": "FROM scratch\nCOPY Containerfile /a\n",
		"mixed/src/OnTools":       "FROM toolbox\nCOPY OnTools /b\n",
	}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nengine: buildah\n")
	reg := newWatched(t, "referrers", sign.Bundle)
	plan := func() string {
		t.Helper()
		return c.run("plan", "mixed/*/default", "--to", reg.prefix(), "--package-set", "nixpkgs").want(t, 0).stdout
	}
	for _, when := range []string{"before", "after"} {
		for _, component := range []string{"b", "tools"} {
			if got := plan(); !strings.Contains(got, "mixed/"+component+"/default\tbuild\tkey unknown: ") || strings.Contains(got, "\trefuse\t") {
				t.Errorf("%s it is published:\n%s", when, got)
			}
		}
		c.run("push", "mixed/*/default", "--to", reg.prefix()).want(t, 0)
	}
}

// A base for several systems is used where it exists, and built only for systems that lack it.
func TestBasesAreBuiltForEachSystem(t *testing.T) {
	t.Parallel()
	c, builds := newHouse(t, "aarch64-linux")
	c.edit(t, "apps/ground/default.nix", "ground/tools/debug", "ground/tools")
	c.edit(t, "apps/ground/src/Containerfile", "RUN [\"/opt/libre/bin/dd\", \"if=/dev/urandom\", \"of=/tmp/number\", \"bs=8\", \"count=1\"]", "COPY Containerfile /number")
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("build", "walls/*/default").want(t, 0)
	one := manifestOf(t, c, ground)
	builds()
	c.run("push", "ground/*/default", "walls/*/default", "--to", reg.prefix()).want(t, 0)
	if got := builds(); len(got) != 2 { // for the other system
		t.Errorf("the engine builds %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
	cold := c.cold(t)
	cold.run("push", "roof/*/default", "--to", reg.prefix()).want(t, 0)
	if got := builds(); len(got) != 2 {
		t.Errorf("the engine builds %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
	dist, err := layout.Open(filepath.Join(cold.dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	published, err := remote.Index(mustTag(t, reg.backend+"/"+namespace+"/"+walls))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := published.Digest()
	entry, found, lookErr := dist.Lookup(walls)
	if err != nil || lookErr != nil || !found || entry.Digest != digest {
		t.Errorf("the base in dist is %s, it is published as %s (%v)", entry.Digest, digest, lookErr)
	}
	if labels := manifestOf(t, c, walls).Annotations; labels["org.opencontainers.image.base.digest"] != one.Digest.String() {
		t.Errorf("the first system's base was built again: %s, not %s", labels["org.opencontainers.image.base.digest"], one.Digest)
	}
}

func mustTag(t testing.TB, reference string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}
