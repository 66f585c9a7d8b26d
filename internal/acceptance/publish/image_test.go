package publish

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/libresh/libre/internal/testkit"
)

// registryImage starts the image of apps/registry with its own configuration: the program
// sees the image's files only, on the host's network.
func registryImage(t testing.TB) string {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox")
	buildRegistry.Do(func() {
		catalogue := catalogue{dir: filepath.Join("..", "..")}
		output := filepath.Join(libre.Dir, "registry")
		catalogue.run("build", "registry/server/default", "--output", output).want(t, 0)
		registryBuilt = onlyImage(t, output)
	})
	if registryBuilt == nil {
		t.Fatal("the registry's image could not be built")
	}
	file, err := registryBuilt.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	root, host, config := t.TempDir(), testkit.FreeAddress(t), file.Config
	unpack(t, registryBuilt, root)
	user, group, _ := strings.Cut(config.User, ":")
	server := &exec.Cmd{
		Path: config.Entrypoint[0], Args: append(config.Entrypoint, config.Cmd...), Dir: "/",
		Env:         append(config.Env, "REGISTRY_HTTP_ADDR="+host, "OTEL_TRACES_EXPORTER=none"),
		SysProcAttr: &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: number(t, user), Gid: number(t, group)}},
	}
	testkit.Serve(t, "http://"+host+"/v2/", server)
	return host
}

var (
	buildRegistry sync.Once
	registryBuilt v1.Image
)

// onlyImage opens the only image of a layout, for its first platform.
func onlyImage(t testing.TB, dir string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	for err == nil {
		var manifest *v1.IndexManifest
		if manifest, err = index.IndexManifest(); err != nil {
			break
		}
		first := manifest.Manifests[0]
		if first.MediaType.IsImage() {
			image, err := index.Image(first.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return image
		}
		index, err = index.ImageIndex(first.Digest)
	}
	t.Fatal(err)
	return nil
}

// unpack writes an image's files with their owners.
func unpack(t testing.TB, image v1.Image, dir string) {
	t.Helper()
	files := mutate.Extract(image)
	defer files.Close()
	tar := exec.Command("tar", "-x", "-p", "--numeric-owner", "-C", dir)
	tar.Stdin = files
	if output, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("unpacking an image: %v\n%s", err, output)
	}
}

func number(t testing.TB, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}
