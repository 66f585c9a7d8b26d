package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/libresh/libre/internal/lazyregexp"
)

const releasesPerPage = 100 // the maximum of GitHub and GitLab

// githubRepository is a repository of GitHub or of an Enterprise server.
type githubRepository struct {
	client      *Client
	owner, repo string
	page        *url.URL
	releases    releaseList
}

// uncounted hides the time of the quota's renewal from go-github. Otherwise go-github refuses
// requests itself when the quota is used up, and web.Transport cannot wait.
type uncounted struct{ inner http.RoundTripper }

func (u uncounted) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := u.inner.RoundTrip(request)
	if err == nil {
		response.Header.Del("X-RateLimit-Reset")
	}
	return response, err
}

// githubName is OWNER/REPO as GitHub allows it.
var githubName = lazyregexp.New(`^[0-9A-Za-z-]+(?:_[0-9A-Za-z]+)?/[0-9A-Za-z._-]+$`)

func (c *Client) openGitHub(location string) (*githubRepository, error) {
	owner, repo, _ := strings.Cut(location, "/")
	if !githubName().MatchString(location) || repo == "." || repo == ".." {
		return nil, fmt.Errorf("github source %q, expected OWNER/REPO", location)
	}
	g := &githubRepository{client: c, owner: owner, repo: repo, page: below(c.endpoints.server, location)}
	g.releases = releaseList{page: g.listReleases, one: g.releaseByTag}
	if known := c.overview(location); known != nil {
		g.releases.add(known.releases...)
	}
	return g, nil
}

// Tags lists tags with git, unless Prefetch shows that nothing changed.
func (g *githubRepository) Tags(ctx context.Context) (Tags, error) {
	location := g.owner + "/" + g.repo
	if known := g.client.overview(location); known != nil {
		if tags, whole := known.whole(g.client.keptTags(location)); whole {
			return Tags{All: tags, MovedTo: known.movedTo}, nil
		}
	}
	repository := *g.page
	repository.Path += ".git"
	tags, err := g.client.gitTags(ctx, repository.String())
	if err == nil {
		g.client.keepTags(location, tags.All)
	}
	return tags, err
}

func (g *githubRepository) Release(ctx context.Context, tag string) (*Release, error) {
	release, err := g.releases.find(ctx, tag)
	if err != nil {
		return nil, g.explain("listing the releases of "+g.owner+"/"+g.repo, err)
	}
	return release, nil
}

// Links uses the tag's full name if a branch may have the same short name.
func (g *githubRepository) Links(from, to string) Links { return forgeLinks(g.page, from, to) }

func (g *githubRepository) listReleases(ctx context.Context, number int) ([]Release, bool, error) {
	page, response, err := g.client.github.Repositories.ListReleases(ctx, g.owner, g.repo,
		&github.ListOptions{Page: number, PerPage: releasesPerPage})
	if err != nil {
		return nil, false, err
	}
	found := make([]Release, len(page))
	for i, release := range page {
		found[i] = ofGitHub(release)
	}
	return found, response.NextPage > number, nil
}

func (g *githubRepository) releaseByTag(ctx context.Context, tag string) (*Release, error) {
	// go-github does not escape path segments.
	release, response, err := g.client.github.Repositories.GetReleaseByTag(ctx, g.owner, g.repo, escaped(tag))
	if response != nil && response.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := ofGitHub(release)
	return &found, nil
}

func ofGitHub(release *github.RepositoryRelease) Release {
	date := release.GetPublishedAt()
	if date.IsZero() { // a draft
		date = release.GetCreatedAt()
	}
	return Release{
		Tag:        release.GetTagName(),
		Date:       date.Time,
		Draft:      release.GetDraft(),
		Prerelease: release.GetPrerelease(),
		Notes:      release.GetBody(),
		Page:       release.GetHTMLURL(),
	}
}

func (g *githubRepository) explain(doing string, err error) error {
	var failure *github.ErrorResponse
	if errors.As(err, &failure) {
		err = g.client.refusal(g.client.endpoints.api, failure.Response.StatusCode, failure.Message)
	}
	return explain(doing, err)
}

// forgeLinks returns the addresses that GitHub and Forgejo have in common.
func forgeLinks(page *url.URL, from, to string) Links {
	return Links{
		Release: join(page, "releases/tag/", to),
		Compare: join(page, "compare/", from+"..."+to),
		Archive: join(page, "archive/refs/tags/", to+".tar.gz"),
	}
}

// join appends a name from outside to a URL's path. Slashes in the name stay.
func join(page *url.URL, path, name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = escaped(part)
	}
	return page.String() + "/" + path + strings.Join(parts, "/")
}

// escaped returns one path segment. It also escapes dots, which a client would read as folders.
func escaped(part string) string {
	if part == "." || part == ".." {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	return url.PathEscape(part)
}
