package propose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/bump/outside"
)

// Repository is the git repository that a catalogue is in, perhaps in a folder of it.
type Repository struct {
	top     string   // folder of the repository
	prefix  string   // of the catalogue in it, "" or apps-like/
	extra   []string // environment of git where it talks to the remote
	secrets []string // that no error may hold
}

// GitError is a run of git that did not succeed, with the end of what it said,
// which is outside text.
type GitError struct {
	Command string // commit, push
	Tail    string // one line
	Err     error
}

func (e *GitError) Error() string {
	if e.Tail == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Tail)
}

func (e *GitError) Unwrap() error { return e.Err }

// OpenRepository finds the repository of a catalogue's folder.
func OpenRepository(ctx context.Context, dir string) (*Repository, error) {
	r := &Repository{top: dir}
	out, err := r.git(ctx, "rev-parse", "--show-toplevel", "--show-prefix")
	var failure *GitError
	if errors.As(err, &failure) && strings.Contains(failure.Tail, "not a git repository") {
		return nil, fmt.Errorf("%s is in no git repository: --commit and --pr need one (git init)", dir)
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

// Commit commits the files of a proposal, and nothing else, to the current branch.
// They are in the catalogue already; what else is staged or changed stays as it is.
// Hooks run, and who commits is for git's configuration to say. It gives the commit.
func (r *Repository) Commit(ctx context.Context, p *Proposal) (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	if err := r.CheckCommitted(ctx, p.Before); err != nil {
		return "", err
	}
	if err := r.checkIdentity(ctx); err != nil {
		return "", err
	}
	doing := "committing " + p.Name
	var added []string
	for name := range p.After {
		if p.Before[name] == nil {
			added = append(added, name)
		}
	}
	if len(added) > 0 {
		if _, err := r.git(ctx, slices.Concat([]string{"add", "--intent-to-add", "--"}, r.pathspecs(added))...); err != nil {
			return "", fmt.Errorf("%s: %w", doing, err)
		}
	}
	// Without the environment of other runs: it is for hooks as well.
	commit := gitRun{stdin: []byte(p.message())}
	arguments := []string{"-c", "user.useConfigOnly=true", "commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--"}
	if _, err := r.run(ctx, commit, slices.Concat(arguments, r.pathspecs(slices.Collect(maps.Keys(p.After))))...); err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	return r.git(ctx, "rev-parse", "HEAD")
}

// checkIdentity is an error where git does not know who commits. What it would
// guess from the machine's name is no answer.
func (r *Repository) checkIdentity(ctx context.Context) error {
	for _, variable := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		_, err := r.git(ctx, "-c", "user.useConfigOnly=true", "var", variable)
		var failure *GitError
		switch {
		case errors.As(err, &failure) && ctx.Err() == nil:
			return errors.New(`git does not know who commits: set it with "git config user.name NAME" and "git config user.email ADDRESS"`)
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
	return r.run(ctx, gitRun{stdin: content, environment: inEnglish}, arguments...)
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

// gitRun is what a run of git gets beside arguments.
type gitRun struct {
	stdin       []byte
	environment []string
}

// inEnglish makes git's messages those that are looked for.
var inEnglish = []string{"LC_ALL=C", "LANGUAGE="}

// git runs git at the repository's top, and gives what it says without the final newline.
func (r *Repository) git(ctx context.Context, arguments ...string) (string, error) {
	return r.run(ctx, gitRun{environment: inEnglish}, arguments...)
}

// aroundGit are variables by which a hook of git tells git where it is.
var aroundGit = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}

// run runs git, which cannot ask for a password, and ends it, with what it
// started, when the context ends. It is asked to end first: its locks are to go.
func (r *Repository) run(ctx context.Context, what gitRun, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir = filepath.Clean(r.top)
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(aroundGit, name)
	})
	command.Env = append(append(command.Env, "GIT_TERMINAL_PROMPT=0"), what.environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	command.Stdin = bytes.NewReader(what.stdin)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	if err == nil {
		return strings.TrimSuffix(out.String(), "\n"), nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "", &GitError{subcommand(arguments), r.tail(out.String() + "\n" + said.String()), err}
}

// subcommand is what git was to do, behind its options.
func subcommand(arguments []string) string {
	for len(arguments) > 2 && arguments[0] == "-c" {
		arguments = arguments[2:]
	}
	return arguments[0]
}

const maxGitTail = 400 // bytes

// tail is the end of what git, a hook or a server said, on one line and without
// secrets.
func (r *Repository) tail(text string) string {
	for _, secret := range r.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	text = outside.Line(text)
	if over := len(text) - maxGitTail; over > 0 {
		text = "… " + strings.ToValidUTF8(text[over:], "")
	}
	return text
}
