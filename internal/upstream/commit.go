package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
)

// UnreachableError means that no branch and no tag of a repository leads to a commit. Forges
// also serve the commits of forks at the address of the original repository.
type UnreachableError struct {
	Commit     string
	Repository string // URL, without a password
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no branch and no tag of %s leads to commit %s", e.Repository, e.Commit)
}

// RepositoryOf returns the URL of a source's git repository, as git and browsers use it, or ""
// if the source does not name one.
func (c *Client) RepositoryOf(source Source) string {
	switch source.Kind {
	case "github":
		return below(c.endpoints.server, source.Location).String()
	case "git":
		return source.Location
	case "goModule":
		if parts := strings.Split(source.Location, "/"); len(parts) >= 3 && strings.Contains(moduleForges, " "+parts[0]+" ") {
			return "https://" + path.Join(parts[:3]...)
		}
	}
	return ""
}

// moduleForges are the hosts on which the first three parts of a module's path are its
// repository. https://go.dev/ref/mod#vcs-find
const moduleForges = " github.com bitbucket.org codeberg.org gitlab.com "

var commitPrefix = lazyregexp.New(`\A[0-9a-f]{4,40}\z`)

// Commit finds the commit of a repository whose ID begins with digits, at least four
// hexadecimal digits, if a branch or a tag leads to it. It returns the commit's ID and its
// change to the first parent as git format-patch writes it, without renames. most is the
// largest size of the patch in bytes. If there is no such commit, the error is an
// *UnreachableError.
func (c *Client) Commit(ctx context.Context, location, digits string, most int) (id string, patch []byte, err error) {
	doing := "fetching commit " + digits + " of " + redacted(location)
	if !commitPrefix().MatchString(digits) {
		return "", nil, fmt.Errorf("%s: expected 4 to 40 hexadecimal digits in lower case", doing)
	}
	ctx, cancel := bounded(ctx, c.deadline)
	defer cancel()
	dir, err := os.MkdirTemp("", "libre-git-")
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer os.RemoveAll(dir)
	err = writesAtMost(ctx, dir, c.limits.Bytes, func(ctx context.Context) error {
		if id, err = c.reachable(ctx, filepath.Join(dir, "history"), location, digits); err == nil {
			patch, err = c.commitPatch(ctx, filepath.Join(dir, "commit"), location, id, most)
		}
		return err
	})
	var unreachable *UnreachableError
	switch {
	case errors.As(err, &unreachable):
		return "", nil, err
	case err != nil:
		return "", nil, fmt.Errorf("%s: %w", doing, cause(ctx, err))
	}
	return id, patch, nil
}

// reachable returns the complete ID of a commit that a branch or a tag of a repository leads
// to. It fetches only commits, if the server can leave out the rest.
func (c *Client) reachable(ctx context.Context, dir, location, digits string) (string, error) {
	if err := gitInto(ctx, io.Discard, "init", "--quiet", "--bare", dir); err != nil {
		return "", err
	}
	err := c.gitFetch(ctx, dir, location, "--filter=tree:0", "--no-tags", "--", location, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
	if err != nil {
		return "", err
	}
	found := &commitFinder{digits: []byte(digits)}
	if err := gitInto(ctx, found, "-C", dir, "rev-list", "--branches", "--tags"); err != nil {
		return "", err
	}
	switch len(found.ids) {
	case 0:
		return "", &UnreachableError{digits, redacted(location)}
	case 1:
		return found.ids[0], nil
	}
	return "", fmt.Errorf("%s and %s begin with it: give more digits", found.ids[0], found.ids[1])
}

// commitFinder stores the first two lines that begin with some digits.
type commitFinder struct {
	digits, rest []byte
	ids          []string
}

func (f *commitFinder) Write(output []byte) (int, error) {
	f.rest = append(f.rest, output...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return len(output), nil
		}
		if bytes.HasPrefix(line, f.digits) && len(f.ids) < 2 {
			f.ids = append(f.ids, string(line))
		}
		f.rest = rest
	}
}

// commitPatch fetches a commit with its parents, and writes the change.
func (c *Client) commitPatch(ctx context.Context, dir, location, id string, most int) ([]byte, error) {
	if err := gitInto(ctx, io.Discard, "init", "--quiet", "--bare", dir); err != nil {
		return nil, err
	}
	if err := c.gitFetch(ctx, dir, location, "--depth=2", "--no-tags", "--", location, id); err != nil {
		return nil, err
	}
	patch := &process.Capture{Most: most}
	err := gitInto(ctx, patch, "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false", "-C", dir, "show", "--format=email", "--patch",
		"--diff-merges=first-parent", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--no-show-signature", "--no-notes", "--unified=3", id)
	if patch.Err() != nil {
		return nil, fmt.Errorf("its change has more than %d bytes", most)
	}
	return patch.Bytes(), err
}

// PageOf returns the address of a repository in a browser. location is a URL for git, or git's
// short form of an address. It returns "" for a repository on this machine.
func PageOf(location string) string {
	place, err := url.Parse(location)
	if _, host, folder, short := scpAddress(location); short {
		place, err = &url.URL{Scheme: "ssh", Host: host, Path: "/" + strings.TrimPrefix(folder, "/")}, nil
	}
	if err != nil || place.Host == "" {
		return ""
	}
	page := url.URL{Scheme: place.Scheme, Host: place.Host, Path: strings.TrimSuffix(strings.TrimRight(place.Path, "/"), ".git")}
	if page.Scheme != "http" && page.Scheme != "https" {
		page.Scheme, page.Host = "https", place.Hostname()
	}
	return page.String()
}

// CommitOf reads the address of a commit's page or patch in a repository, such as
// https://github.com/o/r/commit/abc.patch. It returns the digits of the commit's ID. inside
// reports whether the address is below the repository's.
func CommitOf(repository, address string) (digits string, inside bool) {
	base, err := url.Parse(PageOf(repository))
	place, err2 := url.Parse(address)
	if err != nil || err2 != nil || base.Host == "" || !strings.EqualFold(originOf(base), originOf(place)) {
		return "", false
	}
	folder := base.Path + "/"
	if len(place.Path) < len(folder) || !strings.EqualFold(place.Path[:len(folder)], folder) {
		return "", false
	}
	if found := commitPage().FindStringSubmatch(place.Path[len(folder):]); found != nil {
		return found[1], true
	}
	return "", true
}

// commitPage matches the end of a commit's address on GitHub, Forgejo and GitLab.
var commitPage = lazyregexp.New(`\A(?:-/)?commits?/([0-9a-f]{4,40})(?:\.patch|\.diff)?\z`)
