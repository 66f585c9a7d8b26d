package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nix"
	nixcode "github.com/libresh/libre/nix"
)

type initOptions struct {
	dir   string
	forge string // github, forgejo or gitlab; empty for no workflows
}

func (e *env) initCommand() *cobra.Command {
	o := initOptions{dir: "."}
	cmd := &cobra.Command{
		Use:   "init [DIRECTORY]",
		Short: "Make a new catalogue, or add workflows to one",
		Long: `Make a catalogue with two apps, pocketbase and guestbook, in a new or empty
directory, by default this one. init makes it a git repository, and adds the
files to it, because Nix sees only what git tracks. The catalogue is for this
machine's system.

--ci adds workflows for GitHub Actions, Forgejo Actions or GitLab CI. They bump
apps daily and inputs weekly by pull requests, check each pull request, publish
what is merged to main, scan it daily, and publish its public page to GitHub
Pages or GitLab Pages, or in the branch pages. Each file begins with what it
needs. In a directory that has a catalogue, init writes only these files, and
replaces none.`,
		Example: "  libre init my-catalogue\n  libre init --ci github my-catalogue\n  libre init --ci forgejo",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.dir = args[0]
			}
			return e.runInit(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.forge, "ci", "", "add workflows for this `FORGE`: github, forgejo or gitlab")
	return cmd
}

func (e *env) runInit(ctx context.Context, o initOptions) error {
	workflows := nixcode.Workflows(o.forge)
	if o.forge != "" && workflows == nil {
		return usageError{fmt.Errorf("--ci %s, expected github, forgejo or gitlab", o.forge)}
	}
	if _, err := os.Stat(filepath.Join(o.dir, "flake.nix")); err == nil && workflows != nil {
		if err := e.addWorkflows(o.dir, workflows); err != nil {
			return err
		}
	} else {
		if err := writeCatalogue(ctx, o.dir, nixcode.Template(), workflows); err != nil {
			return err
		}
		enter := ""
		if o.dir != "." {
			enter = "cd " + o.dir + ", then "
		}
		e.Notef("made a catalogue in %s; next: %slibre list, libre build --all; libre new adds an app of your own", o.dir, enter)
	}
	if workflows != nil {
		read := "." + o.forge + "/workflows/libre-*.yml need"
		if o.forge == "gitlab" {
			read = ".gitlab/libre.yml needs"
		}
		e.Notef("the workflows run on the branch main, with the libre that flake.lock pins; next: nix flake lock, commit it, and read what %s", read)
	}
	return nil
}

// writeCatalogue writes the template's files and the workflows into an empty directory,
// and adds them to git.
func writeCatalogue(ctx context.Context, dir string, template fs.FS, workflows map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			return &fault.Fault{Doing: "making a catalogue", Err: fmt.Errorf("%s is not empty (it contains %s)", dir, entry.Name()), Fix: "choose a new directory"}
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
		// Module files have another name in the program: see Template.
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
	if err == nil {
		_, _, err = writeWorkflows(dir, workflows)
	}
	if err != nil {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	start := []string{"init", "--quiet"}
	if workflows != nil {
		start = append([]string{"-c", "init.defaultBranch=main"}, start...) // the branch that the workflows publish
	}
	for _, args := range [][]string{start, {"add", "--all"}} {
		if _, err := (git.Command{Dir: dir}).Run(ctx, args...); err != nil {
			return fmt.Errorf("making a catalogue: %w", err)
		}
	}
	return nil
}

// addWorkflows writes workflows into a catalogue.
func (e *env) addWorkflows(dir string, workflows map[string][]byte) error {
	written, changed, err := writeWorkflows(dir, workflows)
	if err != nil {
		return fmt.Errorf("adding workflows: %w", err)
	}
	if len(written) > 0 {
		e.Notef("wrote %s", strings.Join(written, ", "))
	}
	if len(changed) > 0 {
		e.Warnf("kept %s, which differs from libre's; remove it to have it written again", strings.Join(changed, ", "))
	}
	return nil
}

// writeWorkflows writes files by their paths in a catalogue. It keeps existing files;
// changed are those with other content.
func writeWorkflows(dir string, workflows map[string][]byte) (written, changed []string, err error) {
	for _, path := range slices.Sorted(maps.Keys(workflows)) {
		target := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return written, changed, err
		}
		file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			there, err := os.ReadFile(target)
			if err != nil {
				return written, changed, err
			}
			if !bytes.Equal(there, workflows[path]) {
				changed = append(changed, path)
			}
			continue
		}
		if err != nil {
			return written, changed, err
		}
		_, err = file.Write(workflows[path])
		if err := errors.Join(err, file.Close()); err != nil {
			return written, changed, err
		}
		written = append(written, path)
	}
	return written, changed, nil
}
