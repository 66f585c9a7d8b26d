package upstream

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/git"
)

// GitArchive fetches one commit of a repository that is not on a forge, and hashes its tree.
// The tree is complete and unchanged: attributes such as export-ignore have no effect.
func (c *Client) GitArchive(ctx context.Context, location, commit string) (*Archive, error) {
	doing := "fetching " + commit + " of " + redacted(location)
	ctx, cancel := bounded(ctx, c.deadline)
	defer cancel()
	if !commitID().MatchString(commit) {
		return nil, fmt.Errorf("%s: expected a commit", doing)
	}
	dir, err := os.MkdirTemp("", "libre-git-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer os.RemoveAll(dir)
	archive, err := c.gitArchive(ctx, dir, location, commit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, cause(ctx, err))
	}
	archive.Lacks, archive.ExportSubst = nil, nil // Nix also fetches it with git
	return archive, nil
}

func (c *Client) gitArchive(ctx context.Context, dir, location, commit string) (*Archive, error) {
	if err := gitInto(ctx, io.Discard, "init", "--quiet", "--bare", dir); err != nil {
		return nil, err
	}
	err := writesAtMost(ctx, dir, c.limits.Bytes, func(ctx context.Context) error {
		return c.gitFetch(ctx, dir, location, "--depth=1", "--", location, commit)
	})
	if err != nil {
		return nil, err
	}
	// This file overrides the repository's attributes.
	// https://git-scm.com/docs/gitattributes
	if err := os.WriteFile(filepath.Join(dir, "info", "attributes"), []byte("* -export-ignore -export-subst\n"), 0o644); err != nil {
		return nil, err
	}
	tree, packed := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packed.CloseWithError(gitInto(ctx, packed, "-C", dir, "archive", "--format=tar", "--prefix=source/", commit))
	}()
	defer func() { tree.Close(); <-ended }()
	return HashArchive(tree, c.limits)
}

// gitInto is like fromGit for a command that writes its output elsewhere.
func gitInto(ctx context.Context, output io.Writer, arguments ...string) error {
	_, err := fromGit(ctx, git.Command{Output: output}, anyTransport, arguments...)
	return err
}

// writesAtMost ends a program as soon as it has written more than limit bytes to a folder.
func writesAtMost(ctx context.Context, dir string, limit int64, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		for ctx.Err() == nil {
			select {
			case <-look.C:
				if file.Size(os.DirFS(dir), ".") > limit {
					cancel(errTooLarge(limit))
				}
			case <-ctx.Done():
			}
		}
	}()
	err := cause(ctx, run(ctx))
	cancel(nil)
	<-watched
	if err == nil && file.Size(os.DirFS(dir), ".") > limit {
		err = errTooLarge(limit)
	}
	return err
}
