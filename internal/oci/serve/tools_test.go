package serve

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/testkit"
)

func run(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestServeToTools(t *testing.T) {
	dir := newLayout(t, "docs-backend-default:5.4.1-1")
	host := serve(t, dir, "")
	image := "docker://" + host + "/docs-backend-default:5.4.1-1"
	t.Run("skopeo", func(t *testing.T) {
		testkit.Require(t, "skopeo")
		raw := run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", image)
		file, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", digestOf(raw)[7:]))
		if err != nil || !bytes.Equal(file, []byte(raw)) {
			t.Errorf("skopeo inspect gives other bytes: %v", err)
		}
		to := filepath.Join(t.TempDir(), "copy")
		run(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", image, "oci:"+to+":copied")
		run(t, "skopeo", "list-tags", "--tls-verify=false", "docker://"+host+"/docs-backend-default")
	})
	t.Run("buildah", func(t *testing.T) {
		testkit.Require(t, "buildah")
		if os.Getuid() != 0 {
			t.Skip("needs root")
		}
		// Images of random bytes cannot be unpacked, so this one has a real layer.
		to := serve(t, "", filepath.Join(t.TempDir(), "pushed"))
		root := t.TempDir()
		store := []string{"--root", filepath.Join(root, "storage"), "--runroot", filepath.Join(root, "run"), "--storage-driver", "vfs"}
		buildah := func(args ...string) string { return run(t, "buildah", append(store, args...)...) }
		container := strings.TrimSpace(buildah("from", "scratch"))
		file := filepath.Join(root, "hello")
		if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
			t.Fatal(err)
		}
		buildah("copy", container, file, "/hello")
		buildah("commit", container, "hello:1")
		buildah("rm", container)
		buildah("push", "--tls-verify=false", "hello:1", "docker://"+to+"/test/hello:1")
		buildah("rmi", "hello:1")
		buildah("pull", "--tls-verify=false", "docker://"+to+"/test/hello:1")
		pulled, err := remote.Image(ref(t, to, "test/hello:1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(pulled); err != nil {
			t.Error(err)
		}
	})
}
