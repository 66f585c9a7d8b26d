package containerfile

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/libresh/libre/internal/testkit"
)

// The test's folder has the user's own storage.
func TestLoad(t *testing.T) {
	testkit.Require(t, "podman", "busybox")
	e, err := Detect(context.Background(), Choice{Name: "podman"})
	if err != nil {
		t.Fatal(err)
	}
	userStorage(t, e)
	l, err := FindLoader(context.Background(), "podman")
	if err != nil {
		t.Fatal(err)
	}
	const image = "localhost/docs-web-default:1.2.3-4"
	if err := l.Load(context.Background(), image, archiveOf(t, image)); err != nil {
		t.Fatal(describe(err))
	}
	got := output1(t, e.Path, "image", "inspect", "--format", "{{.RepoTags}} {{.Config.Env}}", image)
	if want := "[" + image + "] [PATH=/bin PLATFORM=" + machinePlatform() + "]"; strings.TrimSpace(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}

	err = l.Load(context.Background(), "a", func(w io.Writer) error {
		_, err := io.WriteString(w, "not a tar")
		return err
	})
	if want := "load a into podman: "; !strings.HasPrefix(errorText(err), want) || !errors.As(err, new(*Error)) {
		t.Errorf("an archive that is none: got %v, want %s…", err, want)
	}
	damaged := errors.New("a blob is gone")
	if err := l.Load(context.Background(), "a", func(io.Writer) error { return damaged }); !errors.Is(err, damaged) {
		t.Errorf("an archive that cannot be written: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = l.Load(ctx, "a", func(w io.Writer) error {
		cancel()
		for { // until the child is gone
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled load: %v", err)
	}
}

// archiveOf writes an image for this machine as "docker save" does.
func archiveOf(t *testing.T, ref string) func(io.Writer) error {
	t.Helper()
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	platform, err := v1.ParsePlatform(machinePlatform())
	if err != nil {
		t.Fatal(err)
	}
	index := busyboxIndex(t)
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Manifests {
		if d.Platform.Equals(*platform) {
			img, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return func(w io.Writer) error { return tarball.Write(tag, img, w) }
		}
	}
	t.Fatalf("no image for %s", platform)
	return nil
}

func userStorage(t *testing.T, e Engine) {
	dir := t.TempDir()
	t.Cleanup(func() { removeOwned(e, filepath.Join(dir, "graph")) })
	run, err := os.MkdirTemp("/tmp", "run") // podman: at most 50 characters
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

// Docker gets an archive; a missing docker or daemon is an error.
func TestLoadDocker(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	received := filepath.Join(dir, "received.tar")
	fake := func(script string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fake("[ \"$*\" = version ] && exit\n[ \"$*\" = 'load --quiet' ] || exit 9\ncat > " + received + "\n")
	l, err := FindLoader(context.Background(), "docker")
	if err != nil {
		t.Fatal(err)
	}
	err = l.Load(context.Background(), "web:1", func(w io.Writer) error {
		tw := tar.NewWriter(w)
		if err := tw.WriteHeader(&tar.Header{Name: "manifest.json"}); err != nil {
			return err
		}
		return tw.Close()
	})
	if err != nil {
		t.Fatal(describe(err))
	}
	f, err := os.Open(received)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if h, err := tar.NewReader(f).Next(); err != nil || h.Name != "manifest.json" {
		t.Errorf("docker read %+v, %v", h, err)
	}

	fake("cat > /dev/null\necho 'no space left on device' >&2\nexit 1\n")
	err = l.Load(context.Background(), "web:1", func(w io.Writer) error { return nil })
	if want := "load web:1 into docker: no space left on device"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	fake("echo 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
	_, err = FindLoader(context.Background(), "docker")
	if want := "run docker version: Cannot connect to the Docker daemon"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = FindLoader(context.Background(), "docker")
	if want := "docker is not installed; see https://docs.docker.com/engine/install/"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = FindLoader(context.Background(), "rkt")
	if want := `cannot load images into "rkt": expected docker or podman`; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
