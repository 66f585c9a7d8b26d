package upstream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// GitArchive fetches one commit of a repository that no forge packs, and hashes its
// tree: as it is, whatever its attributes ask git to leave out or write into archives.
func (c *Client) GitArchive(ctx context.Context, location, commit string) (*Archive, error) {
	doing := "fetching " + commit + " of " + redacted(location)
	ctx, cancel := bounded(ctx, c.deadline)
	defer cancel()
	if !commitID.MatchString(commit) {
		return nil, fmt.Errorf("%s: expected a commit", doing)
	}
	dir, err := os.MkdirTemp("", "libre-git-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer os.RemoveAll(dir)
	packed := filepath.Join(dir, "source.tar")
	run := func(arguments ...string) error {
		_, err := fromGit(ctx, "file:git:ssh:http:https", arguments...)
		return cause(ctx, err)
	}
	err = run("init", "--quiet", "--bare", dir)
	if err == nil {
		err = run("-C", dir, "fetch", "--quiet", "--depth=1", "--", location, commit)
	}
	if err == nil {
		// The last word on attributes. https://git-scm.com/docs/gitattributes
		err = os.WriteFile(filepath.Join(dir, "info", "attributes"), []byte("* -export-ignore -export-subst\n"), 0o644)
	}
	if err == nil {
		err = run("-C", dir, "archive", "--format=tar", "--prefix=source/", "--output="+packed, commit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	tree, err := os.Open(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer tree.Close()
	archive, err := HashArchive(tree, c.limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	archive.Lacks, archive.ExportSubst = nil, nil // Nix fetches it with git, too
	return archive, nil
}
