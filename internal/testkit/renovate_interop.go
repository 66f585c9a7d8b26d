//go:build interop

package testkit

import (
	"os/exec"
	"path/filepath"
	"testing"
)

const renovateVersion = "44.121.2"

// Renovate returns the command of a program of Renovate, such as renovate or config-validator,
// with arguments. It is installed once and kept. It makes no requests unless told to.
func Renovate(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	folder, node := npmTool(t, "renovate@"+renovateVersion)
	script := filepath.Join(folder, "node_modules", "renovate", "dist", program+".js")
	return exec.Command(node, append([]string{script}, args...)...)
}
