package containerfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The user's own storage is one in the test's folder.
func TestLoad(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		userStorage(t, e)
		dist := catalogueLayout(t, "docs-web-default:1.2.3-4", busyboxIndex(t))
		const image = "registry.example/lasuite/docs-web-default:1.2.3-4"
		if err := Load(context.Background(), e, dist, "docs-web-default:1.2.3-4", "", image); err != nil {
			t.Fatal(describe(err))
		}
		if err := Load(context.Background(), e, dist, "docs-web-default:1.2.3-4", foreignPlatform(), image+"-foreign"); err != nil {
			t.Fatal(describe(err))
		}
		field := map[string]string{"buildah": "Name", "podman": "Repository"}[e.Name]
		got := output1(t, e.Path, "images", "--format", "{{."+field+"}}:{{.Tag}}")
		for _, want := range []string{image, image + "-foreign"} {
			if !strings.Contains("\n"+got, "\n"+want+"\n") {
				t.Errorf("images:\n%swant %s", got, want)
			}
		}
		if n := strings.Count(got, "\n"); n != 2 {
			t.Errorf("%d names, want 2:\n%s", n, got)
		}
		err := Load(context.Background(), e, dist, "docs", "", image)
		if want := "OCI layout " + dist + `: no image "docs": it has docs-web-default:1.2.3-4`; text(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
		err = Load(context.Background(), e, dist, "", "", "Not:a:name")
		if want := "load Not:a:name into " + e.Name + ": "; !strings.HasPrefix(text(err), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func userStorage(t *testing.T, e Engine) {
	dir := t.TempDir()
	t.Cleanup(func() { removeOwned(e, filepath.Join(dir, "graph")) })
	run, err := os.MkdirTemp("", "run") // podman: at most 50 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	conf := filepath.Join(dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(dir, "graph"), run)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", conf)
}

func output1(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What docker would get is read by skopeo, as docker's own format and as OCI.
func TestLoadDocker(t *testing.T) {
	needTools(t, "skopeo", "busybox")
	dist := catalogueLayout(t, "web", busyboxIndex(t))
	dir := t.TempDir()
	archive := filepath.Join(dir, "archive.tar")
	fake := filepath.Join(dir, "docker")
	script := "#!/bin/sh\n[ \"$*\" = 'load --quiet' ] || exit 9\ncat > " + archive + "\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	e := Engine{Name: "docker", Path: fake, Version: "28.0.0"}
	if err := Load(context.Background(), e, dist, "web", foreignPlatform(), "registry.example/web:1"); err != nil {
		t.Fatal(describe(err))
	}
	froms := []string{"docker-archive:" + archive, "docker-archive:" + archive + ":registry.example/web:1"}
	if os.Geteuid() == 0 { // others may not unpack files of root, which skopeo does
		froms = append(froms, "oci-archive:"+archive+":1")
	}
	for _, from := range froms {
		got := output1(t, "skopeo", "inspect", "--config", from)
		if want := "PLATFORM=" + foreignPlatform(); !strings.Contains(got, want) {
			t.Errorf("%s: no %s in %s", from, want, got)
		}
		output1(t, "skopeo", "copy", "--quiet", from, "dir:"+filepath.Join(dir, "copy"))
	}
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := Load(context.Background(), e, dist, "web", "", "web:1")
	if want := "load web:1 into docker: Cannot connect to the Docker daemon"; text(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestArchiveIsDeterministic(t *testing.T) {
	needTools(t, "busybox")
	p, err := pick(catalogueLayout(t, "web", busyboxIndex(t)), "", machinePlatform())
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := p.writeArchive(w, "web:1"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two archives differ")
	}
}
