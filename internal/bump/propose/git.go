package propose

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
)

// Repository is the git repository of a catalogue, which may be in a subfolder.
type Repository struct {
	top     string   // folder of the repository
	prefix  string   // path of the catalogue in it: "", or a folder with a slash at the end
	extra   []string // environment of git for the remote
	secrets []string // texts that no error may contain
}

// OpenRepository finds the git repository of a catalogue's folder.
func OpenRepository(ctx context.Context, dir string) (*Repository, error) {
	r := &Repository{top: dir}
	out, err := r.git(ctx, "rev-parse", "--show-toplevel", "--show-prefix")
	if errors.Is(err, git.ErrNoRepository) {
		return nil, &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s is not in a git repository, which --commit and --pr need", dir), Fix: "git init && git add --all && git commit"}
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	r.top, r.prefix, _ = strings.Cut(out, "\n")
	return r, nil
}

// CheckCommitted returns an error if the files before an update differ from the last commit,
// because the update's commit must not include a person's unfinished work.
func (r *Repository) CheckCommitted(ctx context.Context, before map[string][]byte) error {
	if _, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return errors.New("the catalogue was never committed: git add --all && git commit")
	}
	entries, err := r.entries(ctx, "HEAD", slices.Collect(maps.Keys(before)))
	if err != nil {
		return fmt.Errorf("reading the last commit: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		blob, err := r.blob(ctx, name, before[name], false)
		if err != nil {
			return err
		}
		if entries[name].object != blob {
			return fmt.Errorf("%s has uncommitted changes: commit them first", name)
		}
	}
	return nil
}

// Files writes a proposal's files to the catalogue, and restores them.
type Files struct {
	Install func() error
	Restore func() error
}

// Commit commits only the files of a proposal to the current branch, and returns the commit.
// Other changes, staged or not, stay as they are. Hooks run, and git's configuration decides
// who commits. If a hook, the signature or a lock prevents the commit, or the context ends, the
// files and the index are restored, because a remaining edit would look finished.
func (r *Repository) Commit(ctx context.Context, p *Proposal, files Files) (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	if err := r.CheckCommitted(ctx, p.Before); err != nil {
		return "", err
	}
	if err := r.checkIdentity(ctx); err != nil {
		return "", err
	}
	was, err := r.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	if err := files.Install(); err != nil {
		return "", err
	}
	added := r.pathspecs(p.added())
	if len(added) > 0 {
		_, err = r.git(ctx, slices.Concat([]string{"add", "--intent-to-add", "--"}, added)...)
	}
	if err != nil {
		added = nil // not in the index
	} else {
		err = r.commit(ctx, p)
	}
	if err == nil {
		return r.git(ctx, "rev-parse", "HEAD")
	}
	last := context.WithoutCancel(ctx)
	if is, headErr := r.git(last, "rev-parse", "HEAD"); headErr == nil && is != was {
		return is, nil // it was made before the context ended
	}
	restored := files.Restore()
	if len(added) > 0 && restored == nil {
		_, restored = r.git(last, slices.Concat([]string{"reset", "--quiet", "--"}, added)...)
	}
	switch {
	case restored != nil:
		return "", fmt.Errorf("committing %s: %w; %w", p.Name, err, restored)
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", notCommitted(p.Name, err)
}

// commit commits files that are in the catalogue and the index.
func (r *Repository) commit(ctx context.Context, p *Proposal) error {
	commit := git.Command{Stdin: []byte(p.message()), Hooks: true}
	arguments := []string{"-c", "user.useConfigOnly=true", "commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--"}
	_, err := r.run(ctx, commit, slices.Concat(arguments, r.pathspecs(slices.Collect(maps.Keys(p.After))))...)
	return err
}

// notCommitted explains why there is no commit.
func notCommitted(name string, err error) error {
	failure := &fault.Fault{Doing: "committing " + name, Err: err}
	if fault.Fix(err) == "" {
		failure.Fix = "nothing was changed: fix that, and run the same command again"
	}
	return failure
}

// checkIdentity returns an error if git does not know who commits. A guess from the
// machine's name does not count.
func (r *Repository) checkIdentity(ctx context.Context) error {
	for _, variable := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		_, err := r.git(ctx, "-c", "user.useConfigOnly=true", "var", variable)
		var failure *git.Error
		switch {
		case errors.As(err, &failure) && ctx.Err() == nil:
			return &fault.Fault{Err: errors.New("git does not know who commits"), Fix: "git config user.name NAME && git config user.email ADDRESS"}
		case err != nil:
			return err
		}
	}
	return nil
}

// treeEntry is a commit's entry at a path.
type treeEntry struct{ mode, object string }

// entries finds files of the catalogue in a commit. The result lacks files that the commit does
// not have.
func (r *Repository) entries(ctx context.Context, commit string, names []string) (map[string]treeEntry, error) {
	found := map[string]treeEntry{}
	if len(names) == 0 {
		return found, nil
	}
	slices.Sort(names)
	out, err := r.git(ctx, slices.Concat([]string{"ls-tree", "-z", "--full-tree", commit, "--"}, r.pathspecs(names))...)
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		info, path, _ := strings.Cut(line, "\t")
		if fields := strings.Fields(info); len(fields) == 3 {
			found[strings.TrimPrefix(path, r.prefix)] = treeEntry{fields[0], fields[2]}
		}
	}
	return found, nil
}

// blob returns the ID of a file's content in git, after the conversion of line ends and
// filters. If write is true, it also stores the content.
func (r *Repository) blob(ctx context.Context, name string, content []byte, write bool) (string, error) {
	if content == nil {
		return "", nil
	}
	arguments := []string{"hash-object", "--stdin", "--path=" + r.prefix + name}
	if write {
		arguments = append(arguments, "-w")
	}
	return r.run(ctx, git.Command{Stdin: content}, arguments...)
}

// pathspecs returns paths of the catalogue as literal pathspecs.
func (r *Repository) pathspecs(names []string) []string {
	specs := make([]string, len(names))
	for i, name := range names {
		specs[i] = ":(literal)" + r.prefix + name
	}
	slices.Sort(specs)
	return specs
}

// git runs git at the repository's top, and returns its output without the final newline.
func (r *Repository) git(ctx context.Context, arguments ...string) (string, error) {
	return r.run(ctx, git.Command{}, arguments...)
}

func (r *Repository) run(ctx context.Context, command git.Command, arguments ...string) (string, error) {
	command.Dir, command.Secrets = r.top, r.secrets
	return command.Run(ctx, arguments...)
}
