package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
)

// HasLogin reports whether there is a login for a URL.
func (c *Client) HasLogin(location string) bool {
	place, err := url.Parse(location)
	if err != nil {
		return false
	}
	_, found := c.tokens.forURL(place)
	return found
}

// Hint returns advice on how to log in to a URL's host, for a user who is not logged in, or ""
// for no URL.
func (c *Client) Hint(location string) string {
	place, err := url.Parse(location)
	if err != nil || place.Host == "" {
		return ""
	}
	return c.hint(place)
}

// CheckSource checks that a source of kind github, git or url exists: at its location or, if
// archive is not "", at that address.
func (c *Client) CheckSource(ctx context.Context, kind, location, archive string) error {
	if kind == "url" {
		archive = location
	}
	if archive != "" {
		body, err := c.Get(ctx, archive)
		if err == nil {
			err = body.Close() // only the status matters
		}
		return err
	}
	finder, err := c.Open(Source{Kind: kind, Location: location})
	if err == nil {
		_, err = finder.Tags(ctx)
	}
	return err
}

// Archive fetches a source archive from a forge, and hashes it while reading.
func (c *Client) Archive(ctx context.Context, location string) (*Archive, error) {
	body, err := c.Get(ctx, location)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	archive, err := HashArchive(body, c.limits)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", redacted(location), err)
	}
	return archive, nil
}

// Unpack fetches an archive into a new folder, and returns its hash.
func (c *Client) Unpack(ctx context.Context, location, dir string) (hash string, err error) {
	archive, err := c.Archive(ctx, location)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	return archive.Hash, os.CopyFS(dir, archive)
}

// Download fetches a file to a new path. It has the size limit of archives.
func (c *Client) Download(ctx context.Context, location, path string) error {
	body, err := c.Get(ctx, location)
	if err != nil {
		return err
	}
	defer body.Close()
	into, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(into, &limitedReader{body, c.limits.Bytes, c.limits.Bytes})
	if err := errors.Join(err, into.Close()); err != nil {
		return explain("fetching "+redacted(location), err)
	}
	return nil
}

// Get returns the content at a URL in a definition.
func (c *Client) Get(ctx context.Context, location string) (io.ReadCloser, error) {
	doing := "fetching " + redacted(location)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, explain(doing, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explain(doing, err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %w", doing, c.refusal(request.URL, response.StatusCode, ""))
	}
	if isType(response, "text/html") && response.Request.URL.Path != request.URL.Path { // GitLab's login form
		response.Body.Close()
		return nil, fmt.Errorf("%s: %w", doing, c.refusal(request.URL, http.StatusNotFound, ""))
	}
	return response.Body, nil
}

// Mirror makes a bare repository in an empty folder. It has the given commits with their
// history. Each is a branch with the commit's name.
func (c *Client) Mirror(ctx context.Context, location string, commits []string, dir string) error {
	ctx, cancel := bounded(ctx, c.deadline)
	defer cancel()
	arguments := []string{"--", location}
	for _, commit := range commits {
		arguments = append(arguments, "+"+commit+":refs/heads/"+commit)
	}
	err := gitInto(ctx, io.Discard, "init", "--quiet", "--bare", "--initial-branch="+commits[0], dir)
	if err == nil {
		err = writesAtMost(ctx, dir, c.limits.Bytes, func(ctx context.Context) error {
			return c.gitFetch(ctx, dir, location, arguments...)
		})
	}
	if err != nil {
		return fmt.Errorf("fetching %s of %s: %w", commits[0], redacted(location), cause(ctx, err))
	}
	return nil
}

// gitFetch runs git fetch in a bare repository, with the login for its URL if there is one.
func (c *Client) gitFetch(ctx context.Context, dir, location string, arguments ...string) error {
	command := git.Command{Output: io.Discard}
	place, err := url.Parse(location)
	if err != nil {
		place = &url.URL{} // git's short form of an address for ssh
	}
	if password, given := place.User.Password(); given {
		command.Secrets = append(command.Secrets, password)
	}
	arguments = append([]string{"-C", dir, "fetch", "--quiet"}, arguments...)
	token, found := c.tokens.forURL(place)
	if found {
		command.Secrets = append(command.Secrets, token.token)
		command.Environment = git.Login(place, token.login(), token.token)
	}
	_, err = fromGit(ctx, command, anyTransport, arguments...)
	if found && isHidden(err) { // some servers do not ask for a login
		basic := base64.StdEncoding.EncodeToString([]byte(token.login() + ":" + token.token))
		command.Secrets = append(command.Secrets, basic)
		command.Environment = git.Settings(git.Setting{Key: "http." + originOf(place) + "/.extraHeader", Value: "Authorization: Basic " + basic})
		_, err = fromGit(ctx, command, anyTransport, arguments...)
	}
	switch overHTTP := place.Scheme == "http" || place.Scheme == "https"; {
	case !overHTTP || !isHidden(err):
		return err
	case found:
		return &fault.Fault{Kind: fault.Credentials, Err: fmt.Errorf("%w, or private to the token of %s: check its expiry and its rights", ErrNotFound, token.from)}
	}
	return fmt.Errorf("%w, or private: %s", ErrNotFound, c.hint(place))
}

// isHidden reports whether the server did not show git the repository.
func isHidden(err error) bool {
	var failure *git.Error
	return errors.As(err, &failure) && git.IsHidden(failure.Tail)
}
