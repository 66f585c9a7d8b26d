package publish

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/testkit"
)

// With layers.compression: zstd, Nix images, debug images, and Containerfile images based on
// them only have zstd layers, with the same content as with gzip. They are published, verified,
// and pulled by other programs. With gzip again, the published image counts as another one.
func TestZstdIsPublishedVerifiedAndPulled(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo")
	c, _ := newHouse(t)
	const gzip = "sign:\n  key: cosign.key\nengine: buildah\n"
	withGzip := c.copy(t)
	withGzip.run("build", "ground/tools/*").want(t, 0)
	c.file(t, "libre.yaml", gzip+"layers:\n  compression: zstd\n")
	reg := newWatched(t, "docker-registry", "")
	c.run("push", "ground", "walls", "--to", reg.prefix()).want(t, 0)
	for _, refName := range []string{"ground-tools-default:1.0-1", "ground-tools-debug:1.0-1", ground, walls} {
		for _, digest := range children(t, mustTag(t, reg.prefix()+"/"+refName)) {
			image, err := remote.Image(digest)
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			for _, layer := range manifest.Layers {
				if layer.MediaType != types.OCILayerZStd {
					t.Errorf("%s has a layer of %s", refName, layer.MediaType)
				}
			}
		}
		pulled := t.TempDir()
		if out, err := exec.Command("skopeo", "copy", "--src-tls-verify=false", "docker://"+reg.prefix()+"/"+refName, "oci:"+pulled+":x").CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", refName, err, out)
		}
	}
	c.run("verify", "ground", "walls", "--to", reg.prefix()).want(t, 0)
	c.run("sbom", reg.prefix()+"/"+ground).want(t, 0)
	c.cold(t).run("verify", "ground/tools/debug", "--rebuild", "--to", reg.prefix()).want(t, 0)

	for _, refName := range []string{"ground-tools-default:1.0-1", "ground-tools-debug:1.0-1"} {
		got, want := diffIDs(t, c, refName), diffIDs(t, withGzip, refName)
		if !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s has the content %q, with gzip %q", refName, got, want)
		}
	}
	c.file(t, "libre.yaml", gzip)
	if status := c.run("status", "ground/*/default", "--to", reg.prefix()); !strings.Contains(status.stdout, "other content") {
		t.Errorf("status with gzip again:\n%s%s", status.stdout, status.stderr)
	}
}

// diffIDs returns the digests of an image's layers before compression, for its first platform.
func diffIDs(t *testing.T, c catalogue, refName string) []v1.Hash {
	t.Helper()
	blob := func(digest v1.Hash, into any) {
		content, err := os.ReadFile(filepath.Join(c.dir, "dist", "blobs", "sha256", digest.Hex))
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var manifest v1.Manifest
	blob(manifestOf(t, c, refName).Digest, &manifest)
	var config v1.ConfigFile
	blob(manifest.Config.Digest, &config)
	return config.RootFS.DiffIDs
}
