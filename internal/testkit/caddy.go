//go:build interop

package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Caddy returns the path of caddy, in the version of the catalogue's image.
func Caddy(t testing.TB) string {
	t.Helper()
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	definition, err := os.ReadFile(filepath.Join(root, "apps", "caddy", "default.nix"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^  version = "(.*)";$`).FindSubmatch(definition)
	if version == nil {
		t.Fatal("the definition of caddy has no version")
	}
	return GoProgram(t, "github.com/caddyserver/caddy/v2/cmd/caddy", "v"+string(version[1]))
}

// WithHosts makes a command use its own /etc/hosts: an address and a name per line. A name may
// have several addresses.
func WithHosts(t testing.TB, cmd *exec.Cmd, hosts string) *exec.Cmd {
	t.Helper()
	RequireRoot(t)
	Require(t, "unshare", "mount")
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(strings.TrimSpace(hosts)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `mount --bind "$1" /etc/hosts && shift && exec "$@"`
	wrapped := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", file}, cmd.Args...)...)
	wrapped.Env = cmd.Env
	return wrapped
}
