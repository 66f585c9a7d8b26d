package nix

import (
	"os/exec"
	"path"
	"strings"
)

// UntrackedApps lists the apps of a catalogue that git does not track. A flake
// in a git repository is what git tracks: to Nix, they are not there.
func UntrackedApps(dir string) []string {
	cmd := exec.Command("git", "ls-files", "--others", "--exclude-standard", "-z", "apps/*/default.nix")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil // no git, or no repository: then nothing is hidden
	}
	var apps []string
	for _, file := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if parts := strings.Split(file, "/"); len(parts) == 3 {
			apps = append(apps, path.Base(parts[1]))
		}
	}
	return apps
}
