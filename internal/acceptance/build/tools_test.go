package build

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/testkit"
)

// skopeo reads every image of the layout and copies it without changing its digest.
func TestSkopeoCopiesImagesWithTheirDigests(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo")
	c := demo(t)
	copies := t.TempDir()
	for reference, entry := range entries(t, c.dist()) {
		source := "oci:" + c.dist() + ":" + reference
		var said struct {
			Labels map[string]string
			Layers []string
		}
		if err := json.Unmarshal([]byte(libre.Tool(t, "skopeo", "inspect", source)), &said); err != nil {
			t.Fatal(err)
		}
		title, version, _ := strings.Cut(reference, ":")
		if said.Labels["org.opencontainers.image.title"] != title || said.Labels["org.opencontainers.image.version"] != version || len(said.Layers) == 0 {
			t.Errorf("%s: skopeo reads %+v", reference, said)
		}
		libre.Tool(t, "skopeo", "copy", "--quiet", source, "dir:"+filepath.Join(copies, title))
		libre.Tool(t, "skopeo", "copy", "--quiet", "--all", source, "oci:"+filepath.Join(copies, "oci")+":"+reference)
		if got := entries(t, filepath.Join(copies, "oci"))[reference].Digest; got != entry.Digest {
			t.Errorf("%s: the copy is %s, the image %s", reference, got, entry.Digest)
		}
	}
}

func TestBuildahPullsImagesFromTheLayout(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, reference := range references(t, c.dist()) {
		rootfs(t, c, reference)
	}
}

// `crane validate` accepts the whole layout as `libre serve` serves it: every digest, size
// and diffID.
func TestServedLayoutIsValid(t *testing.T) {
	t.Parallel()
	c := demo(t)
	local, err := layout.ImageIndexFromPath(c.dist())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(local); err != nil {
		t.Errorf("the layout: %v", err)
	}
	registry, err := testkit.Start(c.command("serve", "--port", "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Cmd.Process.Kill(); <-registry.Exited })
	address := ""
	err = testkit.Eventually(func() error {
		var found bool
		if address, found = registry.Log.After("serving " + c.dist() + " on "); found {
			return nil
		}
		if err := registry.Running(); err != nil {
			return err
		}
		return fmt.Errorf("libre serve does not say where:\n%s", registry.Log)
	})
	if err != nil {
		t.Fatal(err)
	}
	for reference, entry := range entries(t, c.dist()) {
		served, err := name.ParseReference(address+"/"+reference, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		index, err := remote.Index(served)
		if err != nil {
			t.Errorf("%s: %v", served, err)
			continue
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s: %v", served, err)
		}
		if digest, err := index.Digest(); err != nil || digest != entry.Digest {
			t.Errorf("%s is %s, want %s", served, digest, entry.Digest)
		}
	}
	if _, err := exec.LookPath("skopeo"); err == nil {
		libre.Tool(t, "skopeo", "inspect", "--tls-verify=false", "docker://"+address+"/pocketbase-server-default:0.36.8-1")
	}
	if err := syscall.Kill(-registry.Cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-registry.Exited:
	case <-time.After(testkit.Patience):
		t.Fatal("libre serve does not end")
	}
	if registry.Err != nil {
		t.Errorf("libre serve after SIGINT: %v\n%s", registry.Err, registry.Log)
	}
}
