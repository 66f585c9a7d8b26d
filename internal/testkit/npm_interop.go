//go:build interop

package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodeVersion is newer than Debian's. It comes from npm's package node.
const nodeVersion = "24.21.0"

// npmTool installs a package of npm, NAME@VERSION, with others and its own Node, once, and
// keeps them. It returns the folder that contains node_modules, and the program node.
func npmTool(t testing.TB, tool string, others ...string) (folder, node string) {
	t.Helper()
	Require(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	packages := append([]string{tool}, others...)
	folder = filepath.Join(cache, "libre-tools", strings.Join(append(packages, "node@"+nodeVersion), "-"))
	if err := installTool(folder, packages); err != nil {
		t.Fatal(err)
	}
	return folder, filepath.Join(folder, "node", "node_modules", "node", "bin", "node")
}

// installTool installs packages into a temporary folder beside the final one, and renames it.
func installTool(folder string, packages []string) error {
	unlock, err := lock(folder + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), ".npm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(os.Stderr, "installing %s, once\n", packages[0])
	for _, install := range [][]string{
		append([]string{"--prefix", work, "--ignore-scripts", "--omit=optional"}, packages...),
		{"--prefix", filepath.Join(work, "node"), "node@" + nodeVersion}, // its script moves the program to the right place
	} {
		if err := os.MkdirAll(install[1], 0o755); err != nil {
			return err
		}
		npm := exec.Command("npm", append([]string{"install", "--no-audit", "--no-fund"}, install...)...)
		npm.Dir = work
		if out, err := npm.CombinedOutput(); err != nil {
			return fmt.Errorf("npm install %s: %w\n%s", install[len(install)-1], err, out)
		}
	}
	return os.Rename(work, folder)
}
