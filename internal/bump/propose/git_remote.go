package propose

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/lazyregexp"
)

// remote is the remote that proposals are pushed to. git clone names it "origin".
const remote = "origin"

// remoteURL returns the address to which a catalogue's repository is pushed.
func (r *Repository) remoteURL(ctx context.Context) (string, error) {
	location, err := r.git(ctx, "remote", "get-url", "--push", remote)
	if err != nil {
		return "", fmt.Errorf("the repository has no remote origin to propose to: git remote add origin URL (%w)", err)
	}
	return location, nil
}

// authorise gives git a token for the remote, in case it has no credential of its own.
func (r *Repository) authorise(location string, token func(*url.URL) string) {
	place, err := url.Parse(location)
	if err != nil || place.Scheme != "https" && place.Scheme != "http" {
		return
	}
	if password, found := place.User.Password(); found {
		r.secrets = append(r.secrets, password)
	}
	secret := token(place)
	if secret == "" {
		return
	}
	r.secrets = append(r.secrets, secret)
	r.extra = git.Login(place, "x-access-token", secret)
}

// runRemote runs a git command that contacts the remote.
func (r *Repository) runRemote(ctx context.Context, arguments ...string) (string, error) {
	out, err := r.run(ctx, git.Command{Environment: r.extra}, arguments...)
	var failure *git.Error
	if errors.As(err, &failure) && git.IsPushRefused(failure.Tail) {
		return "", &fault.Fault{Kind: fault.Credentials, Err: fmt.Errorf("%w: the token or key needs the right to push", err)}
	}
	return out, err
}

// branches are the remote's branches, by name, with their commits.
type branches struct {
	usual   string // the target of HEAD, "" if unknown
	commits map[string]string
}

func (r *Repository) remoteBranches(ctx context.Context) (branches, error) {
	out, err := r.runRemote(ctx, "ls-remote", "--symref", remote, "HEAD", "refs/heads/*")
	if err != nil {
		return branches{}, fmt.Errorf("listing the branches of origin: %w", err)
	}
	found := branches{commits: map[string]string{}}
	for line := range strings.SplitSeq(out, "\n") {
		object, reference, _ := strings.Cut(line, "\t")
		if branch, isHead := strings.CutPrefix(reference, "refs/heads/"); isHead {
			found.commits[branch] = object
		} else if target, isLink := strings.CutPrefix(object, "ref: refs/heads/"); isLink && reference == "HEAD" {
			found.usual = target
		}
	}
	return found, nil
}

// fetch fetches the commits of branches. It changes neither local references nor FETCH_HEAD.
func (r *Repository) fetch(ctx context.Context, names []string) error {
	arguments := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules",
		"--no-auto-maintenance", remote}
	for _, name := range names {
		arguments = append(arguments, "refs/heads/"+name)
	}
	if _, err := r.runRemote(ctx, arguments...); err != nil {
		return fmt.Errorf("fetching from origin: %w", err)
	}
	return nil
}

// push sets a branch of the remote to a commit, or deletes it if commit is "". The branch must
// still be at was: a commit, or "" if there is no such branch.
func (r *Repository) push(ctx context.Context, branch, was, commit string) error {
	reference := "refs/heads/" + branch
	_, err := r.runRemote(ctx, "push", "--quiet", "--no-follow-tags", "--recurse-submodules=no",
		"--force-with-lease="+reference+":"+was, remote, commit+":"+reference)
	var failure *git.Error
	if errors.As(err, &failure) && strings.Contains(failure.Tail, "stale info") {
		return fmt.Errorf("pushing %s: somebody pushed to it in the meantime: run the same command again", branch)
	}
	if err != nil {
		return fmt.Errorf("pushing %s: %w", branch, err)
	}
	return nil
}

// StaleError means that the target branch and the catalogue have different versions of a file.
type StaleError struct {
	File, Branch string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("%s differs from %s of origin: commit and push, or git pull, then run the same command again", e.File, e.Branch)
}

// tree writes the tree of a commit with the files of a proposal, without using the index or the
// working tree. If the commit has other content than the proposal expects, the error is a
// *StaleError without a branch.
func (r *Repository) tree(ctx context.Context, commit string, p *Proposal) (string, error) {
	entries, err := r.entries(ctx, commit, slices.Collect(maps.Keys(p.After)))
	if err != nil {
		return "", err
	}
	var changed, deleted []string
	for _, name := range slices.Sorted(maps.Keys(p.After)) {
		now := entries[name]
		before, err := r.blob(ctx, name, p.Before[name], false)
		if err != nil {
			return "", err
		}
		after, err := r.blob(ctx, name, p.After[name], true)
		if err != nil {
			return "", err
		}
		if now.object != before && now.object != after {
			return "", &StaleError{File: name}
		}
		switch mode := cmp.Or(now.mode, "100644"); {
		case mode != "100644" && mode != "100755":
			return "", fmt.Errorf("%s is not a regular file", name)
		case after == "":
			deleted = append(deleted, r.prefix+name)
		default:
			changed = append(changed, "--cacheinfo", mode+","+after+","+r.prefix+name)
		}
	}
	dir, err := os.MkdirTemp("", "libre-index-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	own := git.Command{Environment: []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}}
	if _, err := r.run(ctx, own, "read-tree", commit); err != nil {
		return "", err
	}
	// Unlike --index-info, this refuses names that git does not allow in a tree.
	arguments := slices.Concat([]string{"update-index", "--add"}, changed, []string{"--force-remove", "--"}, deleted)
	if _, err := r.run(ctx, own, arguments...); err != nil {
		return "", err
	}
	return r.run(ctx, own, "write-tree")
}

// commitTree makes a commit that is on no branch yet.
func (r *Repository) commitTree(ctx context.Context, tree, parent, message string) (string, error) {
	if err := r.checkIdentity(ctx); err != nil {
		return "", err
	}
	arguments := []string{"commit-tree", tree, "-p", parent, "-F", "-"}
	if signs, err := r.git(ctx, "config", "--type=bool", "commit.gpgSign"); err == nil && signs == "true" {
		arguments = append(arguments, "-S") // commit-tree does not read it
	}
	message += "\n" + changeTrailer + ": " + changeID(tree, parent) + "\n"
	return r.run(ctx, git.Command{Stdin: []byte(message)}, arguments...)
}

// changeTrailer is the name of the trailer that marks a commit as libre's and unchanged: its
// value covers the tree and parent. After somebody amends, rebases or adds commits, the branch
// is no longer libre's.
const changeTrailer = "Libre-Change"

func changeID(tree, parent string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(tree+" "+parent)))[:40]
}

var changeLine = lazyregexp.New(`(?m)^` + changeTrailer + `: ([0-9a-f]{40})$`)

// proposed is the commit at the end of a branch that libre made.
type proposed struct {
	tree, parent string
	ours         bool // libre made it, and the branch has no commits of others, neither on top nor below
}

func (r *Repository) proposed(ctx context.Context, commit string) (proposed, error) {
	content, err := r.git(ctx, "cat-file", "commit", commit)
	if err != nil {
		return proposed{}, err
	}
	header, message, _ := strings.Cut(content, "\n\n")
	var p proposed
	parents := 0
	for line := range strings.SplitSeq(header, "\n") {
		switch key, value, _ := strings.Cut(line, " "); key {
		case "tree":
			p.tree = value
		case "parent":
			p.parent = value
			parents++
		}
	}
	trailers := changeLine().FindAllStringSubmatch(message, -1)
	p.ours = parents == 1 && len(trailers) > 0 && trailers[len(trailers)-1][1] == changeID(p.tree, p.parent)
	return p, nil
}

// contains reports whether a commit is an ancestor of another one, or the same.
func (r *Repository) contains(ctx context.Context, commit, part string) bool {
	_, err := r.git(ctx, "merge-base", "--is-ancestor", part, commit)
	return err == nil
}
