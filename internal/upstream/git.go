package upstream

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/libresh/libre/internal/web"
)

// gitRepository is a repository at any host. Only its tags are known.
type gitRepository struct {
	client   *Client
	location string
}

func (g *gitRepository) Tags(ctx context.Context) (Tags, error) {
	return g.client.gitTags(ctx, g.location)
}

func (g *gitRepository) Release(context.Context, string) (*Release, error) { return nil, nil }

func (g *gitRepository) Links(string, string) Links { return Links{} }

// gitTags lists the tags of a repository. It uses HTTP itself, and the git program for other
// URLs.
func (c *Client) gitTags(ctx context.Context, location string) (Tags, error) {
	place, err := url.Parse(location)
	user, _, _, _ := scpAddress(location)
	switch {
	case err == nil && (place.Scheme == "https" || place.Scheme == "http") && place.Host != "":
		tags, err := c.smartTags(ctx, place)
		if errors.Is(err, ErrNotFound) && !c.HasLogin(location) { // git may have a login
			ctx, cancel := bounded(ctx, c.deadline)
			defer cancel()
			if known, missing := gitLsRemote(ctx, location, "http:https"); missing == nil {
				return Tags{All: known}, nil
			}
		}
		if err != nil {
			return Tags{}, explain("listing the tags of "+place.Redacted(), err)
		}
		return tags, nil
	case err == nil && (place.Scheme == "ssh" || place.Scheme == "file" || place.Scheme == "git"),
		strings.HasPrefix(location, "/"), user != "":
		ctx, cancel := bounded(ctx, c.deadline)
		defer cancel()
		tags, err := gitLsRemote(ctx, location, "file:git:ssh")
		err = cause(ctx, err)
		if err != nil {
			return Tags{}, fmt.Errorf("listing the tags of %s: %w", redacted(location), err)
		}
		return Tags{All: tags}, nil
	}
	return Tags{}, fmt.Errorf("listing the tags of %s: expected an https, ssh or file URL, or an absolute path", redacted(location))
}

// smartTags sends ls-refs without first reading the server's advertisement. This saves one of
// two requests, unless the server refuses.
// https://git-scm.com/docs/protocol-v2#_http_transport
func (c *Client) smartTags(ctx context.Context, repository *url.URL) (Tags, error) {
	repository = trimmed(repository)
	tags, err := c.askRefs(ctx, repository, "")
	var declined *declinedError
	if !errors.As(err, &declined) {
		return Tags{All: tags}, err
	}
	// The repository was renamed, or the server has protocol version 0 or another object format:
	// ask as git does.
	ad, place, err := c.discover(ctx, repository)
	if err != nil {
		return Tags{}, err
	}
	tags = ad.tags
	if ad.lsRefs {
		if tags, err = c.askRefs(ctx, place, ad.objectFormat); err != nil {
			return Tags{}, err
		}
	}
	found := Tags{All: tags}
	if bare(place) != bare(repository) {
		found.MovedTo = strings.TrimSuffix(place.Redacted(), ".git")
	}
	return found, nil
}

// declinedError means that a server does not answer ls-refs correctly. Another kind of request
// may work.
type declinedError struct{ error }

func (c *Client) askRefs(ctx context.Context, repository *url.URL, objectFormat string) ([]Tag, error) {
	request, err := http.NewRequestWithContext(web.Repeatable(ctx), http.MethodPost,
		below(repository, "git-upload-pack").String(), strings.NewReader(lsRefs(objectFormat)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	request.Header.Set("Accept", "application/x-git-upload-pack-result")
	response, err := c.doGit(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		return nil, c.refusal(repository, status, "")
	case status != http.StatusOK || !isType(response, "application/x-git-upload-pack-result"):
		return nil, &declinedError{fmt.Errorf("%s answers %s to git", repository.Host, response.Status)}
	}
	tags, err := readRefs(response.Body)
	if err != nil && ctx.Err() == nil {
		return nil, &declinedError{err}
	}
	return tags, err
}

// discover reads a server's advertisement. It also returns the advertisement's URL, after
// redirects.
func (c *Client) discover(ctx context.Context, repository *url.URL) (advertisement, *url.URL, error) {
	where := below(repository, "info/refs")
	where.RawQuery = "service=git-upload-pack"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return advertisement{}, nil, err
	}
	response, err := c.doGit(request)
	if err != nil {
		return advertisement{}, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return advertisement{}, nil, c.refusal(repository, response.StatusCode, "")
	}
	base, found := strings.CutSuffix(response.Request.URL.Path, "/info/refs")
	if !found || !isType(response, "application/x-git-upload-pack-advertisement") {
		return advertisement{}, nil, fmt.Errorf("%s does not use git's smart protocol there", response.Request.URL.Host)
	}
	ad, err := readAdvertisement(response.Body)
	if err != nil {
		return advertisement{}, nil, err
	}
	place := *response.Request.URL
	place.Path, place.RawPath, place.RawQuery = base, "", ""
	return ad, &place, nil
}

func (c *Client) doGit(request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", "git/"+userAgent) // some forges answer browsers and git differently
	request.Header.Set("Git-Protocol", "version=2")
	return c.http.Do(request)
}

func isType(response *http.Response, wanted string) bool {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return kind == wanted
}

// trimmed returns a repository's URL without trailing slashes.
func trimmed(repository *url.URL) *url.URL {
	base := *repository
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), ""
	return &base
}

// bare returns the part of a repository's URL that all its spellings have in common.
func bare(repository *url.URL) string {
	return strings.TrimSuffix(originOf(repository)+trimmed(repository).Path, ".git")
}
