package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/nix"
	nixcode "github.com/libresh/libre/nix"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIRECTORY]",
		Short: "Make a new catalogue",
		Long: `Writes a catalogue with two apps, pocketbase and guestbook, into a new or empty
directory (the current one by default), for this machine's system, makes it a git
repository and adds the files to it: Nix sees only what git tracks.`,
		Example: "  libre init my-catalogue",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if err := writeCatalogue(cmd.Context(), dir, nixcode.Template()); err != nil {
				return err
			}
			a.Notef("made a catalogue in %s; next: cd %s, then libre list, libre build --all", dir, dir)
			return nil
		},
	}
}

// writeCatalogue writes the template's files into an empty directory and tracks
// them with git. It writes nothing over a file that is there.
func writeCatalogue(ctx context.Context, dir string, template fs.FS) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			return fmt.Errorf("making a catalogue: %s is not empty (it has %s), choose a new directory", dir, entry.Name())
		}
	}
	system, err := nix.MachineSystem()
	if err != nil {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	err = fs.WalkDir(template, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Module files have another name in the program, see Template.
		target := filepath.Join(dir, strings.TrimSuffix(path, ".in"))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := fs.ReadFile(template, path)
		if err != nil {
			return err
		}
		if path == "flake.nix" {
			content = bytes.Replace(content, []byte(`"x86_64-linux" ];`), []byte(`"`+system+`" ];`), 1)
		}
		return os.WriteFile(target, content, 0o644)
	})
	if err != nil {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				return errors.New("making a catalogue: git is not installed: apt-get install git")
			}
			return fmt.Errorf("making a catalogue: git %s: %s", args[0], strings.TrimSpace(string(out)))
		}
	}
	return nil
}
