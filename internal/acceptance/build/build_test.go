// Package build tests libre from end to end: the built program makes images, and common
// tools read and run them.
package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

// catalogue is a directory with a flake, and an OCI layout in dist/ when built.
type catalogue struct {
	dir   string
	flags []string // for every command
	env   []string // NAME=VALUE, for every command
}

func (c catalogue) dist() string { return filepath.Join(c.dir, "dist") }

func (c catalogue) command(args ...string) *exec.Cmd {
	cmd := libre.Command(c.dir, append(c.flags[:len(c.flags):len(c.flags)], args...)...)
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// libre runs libre, which must succeed, and returns stdout and stderr.
func (c catalogue) libre(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := testkit.Output(c.command(args...))
	if err != nil {
		t.Fatalf("libre %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout, stderr
}

// demo returns the catalogue that `libre init` writes, built once for all tests.
func demo(t *testing.T) catalogue {
	t.Helper()
	testkit.Require(t, "nix", "git", "go", "busybox", "buildah")
	c, err := buildDemo()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var buildDemo = sync.OnceValues(func() (catalogue, error) {
	parent := catalogue{dir: libre.Dir}
	if _, stderr, err := testkit.Output(parent.command("init", "demo")); err != nil {
		return catalogue{}, fmt.Errorf("libre init: %w\n%s", err, stderr)
	}
	c := catalogue{dir: filepath.Join(libre.Dir, "demo")}
	if err := testkit.SetSystems(c.dir, "x86_64-linux", "aarch64-linux"); err != nil {
		return catalogue{}, err
	}
	if _, stderr, err := testkit.Output(c.command("build", "--all")); err != nil {
		return catalogue{}, fmt.Errorf("libre build --all: %w\n%s", err, stderr)
	}
	return c, nil
})

// newCatalogue writes a catalogue for both systems with files below apps/.
func newCatalogue(t testing.TB, files map[string]string) catalogue {
	t.Helper()
	return catalogue{dir: libre.Catalogue(t, files, "x86_64-linux", "aarch64-linux")}
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// machine returns the Nix system of this machine.
func machine() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux"
}
