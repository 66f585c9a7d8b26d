package nixtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// machine is a catalogue, a Nix, and what a new machine has: an empty store and an
// empty home.
type machine struct {
	dir, bin, nix, home string
	env                 []string
	flags               []string // of every command
}

// newMachine has the nix in bin, or the system's. Its mount namespace sees nix as /nix.
func newMachine(t *testing.T, dir, bin string) machine {
	t.Helper()
	return machine{dir: dir, bin: bin, nix: libre.TempDir(t), home: libre.TempDir(t)}
}

const anyFailure = -1

// run runs libre, which must exit with a code.
func (m machine) run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	args = append(m.flags[:len(m.flags):len(m.flags)], args...)
	cmd := libre.Command(m.dir, args...)
	program := cmd.Path
	path, err := exec.LookPath("unshare")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = path
	cmd.Args = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-euc", `mount --bind "$1" /nix; shift; exec "$@"`, "sh", m.nix, program}, args...)
	cmd.Env = append(cmd.Env, "HOME="+m.home, "XDG_CACHE_HOME="+filepath.Join(m.home, ".cache"), "NIX_CONF_DIR="+m.home,
		"PATH="+m.bin+":"+os.Getenv("PATH"), "COSIGN_PASSWORD=secret", "GIT_CONFIG_GLOBAL=/dev/null")
	cmd.Env = append(cmd.Env, m.env...)
	stdout, stderr, _ = testkit.Output(cmd)
	if got := cmd.ProcessState.ExitCode(); got != code && (code != anyFailure || got == 0) {
		t.Fatalf("libre %s: exit code %d, expected %d\n%s\n%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// toolchains are the Go toolchains in the machine's store.
func (m machine) toolchains(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(m.nix, "store/*/bin/go"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
