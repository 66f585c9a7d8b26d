// Package e2e tests libre from end to end: the built program makes images, and
// the tools that people use read them and run them.
package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	nixcode "github.com/libresh/libre/nix"
)

// scratch holds all that the tests write: the program, catalogues, libre's
// cache, temporary files of its children, container storage.
var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "libre-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(runRoot())
	return m.Run()
}

// prepare builds the program and makes libre's cache: a new one, but for the
// notes on which parts of this machine are in the Nix store already. To copy
// the Go toolchain there takes half a minute.
func prepare() error {
	build := exec.Command("go", "build", "-trimpath", "-o", program(), "../../cmd/libre")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building libre: %w\n%s", err, out)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	notes := filepath.Join(user, "libre", "sources")
	for _, dir := range []string{notes, filepath.Join(cacheHome(), "libre"), tempDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.Symlink(notes, filepath.Join(cacheHome(), "libre", "sources"))
}

func program() string   { return filepath.Join(scratch, "libre") }
func cacheHome() string { return filepath.Join(scratch, "cache") }
func tempDir() string   { return filepath.Join(scratch, "tmp") }

// runRoot is where internal/containerfile has the run-time state of the storage
// in this cache: outside of it, since podman takes no long path.
func runRoot() string {
	sum := sha256.Sum256([]byte(filepath.Join(cacheHome(), "libre", "containers", "buildah")))
	return fmt.Sprintf("/tmp/libre-%d-%x", os.Geteuid(), sum[:6])
}

// requireTools skips a test that needs programs which are not installed, and
// fails it if LIBRE_TEST_ALL is 1. Debian has some of them in /usr/sbin.
func requireTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("LIBRE_TEST_ALL") == "1" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

// requireRoot skips a test that starts containers or unpacks images.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// catalogue is a directory with a flake, and an OCI layout in dist/ once built.
type catalogue struct{ dir string }

func (c catalogue) dist() string { return filepath.Join(c.dir, "dist") }

// command is libre with its arguments in the catalogue. It has a process group
// of its own, as a shell gives to what is typed.
func (c catalogue) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program(), args...)
	cmd.Dir = c.dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "LIBRE_") && !strings.HasPrefix(kv, "BUILDAH_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cacheHome(), "TMPDIR="+tempDir(), "LIBRE_PACKAGE_SET=host",
		// Nothing of these catalogues is in a binary cache, and Nix takes seconds
		// to find out that it cannot reach one.
		"NIX_CONFIG="+os.Getenv("NIX_CONFIG")+"\nsubstitute = false")
	return cmd
}

// libre runs libre, which must succeed, and gives stdout and stderr.
func (c catalogue) libre(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := output(c.command(args...))
	if err != nil {
		t.Fatalf("libre %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout, stderr
}

// output runs a command to its end.
func output(cmd *exec.Cmd) (stdout, stderr string, err error) {
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = runBound(cmd)
	return out.String(), log.String(), err
}

// tool runs another program, which must succeed, and gives its stdout.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tempDir())
	stdout, stderr, err := output(cmd)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// demo is what `libre init` writes, all of it built once for all tests.
func demo(t *testing.T) catalogue {
	t.Helper()
	requireTools(t, "nix", "git", "go", "busybox", "buildah")
	c, err := buildDemo()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var buildDemo = sync.OnceValues(func() (catalogue, error) {
	parent := catalogue{scratch}
	if _, stderr, err := output(parent.command("init", "demo")); err != nil {
		return catalogue{}, fmt.Errorf("libre init: %w\n%s", err, stderr)
	}
	c := catalogue{filepath.Join(scratch, "demo")}
	if err := forBothSystems(c.dir); err != nil {
		return catalogue{}, err
	}
	if _, stderr, err := output(c.command("build", "--all")); err != nil {
		return catalogue{}, fmt.Errorf("libre build --all: %w\n%s", err, stderr)
	}
	return c, nil
})

// forBothSystems makes a new catalogue's flake name both systems.
func forBothSystems(dir string) error {
	path := filepath.Join(dir, "flake.nix")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	both := strings.Replace(string(content), `systems = [ "x86_64-linux" ];`, `systems = [ "x86_64-linux" "aarch64-linux" ];`, 1)
	return os.WriteFile(path, []byte(both), 0o644)
}

// newCatalogue writes a catalogue with files below apps/: path to content. A
// content "-> TARGET" makes a link.
func newCatalogue(t *testing.T, files map[string]string) catalogue {
	t.Helper()
	requireTools(t, "nix", "git", "go", "busybox")
	c := catalogue{lowerDir(t)}
	for _, name := range []string{"flake.nix", "flake.lock", ".gitignore"} {
		content, err := fs.ReadFile(nixcode.Template(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := forBothSystems(c.dir); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(c.dir, "apps", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "git", "-C", c.dir, "init", "--quiet")
	tool(t, "git", "-C", c.dir, "add", "--all")
	return c
}

// patience is how long a test waits for what should take a moment, on a machine
// that has other things to do.
const patience = time.Minute

// eventually asks until there is no error.
func eventually(ask func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		var final finalError
		if err == nil || errors.As(err, &final) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// finalError ends eventually: waiting does not help.
type finalError struct{ error }

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lowerDir is a folder with a short path in lower case: buildah takes oci:PATH
// for the name of an image, podman no long path.
func lowerDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "dir-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// machine is the Nix system of this machine.
func machine() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux"
}
