package publish

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// newHouse returns a catalogue with a base image that differs each time it is built, an
// image on it, and an image on that one. The engine records the images that it builds.
func newHouse(t testing.TB, systems ...string) (c catalogue, builds func() (images []string)) {
	t.Helper()
	c = newCatalogue(t, map[string]string{
		"ground/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "ground"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.dice = { containerfile = "Containerfile"; bases.toolbox = "ground/tools/debug"; };
  components.tools.package = pkgs.writeText "tools" "of the ground\n";
}
`,
		"ground/src/Containerfile": "FROM toolbox\nRUN [\"/opt/libre/bin/dd\", \"if=/dev/urandom\", \"of=/tmp/number\", \"bs=8\", \"count=1\"]\n",
		"walls/default.nix": `{ mkApp, ... }:
mkApp {
  name = "walls"; version = "2.0"; packageVersion = 1;
  source.path = ./src;
  components.brick = { containerfile = "Containerfile"; bases."example/dice:1" = "ground/dice"; };
}
`,
		"walls/src/Containerfile": "FROM docker.io/example/dice:1\nCOPY brick /brick\n",
		"walls/src/brick":         "red\n",
		"roof/default.nix": `{ mkApp, ... }:
mkApp {
  name = "roof"; version = "3.0"; packageVersion = 1;
  source.path = ./src;
  components.tile = { containerfile = "Containerfile"; bases.walls = "walls/brick"; };
}
`,
		"roof/src/Containerfile": "FROM walls\nCOPY tile /tile\n",
		"roof/src/tile":          "blue\n",
	}, append([]string{"x86_64-linux"}, systems...)...)
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\nengine: buildah\n")
	engine, err := exec.LookPath("buildah")
	if err != nil {
		t.Fatal(err)
	}
	bin := libre.TempDir(t)
	calls := filepath.Join(bin, "calls")
	script := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *' --iidfile '*) echo \"$*\" >> %s;; esac\nexec %s \"$@\"\n", calls, engine)
	if err := os.WriteFile(filepath.Join(bin, "buildah"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "PATH="+bin+":"+os.Getenv("PATH"))
	return c, func() []string {
		content, _ := os.ReadFile(calls)
		_ = os.Remove(calls)
		return strings.Split(string(content), "\n")[:strings.Count(string(content), "\n")]
	}
}

// manifestOf returns the digest and annotations of an image in the layout, for its first
// platform.
func manifestOf(t testing.TB, c catalogue, refName string) v1.Descriptor {
	t.Helper()
	dist, err := layout.Open(filepath.Join(c.dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	entry, found, err := dist.Lookup(refName)
	if err != nil || !found {
		t.Fatalf("%s: %v, %v", refName, found, err)
	}
	manifests, err := dist.Manifests(entry.Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	return manifests[0]
}

// standsOn fails the test if an image in the layout was built on another base.
func standsOn(t testing.TB, c catalogue, refName, base string, digest v1.Hash) {
	t.Helper()
	labels := manifestOf(t, c, refName).Annotations
	if labels["org.opencontainers.image.base.name"] != base || labels["org.opencontainers.image.base.digest"] != digest.String() {
		t.Errorf("%s stands on %s %s, want %s %s", refName, labels["org.opencontainers.image.base.name"], labels["org.opencontainers.image.base.digest"], base, digest)
	}
}

const (
	ground = "ground-dice-default:1.0-1"
	walls  = "walls-brick-default:2.0-1"
	roof   = "roof-tile-default:3.0-1"
)
