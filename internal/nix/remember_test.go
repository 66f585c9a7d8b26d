package nix

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The version of a binary is asked once, and again when the binary is replaced. A script is asked
// each time, because it may start another Nix.
func TestVersionIsAskedAgainWhenNixMayBeAnother(t *testing.T) {
	nix, err := exec.LookPath("nix")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	n := &Nix{OutcomeDir: filepath.Join(dir, "outcomes")}
	ask := func(want string) {
		t.Helper()
		if got, err := n.Version(t.Context()); err != nil || got != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	script := filepath.Join(dir, "nix")
	for _, version := range []string{"nix (Nix) 2.8.0", "nix (Nix) 2.9.0"} {
		if err := os.WriteFile(filepath.Join(dir, "version"), []byte(version), 0o644); err != nil {
			t.Fatal(err)
		}
		if version == "nix (Nix) 2.8.0" {
			if err := os.WriteFile(script, []byte("#!/bin/sh\ncat "+dir+"/version\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		ask(version)
	}
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(nix, script); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(nix, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	real := string(out[:len(out)-1])
	ask(real)
	program, err := identity(nix)
	if err != nil {
		t.Fatal(err)
	}
	n.remember("version", program, "nix (Nix) 0.0")
	ask("nix (Nix) 0.0") // it was not asked again
}

func TestWhatIsRecalledIsNotPruned(t *testing.T) {
	n := &Nix{OutcomeDir: t.TempDir()}
	n.remember("version", "program", "2.8")
	if err := os.Chtimes(n.rememberedFile("version", "program"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i := range maxOutcomes {
		file := filepath.Join(n.OutcomeDir, fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	var version string
	for _, use := range []string{"first", "second"} {
		if !n.recall("version", "program", &version) || version != "2.8" {
			t.Errorf("the %s time: %q", use, version)
		}
		n.pruneOutcomes()
	}
}
