package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// gitlabRepository is a project of GitLab.
// https://docs.gitlab.com/api/releases/
type gitlabRepository struct {
	client    *Client
	remote    string   // for git
	page, api *url.URL // of the project
	releases  releaseList
}

func (c *Client) openGitLab(location string) (*gitlabRepository, error) {
	hosting, err := HostingOf(location, "gitlab", c.getenv)
	if err != nil {
		return nil, fmt.Errorf("gitlab source %s, expected https://HOST/GROUP/PROJECT", redacted(location))
	}
	remote := strings.TrimSuffix(strings.TrimRight(location, "/"), ".git") + ".git"
	g := &gitlabRepository{client: c, remote: remote, page: below(hosting.Server, hosting.String())}
	g.api = below(hosting.Server, "api/v4/projects/"+hosting.String())
	g.api.RawPath = below(hosting.Server, "api/v4/projects/").Path + url.PathEscape(hosting.String()) // the slashes too
	g.releases = releaseList{page: g.listReleases, one: g.releaseByTag}
	return g, nil
}

func (g *gitlabRepository) Tags(ctx context.Context) (Tags, error) {
	return g.client.gitTags(ctx, g.remote)
}

func (g *gitlabRepository) Release(ctx context.Context, tag string) (*Release, error) {
	release, err := g.releases.find(ctx, tag)
	if err != nil {
		return nil, explain("listing the releases of "+g.page.String(), err)
	}
	return release, nil
}

// Links returns no archive, because git fetches the source, with the same login as the tags.
func (g *gitlabRepository) Links(from, to string) Links {
	return Links{Release: g.releasePage(to), Compare: join(g.page, "-/compare/", from+"..."+to)}
}

func (g *gitlabRepository) releasePage(tag string) string {
	return g.page.String() + "/-/releases/" + escaped(tag)
}

// gitlabRelease has the fields of a release that libre uses. GitLab has no prereleases and
// no drafts. An upcoming release is announced for a date in the future.
type gitlabRelease struct {
	TagName     string    `json:"tag_name"`
	Description string    `json:"description"`
	ReleasedAt  time.Time `json:"released_at"`
	Upcoming    bool      `json:"upcoming_release"`
}

func (g *gitlabRepository) release(r *gitlabRelease) Release {
	found := Release{Tag: r.TagName, Date: r.ReleasedAt, Notes: r.Description, Page: g.releasePage(r.TagName)}
	if r.Upcoming {
		found.Reason = "announced for " + r.ReleasedAt.UTC().Format(time.DateOnly)
	}
	return found
}

// listReleases reads one page, the newest first.
func (g *gitlabRepository) listReleases(ctx context.Context, number int) ([]Release, bool, error) {
	where := g.api.String() + "/releases?" + url.Values{"page": {strconv.Itoa(number)}, "per_page": {strconv.Itoa(releasesPerPage)}}.Encode()
	var page []gitlabRelease
	response, err := g.client.readAPI(ctx, g.api, where, &page)
	if err != nil {
		return nil, false, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, false, g.client.refusal(g.api, response.StatusCode, "")
	}
	found := make([]Release, len(page))
	for i, release := range page {
		found[i] = g.release(&release)
	}
	return found, hasNext(response), nil
}

// releaseByTag returns the release of a tag. It runs after the list was read, so 403 means that
// there is no such release: older versions answer 403 instead of 404.
func (g *gitlabRepository) releaseByTag(ctx context.Context, tag string) (*Release, error) {
	var release gitlabRelease
	response, err := g.client.readAPI(ctx, g.api, g.api.String()+"/releases/"+escaped(tag), &release)
	switch {
	case err != nil || response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusForbidden:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, g.client.refusal(g.api, response.StatusCode, "")
	}
	found := g.release(&release)
	return &found, nil
}
