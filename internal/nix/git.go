package nix

import (
	"context"
	"path"
	"strings"

	"github.com/libresh/libre/internal/git"
)

// UntrackedApps lists the apps of a catalogue that git does not track. A flake
// in a git repository is what git tracks: to Nix, they are not there.
func UntrackedApps(dir string) []string {
	out, err := git.Output(context.Background(), dir, "ls-files", "--others", "--exclude-standard", "-z", "apps/*/default.nix")
	if err != nil {
		return nil // no git, or no repository: then nothing is hidden
	}
	var apps []string
	for _, file := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
		if parts := strings.Split(file, "/"); len(parts) == 3 {
			apps = append(apps, path.Base(parts[1]))
		}
	}
	return apps
}
