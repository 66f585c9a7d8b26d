package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/oci/layout"
)

// refuseTracked refuses a layout that came with the catalogue: libre would publish and sign
// its images without having built them.
func refuseTracked(ctx context.Context, output string) error {
	if _, err := os.Stat(filepath.Join(output, layout.IndexFile)); err != nil {
		return nil
	}
	// Outside of a repository, nothing is tracked.
	if tracked, err := git.Output(ctx, output, "ls-files", "--", layout.IndexFile); err != nil || tracked == "" {
		return nil
	}
	return &fault.Fault{Err: fmt.Errorf("git tracks %s, so its images were not built here", output), Fix: "git rm -r --cached " + output + ", and delete it"}
}

// refuseTrackedSecrets refuses secrets of libre.yaml that git tracks: nix would copy them
// into the store, where every user of this machine can read them.
func (ws *workspace) refuseTrackedSecrets(ctx context.Context) error {
	files := []string{ws.settings.Cache.Key}
	for _, named := range []map[string]containerfile.Secret{ws.settings.Build.Secrets, ws.settings.Build.SSH} {
		for _, secret := range named {
			files = append(files, secret.File)
		}
	}
	args := []string{"ls-files", "--"}
	for _, file := range files {
		if rel, err := filepath.Rel(ws.dir, file); file != "" && err == nil && filepath.IsLocal(rel) {
			args = append(args, rel)
		}
	}
	if len(args) == 2 {
		return nil
	}
	tracked, err := git.Output(ctx, ws.dir, args...)
	if err != nil || strings.TrimSpace(tracked) == "" {
		return nil // outside of a repository, nothing is tracked
	}
	file, _, _ := strings.Cut(strings.TrimSpace(tracked), "\n")
	return &fault.Fault{
		Err: fmt.Errorf("git tracks %s, a secret of libre.yaml: nix would copy it into the store, where every user can read it", file),
		Fix: "git rm --cached " + file + ", and add it to .gitignore",
	}
}
