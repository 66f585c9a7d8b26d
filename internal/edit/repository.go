package edit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/patch"
	"github.com/libresh/libre/internal/text"
)

// repository is the git repository of a folder.
type repository struct{ folder string }

// base is the tag of the commit that has the source as it was unpacked.
const base = "refs/tags/libre-source"

// settings of git that change what is compared, or that start programs. The user's own, and the
// system's, are not read.
var settings = []string{
	"core.attributesFile=/dev/null", "core.excludesFile=/dev/null", "core.hooksPath=/dev/null", "core.fsmonitor=false",
	"core.autocrlf=false", "core.safecrlf=false", "core.fileMode=true", "core.symlinks=true", "core.ignoreCase=false",
	"core.protectNTFS=false", "core.protectHFS=false", "core.quotePath=true", "core.bigFileThreshold=512m", "diff.suppressBlankEmpty=false",
	"commit.gpgSign=false", "tag.gpgSign=false", "gc.auto=0", "maintenance.auto=false",
}

// attributes come before those of the source: git changes no content, and starts no filter.
const attributes = "* !diff !merge !working-tree-encoding -text -crlf -eol -ident -filter\n"

func (r repository) git(ctx context.Context, arguments ...string) (string, error) {
	return r.run(ctx, git.Command{}, arguments...)
}

func (r repository) run(ctx context.Context, command git.Command, arguments ...string) (string, error) {
	command.Dir = r.folder
	command.Environment = append(command.Environment,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_COUNT=0", "GIT_ATTR_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=libre", "GIT_AUTHOR_EMAIL=libre@localhost", "GIT_AUTHOR_DATE=@1 +0000",
		"GIT_COMMITTER_NAME=libre", "GIT_COMMITTER_EMAIL=libre@localhost", "GIT_COMMITTER_DATE=@1 +0000")
	var all []string
	for _, setting := range settings {
		all = append(all, "-c", setting)
	}
	return command.Run(ctx, append(all, arguments...)...)
}

// create makes the repository, with a commit of all that is in the folder.
func (r repository) create(ctx context.Context, origin Origin) error {
	if _, err := r.git(ctx, "init", "--quiet", "--template=", "--initial-branch=main"); err != nil {
		return err
	}
	info := filepath.Join(r.folder, ".git", "info")
	if err := errors.Join(os.MkdirAll(info, 0o755), os.WriteFile(filepath.Join(info, "attributes"), []byte(attributes), 0o644)); err != nil {
		return err
	}
	for _, one := range origin.settings() {
		if _, err := r.git(ctx, "config", "--local", one.key, *one.value); err != nil {
			return err
		}
	}
	message := fmt.Sprintf("%s %s\n\nThe source as libre builds it, without the changes of this folder.\n", origin.App, origin.Version)
	for _, arguments := range [][]string{
		{"add", "--all", "--force"},
		{"commit", "--quiet", "--allow-empty", "--no-verify", "--message", message},
		{"update-ref", base, "HEAD"},
	} {
		if _, err := r.git(ctx, arguments...); err != nil {
			return err
		}
	}
	return nil
}

// apply applies a patch to the files, and leaves what does not apply in FILE.rej.
func (r repository) apply(ctx context.Context, patch []byte) (rejected []string, err error) {
	if patch == nil {
		return nil, nil
	}
	_, err = r.run(ctx, git.Command{Stdin: patch}, "apply", "--whitespace=nowarn", "-")
	if err == nil || ctx.Err() != nil {
		return nil, err
	}
	_, failure := r.run(ctx, git.Command{Stdin: patch}, "apply", "--whitespace=nowarn", "--reject", "-")
	rejected, err = r.rejected(ctx)
	if err == nil && failure != nil && len(rejected) == 0 {
		err = failure
	}
	return rejected, err
}

// rejected are the files .rej that the source does not have, without their ending.
func (r repository) rejected(ctx context.Context) ([]string, error) {
	out, err := r.git(ctx, "ls-files", "--others", "-z", "--", ":(glob)**/*.rej")
	if err != nil || out == "" {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".rej")
	}
	return names, nil
}

// Changes are the changes of a folder.
type Changes struct {
	Patch   *patch.Patch // nil if nothing differs
	Ignored []string     // files and folders that a .gitignore leaves out
}

// Compare makes a patch of what differs from the source, whether it is committed or not. The
// same changes give the same bytes.
func Compare(ctx context.Context, folder string) (*Changes, error) {
	r := repository{folder}
	rejected, err := r.rejected(ctx)
	if err != nil {
		return nil, err
	}
	if len(rejected) > 0 {
		return nil, &fault.Fault{Err: fmt.Errorf("%s.rej has changes that did not apply", text.Name(rejected[0])), Fix: "make them in " + text.Name(rejected[0]) + " by hand, remove the file, and save again"}
	}
	index, err := os.CreateTemp(filepath.Join(folder, ".git"), "libre-index-")
	if err != nil {
		return nil, err
	}
	_ = index.Close()
	defer func() {
		_ = os.Remove(index.Name())
		_ = os.Remove(index.Name() + ".lock")
	}()
	with := git.Command{Environment: []string{"GIT_INDEX_FILE=" + index.Name()}}
	for _, arguments := range [][]string{{"read-tree", base}, {"add", "--all"}} {
		if _, err := r.run(ctx, with, arguments...); err != nil {
			return nil, err
		}
	}
	if err := r.checkModes(ctx, with); err != nil {
		return nil, err
	}
	with.MostOutput = patch.Most + 1<<20
	out, err := r.run(ctx, with, "diff-index", "--cached", "--patch", "--unified=3", "--inter-hunk-context=0", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-color", "--full-index", "--diff-algorithm=myers", "--indent-heuristic", "--src-prefix=a/", "--dst-prefix=b/", "--no-relative", "--submodule=short", "-O/dev/null", base, "--")
	if err != nil {
		return nil, err
	}
	changes := &Changes{}
	if changes.Ignored, err = r.ignored(ctx, with); err != nil || out == "" {
		return changes, err
	}
	changes.Patch, err = patch.Read([]byte(out + "\n"))
	if err != nil {
		if refused := (*fault.Fault)(nil); errors.As(err, &refused) {
			err = refused.Err
		}
		return nil, &fault.Fault{Doing: "making a patch", Err: err, Fix: "undo it here; to add or replace a whole file, use addToSource in the definition, see docs/apps.md"}
	}
	return changes, nil
}

// checkModes refuses files whose mode changes: not every patch program changes it.
func (r repository) checkModes(ctx context.Context, with git.Command) error {
	out, err := r.run(ctx, with, "diff-index", "--cached", "--no-renames", "-z", base, "--")
	if err != nil || out == "" {
		return err
	}
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for pair := range slices.Chunk(fields, 2) {
		modes := strings.Fields(strings.TrimPrefix(pair[0], ":"))
		if len(pair) < 2 || len(modes) < 2 {
			return errors.New("git diff-index: unexpected output")
		}
		before, after := modes[0], modes[1]
		const executable, none, file = "100755", "000000", "100644"
		if before != after && (after == executable || before == executable && after == file) {
			doing := "is executable now"
			if before != none && after == file {
				doing = "is no longer executable"
			}
			return &fault.Fault{Doing: "making a patch", Err: fmt.Errorf("%s %s, which not every patch program does", text.Name(pair[1]), doing),
				Fix: "undo it with chmod; to add an executable file, use addToSource in the definition, see docs/apps.md"}
		}
	}
	return nil
}

// ignored are new files and folders that a .gitignore leaves out.
func (r repository) ignored(ctx context.Context, with git.Command) ([]string, error) {
	with.MostOutput = 0
	out, err := r.run(ctx, with, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
}
