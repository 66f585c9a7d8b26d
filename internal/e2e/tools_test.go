package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// skopeo reads every image of the layout, and copies it whole without changing
// its digest.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	requireTools(t, "skopeo")
	c := demo(t)
	copies := t.TempDir()
	for reference, entry := range entries(t, c.dist()) {
		source := "oci:" + c.dist() + ":" + reference
		var said struct {
			Labels map[string]string
			Layers []string
		}
		if err := json.Unmarshal([]byte(tool(t, "skopeo", "inspect", source)), &said); err != nil {
			t.Fatal(err)
		}
		title, version, _ := strings.Cut(reference, ":")
		if said.Labels["org.opencontainers.image.title"] != title || said.Labels["org.opencontainers.image.version"] != version || len(said.Layers) == 0 {
			t.Errorf("%s: skopeo reads %+v", reference, said)
		}
		tool(t, "skopeo", "copy", "--quiet", source, "dir:"+filepath.Join(copies, title))
		tool(t, "skopeo", "copy", "--quiet", "--all", source, "oci:"+filepath.Join(copies, "oci")+":"+reference)
		if got := entries(t, filepath.Join(copies, "oci"))[reference].Digest; got != entry.Digest {
			t.Errorf("%s: the copy is %s, the image %s", reference, got, entry.Digest)
		}
	}
}

func TestBuildah(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, reference := range references(t, c.dist()) {
		rootfs(t, c, reference)
	}
}

// The layout as a whole, and what `libre serve` makes of it, is what
// `crane validate` calls valid: every digest, size and diffID.
func TestServe(t *testing.T) {
	t.Parallel()
	c := demo(t)
	local, err := layout.ImageIndexFromPath(c.dist())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(local); err != nil {
		t.Errorf("the layout: %v", err)
	}
	registry, err := start(c.command("serve", "--port", "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.cmd.Process.Kill(); <-registry.exited })
	address := ""
	err = eventually(func() error {
		found := false
		if address, found = registry.log.after("serving " + c.dist() + " on "); found {
			return nil
		}
		if err := registry.running(); err != nil {
			return err
		}
		return fmt.Errorf("libre serve does not say where:\n%s", registry.log)
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
		tool(t, "skopeo", "inspect", "--tls-verify=false", "docker://"+address+"/pocketbase-server-default:0.36.8-1")
	}
	if err := syscall.Kill(-registry.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-registry.exited:
	case <-time.After(patience):
		t.Fatal("libre serve does not end")
	}
	if registry.err != nil {
		t.Errorf("libre serve after SIGINT: %v\n%s", registry.err, registry.log)
	}
}

// --load hands images to an engine's own storage, which is the test's here.
func TestLoad(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := demo(t)
	for _, engine := range []string{"buildah", "podman"} {
		t.Run(engine, func(t *testing.T) {
			requireTools(t, engine)
			storage := ownStorage(t)
			load := c.command("build", "guestbook/backend", "--load")
			load.Env = append(load.Env, "LIBRE_ENGINE="+engine, storage)
			if _, stderr, err := output(load); err != nil {
				t.Fatalf("libre build --load: %v\n%s", err, stderr)
			}
			list := exec.Command(engine, "images", "--format", "{{.Name}}:{{.Tag}}")
			if engine == "podman" {
				list = exec.Command(engine, "images", "--format", "{{.Repository}}:{{.Tag}}")
			}
			list.Env = append(list.Environ(), storage)
			stdout, stderr, err := output(list)
			if err != nil {
				t.Fatalf("%s images: %v\n%s", engine, err, stderr)
			}
			got := strings.Fields(stdout)
			slices.Sort(got)
			want := []string{}
			for _, variant := range []string{"debug", "default", "lyon"} {
				want = append(want, "localhost/guestbook-backend-"+variant+":1.0.0-1")
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s has %v, want %v", engine, got, want)
			}
		})
	}
}

// ownStorage gives the environment variable for a containers-storage of its own.
func ownStorage(t *testing.T) string {
	t.Helper()
	dir := lowerDir(t)
	path := filepath.Join(dir, "storage.conf")
	writeFile(t, path, fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "run")))
	return "CONTAINERS_STORAGE_CONF=" + path
}
