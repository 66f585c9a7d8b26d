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

// Repository is the git repository that a catalogue is in, perhaps in a folder of it.
type Repository struct {
	top     string   // folder of the repository
	prefix  string   // of the catalogue in it, "" or apps-like/
	extra   []string // environment of git where it talks to the remote
	secrets []string // that no error may hold
}

// OpenRepository finds the repository of a catalogue's folder.
func OpenRepository(ctx context.Context, dir string) (*Repository, error) {
	r := &Repository{top: dir}
	out, err := r.git(ctx, "rev-parse", "--show-toplevel", "--show-prefix")
	if errors.Is(err, git.ErrNoRepository) {
		return nil, &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s is in no git repository: --commit and --pr need one", dir), Fix: "git init && git add --all && git commit"}
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	r.top, r.prefix, _ = strings.Cut(out, "\n")
	return r, nil
}

// CheckCommitted is an error where the last commit does not have the files of a
// catalogue as they are before an update: what a person is working on must not get
// into the update's commit.
func (r *Repository) CheckCommitted(ctx context.Context, before map[string][]byte) error {
	if _, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return errors.New("the catalogue was never committed: git add --all && git commit")
	}
	entries, err := r.entries(ctx, "HEAD", slices.Collect(maps.Keys(before)))
	if err != nil {
		return fmt.Errorf("looking at the last commit: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		blob, err := r.blob(ctx, name, before[name], false)
		if err != nil {
			return err
		}
		if entries[name].object != blob {
			return fmt.Errorf("%s has changes that are not committed: commit them first", name)
		}
	}
	return nil
}

// Files puts a proposal's files into the catalogue, and takes them back.
type Files struct {
	Install func() error
	Restore func() error
}

// Commit commits the files of a proposal, and nothing else, to the current branch.
// What else is staged or changed stays as it is. Hooks run, and who commits is for
// git's configuration to say. It gives the commit. Where there is none in the end,
// as a hook, the signature or a lock is against it, or the context ends, the files
// and the index are as they were: an edit that stays would be taken for done.
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
		added = nil // the index has none
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

// commit is the commit itself, of files that are in the catalogue and the index.
func (r *Repository) commit(ctx context.Context, p *Proposal) error {
	commit := git.Command{Stdin: []byte(p.message()), Hooks: true}
	arguments := []string{"-c", "user.useConfigOnly=true", "commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--"}
	_, err := r.run(ctx, commit, slices.Concat(arguments, r.pathspecs(slices.Collect(maps.Keys(p.After))))...)
	return err
}

// notCommitted explains a commit that was not made.
func notCommitted(name string, err error) error {
	failure := &fault.Fault{Doing: "committing " + name, Err: err}
	if fault.Fix(err) == "" {
		failure.Fix = "nothing is changed: mend that, and run the same command again"
	}
	return failure
}

// checkIdentity is an error where git does not know who commits. What it would
// guess from the machine's name is no answer.
func (r *Repository) checkIdentity(ctx context.Context) error {
	for _, variable := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		_, err := r.git(ctx, "-c", "user.useConfigOnly=true", "var", variable)
		var failure *git.Error
		switch {
		case errors.As(err, &failure) && ctx.Err() == nil:
			return &fault.Fault{Err: errors.New("git does not know who commits"), Fix: "git config user.name NAME, and git config user.email ADDRESS"}
		case err != nil:
			return err
		}
	}
	return nil
}

// treeEntry is what a commit has at a path.
type treeEntry struct{ mode, object string }

// entries looks for files of the catalogue in a commit. What is not there is not
// in the result.
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

// blob gives the name of a file's content as git keeps it, line ends and filters
// considered, and perhaps writes it.
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

// pathspecs are paths of the catalogue as git takes them, no matter what they
// contain.
func (r *Repository) pathspecs(names []string) []string {
	specs := make([]string, len(names))
	for i, name := range names {
		specs[i] = ":(literal)" + r.prefix + name
	}
	slices.Sort(specs)
	return specs
}

// git runs git at the repository's top, and gives what it says without the final newline.
func (r *Repository) git(ctx context.Context, arguments ...string) (string, error) {
	return r.run(ctx, git.Command{}, arguments...)
}

func (r *Repository) run(ctx context.Context, command git.Command, arguments ...string) (string, error) {
	command.Dir, command.Secrets = r.top, r.secrets
	return command.Run(ctx, arguments...)
}
