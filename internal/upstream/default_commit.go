package upstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/git"
)

// DefaultCommit returns the newest commit of a repository's default branch.
func (c *Client) DefaultCommit(ctx context.Context, location string) (string, error) {
	ctx, cancel := bounded(ctx, c.deadline)
	defer cancel()
	out, err := fromGit(ctx, git.Command{}, anyTransport, "ls-remote", "--", location, "HEAD")
	if err != nil {
		return "", fmt.Errorf("looking for the newest commit of %s: %w", redacted(location), cause(ctx, err))
	}
	commit, _, _ := strings.Cut(out, "\t")
	if !commitID().MatchString(commit) {
		return "", fmt.Errorf("%s has no commit", redacted(location))
	}
	return commit, nil
}
