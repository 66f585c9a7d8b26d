//go:build interop

package signtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// CosignVersions lists the versions of cosign that tests compare with.
var CosignVersions = []string{"v2.6.5", "v3.1.3"}

// A Shell runs command lines in which the word cosign stands for the real program.
type Shell struct {
	Version string
	bin     string
}

// NewShell returns a shell with a version of cosign.
func NewShell(t testing.TB, version string) *Shell {
	t.Helper()
	program := cosign(version).get(t)
	s := &Shell{version, t.TempDir()}
	if err := os.Symlink(program, filepath.Join(s.bin, "cosign")); err != nil {
		t.Fatal(err)
	}
	return s
}

// Run runs a line in a folder and returns everything that it prints.
func (s *Shell) Run(dir, line string) (string, error) {
	command := exec.Command("sh", "-c", line)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"), "HOME="+s.bin)
	output, err := command.CombinedOutput()
	return string(output), err
}

// WithKey returns the line adapted to the shell's version: cosign 2.6 would fetch a trusted
// root from the internet even with a key.
func (s *Shell) WithKey(t testing.TB, line string) string {
	if s.Version == "v2.6.5" {
		line += " --trusted-root " + EmptyRoot(t)
	}
	return line
}
