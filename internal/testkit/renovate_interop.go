//go:build interop

package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Renovate needs a newer Node than Debian's, which npm's package node brings.
const (
	renovateVersion     = "44.121.2"
	renovateNodeVersion = "24.21.0"
)

// Renovate gives the command of a program of Renovate, such as renovate or
// config-validator, with arguments. It is installed once and kept, and makes no request by
// itself.
func Renovate(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	Require(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "libre-tools", "renovate-"+renovateVersion+"-node-"+renovateNodeVersion)
	if err := installRenovate(folder); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(folder, "node_modules", "renovate", "dist", program+".js")
	return exec.Command(filepath.Join(folder, "node", "node_modules", "node", "bin", "node"), append([]string{script}, args...)...)
}

// installRenovate installs what is not there beside its folder, and renames.
func installRenovate(folder string) error {
	unlock, err := lock(folder + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), ".renovate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(os.Stderr, "installing Renovate %s, once\n", renovateVersion)
	for _, install := range [][]string{
		{"--prefix", work, "--ignore-scripts", "--omit=optional", "renovate@" + renovateVersion},
		{"--prefix", filepath.Join(work, "node"), "node@" + renovateNodeVersion}, // its script puts the program in place
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
