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

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	nixcode "github.com/libresh/libre/nix"
)

// checkEmpty refuses a directory that has files.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			return &fault.Fault{Doing: "making a catalogue", Err: fmt.Errorf("%s is not empty (it contains %s)", dir, entry.Name()), Fix: "choose a new directory"}
		}
	}
	return nil
}

// writeCatalogue writes the template's files, with what was chosen, and the workflows into an
// empty directory, and adds them to git. It returns their paths in the catalogue.
func writeCatalogue(ctx context.Context, o initOptions, workflows map[string][]byte) (files []string, err error) {
	template := nixcode.Template()
	write := func(path string, content []byte) error {
		files = append(files, path)
		return os.WriteFile(filepath.Join(o.dir, path), content, 0o644)
	}
	err = fs.WalkDir(template, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if o.app != withExamples && strings.HasPrefix(path, "apps/") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		// Module files have another name in the program: see Template.
		target := strings.TrimSuffix(path, ".in")
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(o.dir, target), 0o755)
		}
		content, err := fs.ReadFile(template, path)
		if err != nil {
			return err
		}
		return write(target, o.fill(path, content))
	})
	if err == nil && o.app != withExamples {
		err = write("apps/.gitkeep", nil) // git keeps no empty folder
	}
	var added []string
	if err == nil {
		added, _, err = writeWorkflows(o.dir, workflows)
	}
	if err != nil {
		return nil, fmt.Errorf("making a catalogue: %w", err)
	}
	start := []string{"init", "--quiet"}
	if workflows != nil {
		start = append([]string{"-c", "init.defaultBranch=main"}, start...) // the branch that the workflows publish
	}
	for _, args := range [][]string{start, {"add", "--all"}} {
		if _, err := (git.Command{Dir: o.dir}).Run(ctx, args...); err != nil {
			return nil, fmt.Errorf("making a catalogue: %w", err)
		}
	}
	return append(files, added...), nil
}

// withoutExamples returns the catalogue's README for one that begins with another app, or none.
func withoutExamples(readme []byte, app string) []byte {
	name := "docs"
	if app != withNone {
		name = appName(app)
	}
	text := string(readme)
	for _, cut := range [][2]string{{"| `apps/guestbook`", "| `libre.yaml`"}, {"## Run the guestbook", "## Add an app"}} {
		before, rest, _ := strings.Cut(text, cut[0])
		_, after, _ := strings.Cut(rest, cut[1])
		text = before + cut[1] + after
	}
	text, _, _ = strings.Cut(text, " `lyon` of the guestbook")
	aligned := func(example string) string { return fmt.Sprintf("%-*s  ", len(example), name) } // before a comment
	names := strings.NewReplacer("guestbook  ", aligned("guestbook"), "pocketbase  ", aligned("pocketbase"), "guestbook", name, "pocketbase", name)
	return []byte(names.Replace(text) + "\n")
}

// addWorkflows writes workflows into a catalogue that exists.
func (e *env) addWorkflows(ctx context.Context, o initOptions, workflows map[string][]byte) error {
	written, changed, err := writeWorkflows(o.dir, workflows)
	if err != nil {
		return fmt.Errorf("adding workflows: %w", err)
	}
	if len(written) > 0 {
		e.Notef("wrote %s", strings.Join(written, ", "))
	}
	if len(changed) > 0 {
		e.Warnf("kept %s, which differs from libre's; remove it to have it written again", strings.Join(changed, ", "))
	}
	if len(written)+len(changed) == 0 {
		e.Notef("wrote nothing: the workflows are there already")
	}
	e.noteWorkflows(o.forge)
	e.warnBelowTop(ctx, o)
	if o.json {
		return e.JSON(initJSON{Directory: o.dir, Files: append([]string{}, written...), Kept: changed})
	}
	return nil
}

// warnBelowTop warns if the catalogue is a folder in a repository: forges read the workflows at its
// top alone.
func (e *env) warnBelowTop(ctx context.Context, o initOptions) {
	folder, err := git.Output(ctx, o.dir, "rev-parse", "--show-prefix")
	if folder = strings.Trim(folder, "/\n"); err != nil || folder == "" {
		return // or no repository yet
	}
	move := "." + o.forge + " to the top, and change the paths in it"
	if o.forge == "gitlab" {
		move = ".gitlab-ci.yml and .gitlab to the top, and change the paths in them"
	}
	e.Warnf("%s does not run these, because the catalogue is in %s of its repository: move %s", o.forge, folder, move)
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
