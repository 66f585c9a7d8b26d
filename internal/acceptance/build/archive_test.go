package build

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

// An archive has all selected images, complete, and no others.
func TestArchiveHasTheSelectedImagesWhole(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo", "podman")
	testkit.RequireRoot(t)
	c := demo(t)
	archive := filepath.Join(libre.TempDir(t), "images.tar")
	stdout, stderr := c.libre(t, "build", "guestbook/backend", "guestbook/frontend/default", "--archive", archive)
	built := digests(t, stdout)
	if !strings.Contains(stderr, "wrote 4 images to "+archive+", ") || len(built) != 4 {
		t.Errorf("libre says\n%s%s", stderr, stdout)
	}
	for reference, digest := range built {
		raw := libre.Tool(t, "skopeo", "inspect", "--raw", "oci-archive:"+archive+":"+reference)
		if got, _, err := v1.SHA256(strings.NewReader(raw)); err != nil || got.String() != digest {
			t.Errorf("%s: skopeo reads %s from the archive, want %s", reference, got, digest)
		}
		libre.Tool(t, "skopeo", "copy", "--quiet", "--all", "oci-archive:"+archive+":"+reference, "dir:"+filepath.Join(t.TempDir(), "copy"))
	}
	podman := podmanStorage(t)
	podman.run(t, "load", "--quiet", "--input", archive)
	if got, want := loaded(t, podman), sortedNames(built); !slices.Equal(got, want) {
		t.Errorf("podman has %v, want %v", got, want)
	}

	first, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	c.libre(t, "build", "guestbook/frontend/default", "guestbook/backend", "--archive", archive)
	if again, err := os.ReadFile(archive); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second archive is another one: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(archive)); err != nil || len(entries) != 1 {
		t.Errorf("beside the archive there is %v, %v", entries, err)
	}
}

// --load loads images into podman's own storage (here the test's), where they have the
// digests that libre prints.
func TestLoadedImagesHaveThePrintedDigests(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "podman")
	testkit.RequireRoot(t)
	c := demo(t)
	podman := podmanStorage(t)
	load := c.command("build", "guestbook/backend", "--load", "podman")
	load.Env = append(load.Env, podman.variable())
	stdout, stderr, err := testkit.Output(load)
	if err != nil {
		t.Fatalf("libre build --load: %v\n%s", err, stderr)
	}
	built := digests(t, stdout)
	if got, want := loaded(t, podman), sortedNames(built); len(want) != 3 || !slices.Equal(got, want) {
		t.Errorf("podman has %v, want %v", got, want)
	}
	for reference, digest := range built {
		if !strings.Contains(stderr, "loaded "+reference+" into podman\n") {
			t.Errorf("libre does not say that it loaded %s:\n%s", reference, stderr)
		}
		if got := strings.TrimSpace(podman.run(t, "image", "inspect", "--format", "{{.Digest}}", "localhost/"+reference)); got != digest {
			t.Errorf("%s: podman has %s, libre built %s", reference, got, digest)
		}
	}
}

// Images that failed are left out, and the exit code is the same as without --archive.
func TestArchiveLeavesOutWhatFailed(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"half/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "half"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.good.package = pkgs.writeText "good" "good";
  components.bad.package = pkgs.runCommand "bad" { } "exit 1";
}
`, "half/src/file": "x\n"})
	archive := filepath.Join(c.dir, "images.tar")
	stdout, stderr, code := ends(t, c.command("build", "*/*/default", "--archive", archive))
	if code != 3 || !strings.Contains(stderr, "wrote 1 image to "+archive+", ") || !slices.Equal(sortedNames(digests(t, stdout)), []string{"localhost/half-good-default:1-1"}) {
		t.Errorf("exit code %d\n%s%s", code, stderr, stdout)
	}
	none := filepath.Join(c.dir, "none.tar")
	_, stderr, code = ends(t, c.command("build", "half/bad/default", "--archive", none))
	if _, err := os.Stat(none); code != 3 || err == nil || !strings.Contains(stderr, "warning: no image was built, so there is nothing to archive or load\n") {
		t.Errorf("exit code %d, %v\n%s", code, err, stderr)
	}
}

// An impossible option is reported before anything is built.
func TestImpossibleExportIsNamedBeforeTheBuild(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--archive", "-"}, 2, "error: --archive -: an archive cannot go to stdout: give the name of a file"},
		{[]string{"--archive", "none/images.tar"}, 2, "error: --archive none/images.tar: no directory none"},
		{[]string{"--archive", "."}, 2, "error: --archive .: it exists and is not a file"},
		{[]string{"--load", "rkt"}, 2, "error: --load rkt, expected docker or podman"},
	} {
		stdout, stderr, code := ends(t, c.command(append([]string{"build", "--all"}, test.args...)...))
		if code != test.code || stderr != test.want+"\n" || stdout != "" {
			t.Errorf("%v: exit code %d, want %d\n%s", test.args, code, test.code, stderr)
		}
	}
	daemonless := c.command("build", "--all", "--load", "docker")
	daemonless.Env = append(daemonless.Env, "PATH="+withDocker(t, "echo 'Cannot connect to the Docker daemon' >&2; exit 1"))
	_, stderr, code := ends(t, daemonless)
	if want := "error: run docker version: Cannot connect to the Docker daemon\n"; code != 1 || stderr != want {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	// If loading fails, the built images remain.
	full := c.command("build", "guestbook/backend/default", "--load", "docker")
	full.Env = append(full.Env, "PATH="+withDocker(t, "[ $1 = version ] || { echo 'no space left on device' >&2; exit 1; }"))
	stdout, stderr, code := ends(t, full)
	if want := "error: load guestbook-backend-default:1.0.0-1 into docker: no space left on device\n"; code != 1 || !strings.HasSuffix(stderr, want) || len(digests(t, stdout)) != 1 {
		t.Errorf("exit code %d\n%s%s", code, stderr, stdout)
	}
}

// withDocker returns a PATH that starts with a script named docker.
func withDocker(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir + ":" + os.Getenv("PATH")
}

// ends runs libre to its end. It may fail.
func ends(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	stdout, stderr, _ = testkit.Output(cmd)
	return stdout, stderr, cmd.ProcessState.ExitCode()
}

// digests parses the output of libre build: references and digests.
func digests(t *testing.T, stdout string) map[string]string {
	t.Helper()
	built := map[string]string{}
	for line := range strings.Lines(stdout) {
		first, _, _ := strings.Cut(line, "\t")
		reference, digest, found := strings.Cut(first, "@")
		if !found {
			t.Fatalf("no reference@digest: %s", line)
		}
		built[reference] = digest
	}
	return built
}

// sortedNames returns the names that podman gives to images without a registry.
func sortedNames(built map[string]string) []string {
	var names []string
	for reference := range built {
		names = append(names, "localhost/"+reference)
	}
	slices.Sort(names)
	return names
}

// A podman is podman with a storage of its own.
type podman struct{ conf string }

func (p podman) variable() string { return "CONTAINERS_STORAGE_CONF=" + p.conf }

// run runs podman, which must succeed, and returns its stdout.
func (p podman) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("podman", args...)
	cmd.Env = append(cmd.Environ(), p.variable())
	stdout, stderr, err := testkit.Output(cmd)
	if err != nil {
		t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// podmanStorage makes a storage, which is removed after the tests.
func podmanStorage(t *testing.T) podman {
	t.Helper()
	dir := libre.TempDir(t)
	conf := filepath.Join(dir, "storage.conf")
	writeFile(t, conf, fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "run")))
	return podman{conf}
}

// loaded lists the images in podman's storage.
func loaded(t *testing.T, p podman) []string {
	t.Helper()
	names := strings.Fields(p.run(t, "images", "--format", "{{.Repository}}:{{.Tag}}"))
	slices.Sort(names)
	return names
}
