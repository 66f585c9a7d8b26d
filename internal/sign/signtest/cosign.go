//go:build interop

package signtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// CosignVersions are what other people verify with.
var CosignVersions = []string{"v2.6.5", "v3.1.3"}

// A Shell runs command lines whose word cosign stands for the real program.
type Shell struct {
	Version string
	bin     string
}

// NewShell gives a shell with a version of cosign.
func NewShell(t testing.TB, version string) *Shell {
	t.Helper()
	program := cosign(version).get(t)
	s := &Shell{version, t.TempDir()}
	if err := os.Symlink(program, filepath.Join(s.bin, "cosign")); err != nil {
		t.Fatal(err)
	}
	return s
}

// Run runs a line in a folder, and gives all that it prints.
func (s *Shell) Run(dir, line string) (string, error) {
	command := exec.Command("sh", "-c", line)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"), "HOME="+s.bin)
	output, err := command.CombinedOutput()
	return string(output), err
}

// WithKey is a line that verifies with a key, for the shell's version: 2.6 would
// ask the internet for a trusted root all the same.
func (s *Shell) WithKey(t testing.TB, line string) string {
	if s.Version == "v2.6.5" {
		line += " --trusted-root " + EmptyRoot(t)
	}
	return line
}
