package nix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/lazyregexp"
)

// UntrackedApps returns the apps of a catalogue that git does not track, so that Nix does
// not see them.
func UntrackedApps(dir string) []string {
	_, others := listApps(context.Background(), dir)
	apps, _ := untracked(dir, others)
	return apps
}

// listApps lists what git knows below apps/: mode, hash and path of each entry of its index, and
// the files that it neither tracks nor ignores. Outside of a repository there is nothing.
func listApps(ctx context.Context, dir string) (index, others []string) {
	out, err := git.Output(ctx, dir, "ls-files", "--stage", "--others", "--exclude-standard", "-z", "--", "apps")
	if err != nil || out == "" {
		return nil, nil
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if strings.HasPrefix(entry, "apps") {
			others = append(others, entry)
		} else {
			index = append(index, entry)
		}
	}
	return index, others
}

// untracked divides what git does not track into whole apps, by name, and files of other apps, by
// path.
func untracked(dir string, others []string) (apps, files []string) {
	for _, file := range others {
		parts := strings.Split(file, "/")
		if len(parts) == 3 && parts[2] == "default.nix" || len(parts) == 2 && hasDefinition(dir, file) {
			apps = append(apps, parts[1])
		}
	}
	for _, file := range others {
		parts := strings.Split(file, "/")
		if len(parts) == 3 && parts[2] == "vex.yaml" {
			continue // libre reads it from the folder, and Nix never does
		}
		if len(parts) > 2 && !slices.Contains(apps, parts[1]) && hasDefinition(dir, path.Join("apps", parts[1])) && !leftover().MatchString(file) {
			files = append(files, file)
		}
	}
	return apps, files
}

// leftover matches files that editors, patch, git and a killed bump leave behind.
var leftover = lazyregexp.New(`(~|\.(swp|swo|tmp|bak|orig|rej))$|(^|/)\.?#[^/]*$|(^|/)\.libre-[0-9]+$`)

func hasDefinition(dir, folder string) bool {
	_, err := os.Lstat(filepath.Join(dir, folder, "default.nix"))
	return err == nil
}

// maxListed is the number of untracked files that are listed one by one.
const maxListed = 3

// IgnoredFiles reports files in apps/ that look like a part of the catalogue but are not,
// one a line, each with a fix. Names that begin with "." or "_" are never apps.
func IgnoredFiles(ctx context.Context, dir string) []string {
	var lines []string
	index, others := listApps(ctx, dir)
	apps, files := untracked(dir, others)
	for _, name := range apps {
		lines = append(lines, fmt.Sprintf("git does not track apps/%s, so libre ignores it; git add apps/%s", name, name))
	}
	for i, file := range files {
		if i == maxListed && len(files) > maxListed+1 {
			lines = append(lines, fmt.Sprintf("git does not track %d more files of apps, so Nix does not see them; git status apps", len(files)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("git does not track %s, so Nix does not see it; %s", file, git.Untracked.Fix(file)))
	}
	submodules := submodules(dir, index)
	for _, name := range submodules {
		lines = append(lines, fmt.Sprintf("apps/%s is a git submodule, which Nix does not see, so libre ignores it: add its files to this repository", name))
	}
	entries, err := os.ReadDir(filepath.Join(dir, "apps"))
	if err != nil {
		return lines
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains(submodules, name) || slices.Contains(apps, name):
		case entry.IsDir() && !hasDefinition(dir, path.Join("apps", name)):
			lines = append(lines, fmt.Sprintf("apps/%s has no default.nix, so it is not an app: write apps/%s/default.nix, or rename it to apps/_%s", name, name, name))
		case entry.Type().IsRegular() && strings.HasSuffix(name, ".nix"):
			stem := strings.TrimSuffix(name, ".nix")
			lines = append(lines, fmt.Sprintf("apps/%s is a file, so it is not an app: move it to apps/%s/default.nix, or rename it to apps/_%s", name, stem, name))
		}
	}
	return lines
}

// withSubmodules matches a flake that includes its submodules.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake.html#self-attributes
var withSubmodules = lazyregexp.New(`submodules\s*=\s*true`)

// submodules returns the apps that are git submodules, by the entries of git's index.
func submodules(dir string, index []string) []string {
	if flake, err := file.ReadOwn(filepath.Join(dir, "flake.nix")); err == nil && withSubmodules().Match(flake) {
		return nil
	}
	var names []string
	for _, entry := range index {
		stage, name, _ := strings.Cut(entry, "\t")
		if strings.HasPrefix(stage, "160000 ") {
			names = append(names, path.Base(name))
		}
	}
	return names
}

var (
	// Messages of Nix about a missing file: "getting status of 'X': No such
	// file or directory", "path 'X' does not exist", "Path 'X' in the repository "Y" is
	// not tracked by Git."
	missingFile = lazyregexp.New(`No such file or directory|does not exist|not tracked by [Gg]it`)
	// The file's name in them. The first form is for names with a "'".
	greedyName = lazyregexp.New(`'(.+)'`)
	quotedName = lazyregexp.New(`'([^']+)'`)
)

// positionPrefix matches a message that begins with FILE:LINE:COLUMN.
var positionPrefix = lazyregexp.New(`^(\S+:\d+:\d+): `)

// explain explains the failure of a definition, a path in the catalogue or "" if unknown.
// If Nix does not find a file, it explains why.
func (c *Catalogue) explain(ctx context.Context, failure *Error, definition string) error {
	explained := &EvaluationFailure{Message: failure.Message, Log: failure.Log}
	folder := "apps"
	if definition != "" {
		folder = path.Dir(definition)
	}
	if found := linkLoops(c.flake.Dir, folder, failure); found != nil {
		return found
	}
	if definition != "" && !strings.Contains(explained.Message, path.Dir(definition)) {
		explained.Message = definition + ": " + explained.Message
	}
	if found := positionPrefix().FindStringSubmatch(failure.Message); found != nil {
		definition = found[1]
	}
	definition = cmp.Or(definition, "a definition")
	if !missingFile().MatchString(failure.Message) {
		return explained
	}
	var names []string
	for _, found := range append(greedyName().FindAllStringSubmatch(failure.Message, -1), quotedName().FindAllStringSubmatch(failure.Message, -1)...) {
		if filepath.IsLocal(found[1]) && !slices.Contains(names, found[1]) {
			names = append(names, path.Clean(found[1]))
		}
	}
	for _, name := range names {
		if err := c.explainFile(ctx, definition, name); err != nil {
			return err
		}
	}
	// A name with a slash is not an attribute.
	for _, name := range names {
		if strings.Contains(name, "/") {
			return &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s refers to %s, which does not exist", definition, name)}
		}
	}
	return explained
}

// explainFile explains why Nix does not see an existing file; nil if it does not exist or
// is not hidden.
func (c *Catalogue) explainFile(ctx context.Context, definition, name string) error {
	dir := c.flake.Dir
	info, err := os.Lstat(filepath.Join(dir, name))
	if err != nil {
		// Nix prints paths from the top of the repository, and the flake may be in a
		// folder of it.
		if dir, err = git.Top(ctx, dir); err != nil {
			return nil
		}
		if info, err = os.Lstat(filepath.Join(dir, name)); err != nil {
			return nil
		}
	}
	tracking, err := git.TrackingOf(ctx, dir, name)
	why := fmt.Errorf("%s refers to %s, which git does not track, so Nix does not see it", definition, name)
	switch {
	case err != nil:
		return nil
	case tracking == git.InSubmodule:
		return &fault.Fault{Err: fmt.Errorf("%s refers to %s, which is in a git submodule, so Nix does not see it", definition, name), Fix: "add its files to this repository"}
	case tracking == git.Tracked:
		return nil
	case info.IsDir() && isEmpty(filepath.Join(dir, name)):
		return &fault.Fault{Err: fmt.Errorf("%s refers to %s, an empty folder, which git does not track", definition, name), Fix: "add a file to it, and git add it"}
	case dir != c.flake.Dir:
		return &fault.Fault{Err: why, Fix: "in " + dir + ": " + tracking.Fix(name)}
	}
	return &fault.Fault{Err: why, Fix: tracking.Fix(name)}
}

// linkLoop matches Nix's message about a link to itself, which does not name the link.
var linkLoop = lazyregexp.New(`infinite symlink recursion|[Tt]oo many (levels of )?symbolic links`)

// linkLoops returns an error that names the links in a folder of the catalogue that point to
// themselves. It returns nil if the failure is about something else.
func linkLoops(dir, folder string, failure *Error) *fault.Fault {
	if !linkLoop().MatchString(failure.Message) {
		return nil
	}
	var names []string
	_ = filepath.WalkDir(filepath.Join(dir, folder), func(at string, entry fs.DirEntry, err error) error {
		if _, found := os.Stat(at); errors.Is(found, syscall.ELOOP) {
			names = append(names, folder+strings.TrimPrefix(at, filepath.Join(dir, folder)))
		}
		return nil // skip unreadable folders
	})
	if names == nil {
		return nil
	}
	return &fault.Fault{Err: fmt.Errorf("%s: a symbolic link that points to itself", strings.Join(names, ", ")), Fix: "make it point to an existing file, or remove it"}
}

func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
