package testkit

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/atomicfile"
	nixcode "github.com/libresh/libre/nix"
)

// Libre is the built program, with its own cache.
type Libre struct {
	Dir string // folder for everything that the program and its children write, except to catalogues elsewhere
}

// Run builds the program, runs a package's tests, and removes the files that they leave. It
// returns the exit code.
func (l *Libre) Run(m *testing.M) int {
	var err error
	if l.Dir, err = os.MkdirTemp("", "libre-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(l.Dir)
	defer l.removeRunRoots()
	user, err := os.UserCacheDir()
	shared := filepath.Join(user, "libre-test", "sources")
	if err == nil {
		err = l.prepare(shared)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := copyNotes(l.notes(), shared); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// prepare builds the program and makes a new cache. The cache shares with other runs only the
// notes on which files of this machine are in the Nix store, because copying the Go toolchain
// there takes half a minute.
func (l *Libre) prepare(shared string) error {
	for _, dir := range []string{filepath.Join(l.CacheHome(), "libre"), l.tempDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := copyPrograms(filepath.Dir(l.Program())); err != nil {
		return err
	}
	return copyNotes(shared, l.notes())
}

// notes is the folder with the notes of this run. It is no link to that of all runs, because
// libre writes into no link.
func (l *Libre) notes() string { return filepath.Join(l.CacheHome(), "libre", "sources") }

func copyNotes(from, to string) error {
	names, err := filepath.Glob(filepath.Join(from, "*.json"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err == nil {
			err = atomicfile.Write(filepath.Join(to, filepath.Base(name)), content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Program returns the path of libre.
func (l *Libre) Program() string { return filepath.Join(l.Dir, "bin", "libre") }

// CacheHome returns XDG_CACHE_HOME of Command.
func (l *Libre) CacheHome() string { return filepath.Join(l.Dir, "cache") }

func (l *Libre) tempDir() string { return filepath.Join(l.Dir, "tmp") }

// removeRunRoots removes the run-time state of the engines' storages in this cache. It is
// outside of the cache, because podman does not accept a long path.
func (l *Libre) removeRunRoots() {
	for _, storage := range []string{"buildah", "buildah-mapped"} {
		sum := sha256.Sum256([]byte(filepath.Join(l.CacheHome(), "libre", "containers", storage)))
		os.RemoveAll(fmt.Sprintf("/tmp/libre-%d-%x", os.Geteuid(), sum[:6]))
	}
}

// Command returns libre with arguments, in a folder. It removes the variables that libre
// reads from the environment.
func (l *Libre) Command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(l.Program(), args...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		read := func(prefix string) bool { return strings.HasPrefix(kv, prefix) }
		if !slices.ContainsFunc([]string{"LIBRE_", "COSIGN_", "SIGSTORE_", "ACTIONS_", "DOCKER_", "REGISTRY_", "BUILDAH_"}, read) {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+l.CacheHome(), "TMPDIR="+l.tempDir(), "LIBRE_PACKAGE_SET=host",
		"GIT_OPTIONAL_LOCKS=0", // a catalogue may be copied at the same time
		// Nothing in these catalogues is in a binary cache, and Nix takes seconds to find out that
		// it cannot reach one.
		"NIX_CONFIG="+os.Getenv("NIX_CONFIG")+"\nsubstitute = false")
	return cmd
}

// Tool runs another program and returns its stdout. It fails the test if the program fails.
func (l *Libre) Tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	return l.ToolIn(t, "", name, args...)
}

// ToolIn is Tool in a folder.
func (l *Libre) ToolIn(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+l.tempDir())
	stdout, stderr, err := Output(cmd)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// TempDir makes a folder with a short path, because podman does not accept a long one.
func (l *Libre) TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(l.Dir, "dir-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Catalogue makes a catalogue for some systems, tracked by git. files has the content of
// files below apps/, by path; "-> TARGET" makes a link. It returns the folder.
func (l *Libre) Catalogue(t testing.TB, files map[string]string, systems ...string) string {
	t.Helper()
	Require(t, "nix", "git", "go", "busybox")
	dir := l.TempDir(t)
	for _, name := range []string{"flake.nix", "flake.lock", ".gitignore"} {
		content, err := fs.ReadFile(nixcode.Template(), name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := SetSystems(dir, systems...); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, "apps", name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, link := strings.CutPrefix(content, "-> "); err == nil && link {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l.Tool(t, "git", "-C", dir, "init", "--quiet")
	l.Tool(t, "git", "-C", dir, "add", "--all")
	return dir
}

// SetSystems changes the systems in the flake of a new catalogue.
func SetSystems(dir string, systems ...string) error {
	path := filepath.Join(dir, "flake.nix")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const written = `systems = [ "x86_64-linux" ];`
	if !strings.Contains(string(content), written) {
		return fmt.Errorf("%s has no %s", path, written)
	}
	set := fmt.Sprintf("systems = [ %s ];", strings.Trim(fmt.Sprintf("%q", systems), "[]"))
	return os.WriteFile(path, []byte(strings.Replace(string(content), written, set, 1)), 0o644)
}
