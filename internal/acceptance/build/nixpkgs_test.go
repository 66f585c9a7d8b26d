package build

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// shaped returns a catalogue whose input nixpkgs is testdata/nixpkgs, a small package set
// with the shape of nixpkgs.
func shaped(t *testing.T, files map[string]string) catalogue {
	t.Helper()
	testkit.Require(t, "busybox")
	c := newCatalogue(t, files)
	c.flags = []string{"--allow-local-inputs"}
	set := filepath.Join(c.dir, ".nixpkgs")
	if err := os.CopyFS(set, os.DirFS("testdata/nixpkgs")); err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(set, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	libre.Tool(t, "cp", busybox, filepath.Join(set, "bin", "busybox"))
	libre.Tool(t, "cp", "-r", set, c.dir+"-nixpkgs")
	libre.Tool(t, "rm", "-r", set, filepath.Join(c.dir, "flake.lock"))
	flake := filepath.Join(c.dir, "flake.nix")
	content, err := os.ReadFile(flake)
	if err != nil {
		t.Fatal(err)
	}
	input := regexp.MustCompile(`nixpkgs\.url = "[^"]*"`)
	if !input.Match(content) {
		t.Fatalf("%s has no input nixpkgs", flake)
	}
	writeFile(t, flake, input.ReplaceAllString(string(content), `nixpkgs.url = "path:`+c.dir+`-nixpkgs"`))
	libre.Tool(t, "git", "-C", c.dir, "add", "--all")
	return c
}

// app returns a definition with one component, made of a package.
func app(name, component string) map[string]string {
	return map[string]string{name + "/default.nix": "{ mkApp, pkgs, ... }:\nmkApp {\n  name = \"" + name +
		"\"; version = \"1\"; packageVersion = 1;\n  components.web = {\n    " + component + "\n  };\n}\n"}
}

// apps joins several definitions.
func apps(all ...map[string]string) map[string]string {
	files := map[string]string{}
	for _, one := range all {
		maps.Copy(files, one)
	}
	return files
}

// machineOf is a machine from libre's view: its /nix and its caches.
type machineOf struct {
	store, cache string
	env          []string // more variables
}

// newMachine returns an empty machine.
func newMachine(t testing.TB) machineOf {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "unshare", "git")
	return machineOf{store: libre.TempDir(t), cache: libre.TempDir(t)}
}

// command returns a program that runs there with settings of Nix.
func (m machineOf) command(dir, nixConfig, program string, args ...string) *exec.Cmd {
	base := libre.Command(dir)
	// A mount namespace of its own, in which this run sees another /nix.
	cmd := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-euc",
		`mount --bind "$1" /nix; shift; exec "$@"`, "sh", m.store, program}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(base.Env, "XDG_CACHE_HOME="+m.cache, "NIX_CONFIG="+nixConfig, "LIBRE_PACKAGE_SET=nixpkgs")
	cmd.Env = append(cmd.Env, m.env...)
	return cmd
}

// run runs libre there and returns its output and exit code.
func (m machineOf) run(t testing.TB, c catalogue, nixConfig string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := m.command(c.dir, nixConfig, libre.Program(), append(c.flags[:len(c.flags):len(c.flags)], args...)...)
	stdout, stderr, err := testkit.Output(cmd)
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout, stderr, cmd.ProcessState.ExitCode()
}

// tool runs another program there, which must succeed.
func (m machineOf) tool(t testing.TB, program string, args ...string) string {
	t.Helper()
	stdout, stderr, err := testkit.Output(m.command("/", "substitute = false", program, args...))
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr)
	}
	return stdout
}
