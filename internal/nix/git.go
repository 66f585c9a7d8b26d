package nix

import (
	"context"
	"os/exec"
	"path"
	"strings"
)

// UntrackedApps lists the apps of a catalogue that git does not track. A flake
// in a git repository is what git tracks: to Nix, they are not there.
func UntrackedApps(dir string) []string {
	out, err := git(context.Background(), dir, "ls-files", "--others", "--exclude-standard", "-z", "apps/*/default.nix")
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

// git gives what git prints of the repository that a folder is in. It takes no
// lock for what it only looks at.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks"}, args...)...)
	cmd.Dir = dir
	return cmd.Output()
}
