package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// forgejoRepository is a repository of Forgejo or Gitea. Both have the same API for what
// libre uses. https://codeberg.org/api/swagger#/repository/repoListReleases
type forgejoRepository struct {
	client    *Client
	page, api *url.URL // of the repository
	releases  releaseList
}

func (c *Client) openForgejo(location string) (*forgejoRepository, error) {
	place, err := url.Parse(strings.TrimSuffix(strings.TrimRight(location, "/"), ".git"))
	if err != nil || place.Host == "" || place.Scheme != "https" && place.Scheme != "http" {
		return nil, fmt.Errorf("forgejo source %s, expected https://HOST/OWNER/REPO", redacted(location))
	}
	repo, owner := path.Base(place.Path), path.Base(path.Dir(place.Path))
	if owner == "/" || owner == "." {
		return nil, fmt.Errorf("forgejo source %s, expected https://HOST/OWNER/REPO", redacted(location))
	}
	server := *place
	server.Path = strings.TrimSuffix(place.Path, "/"+owner+"/"+repo)
	f := &forgejoRepository{client: c, page: place, api: below(&server, "api/v1/repos/"+owner+"/"+repo)}
	f.releases = releaseList{page: f.listReleases, one: f.releaseByTag}
	return f, nil
}

func (f *forgejoRepository) Tags(ctx context.Context) (Tags, error) {
	return f.client.gitTags(ctx, f.page.String()+".git")
}

func (f *forgejoRepository) Release(ctx context.Context, tag string) (*Release, error) {
	release, err := f.releases.find(ctx, tag)
	if err != nil {
		return nil, explain("listing the releases of "+f.page.Redacted(), err)
	}
	return release, nil
}

// Links returns URLs for people and logs. They have no user name, unlike the source's URL.
func (f *forgejoRepository) Links(from, to string) Links {
	page := *f.page
	page.User = nil
	return forgeLinks(&page, from, to)
}

// forgejoRelease has the fields of the API's type Release that libre uses.
type forgejoRelease struct {
	TagName     string    `json:"tag_name"`
	Body        string    `json:"body"`
	Draft       bool      `json:"draft"`
	Prerelease  bool      `json:"prerelease"`
	PublishedAt time.Time `json:"published_at"`
	HTMLURL     string    `json:"html_url"`
}

func (r *forgejoRelease) release() Release {
	return Release{Tag: r.TagName, Date: r.PublishedAt, Draft: r.Draft, Prerelease: r.Prerelease,
		Notes: r.Body, Page: r.HTMLURL}
}

// listReleases reads one page. The server decides its length.
func (f *forgejoRepository) listReleases(ctx context.Context, number int) ([]Release, bool, error) {
	where := f.api.String() + "/releases?" + url.Values{"page": {strconv.Itoa(number)}, "limit": {"50"}}.Encode()
	var page []forgejoRelease
	response, err := f.client.readAPI(ctx, f.api, where, &page)
	if err != nil {
		return nil, false, err
	}
	if status := response.StatusCode; status == http.StatusNotFound || status == http.StatusForbidden {
		if none, err := f.hasNoReleases(ctx); none || err != nil {
			return nil, false, err
		}
	}
	if response.StatusCode != http.StatusOK {
		return nil, false, f.client.refusal(f.api, response.StatusCode, "")
	}
	found := make([]Release, len(page))
	for i, release := range page {
		found[i] = release.release()
	}
	return found, hasNext(response), nil
}

// hasNoReleases reports whether the project has switched releases off: it has tags only. Then
// the list of releases is answered as if there were no such repository.
func (f *forgejoRepository) hasNoReleases(ctx context.Context) (bool, error) {
	var repository struct {
		HasReleases *bool `json:"has_releases"`
	}
	response, err := f.client.readAPI(ctx, f.api, f.api.String(), &repository)
	if err != nil || response.StatusCode != http.StatusOK {
		return false, err
	}
	return repository.HasReleases != nil && !*repository.HasReleases, nil
}

func (f *forgejoRepository) releaseByTag(ctx context.Context, tag string) (*Release, error) {
	var release forgejoRelease
	response, err := f.client.readAPI(ctx, f.api, join(f.api, "releases/tags/", tag), &release)
	switch {
	case err != nil || response.StatusCode == http.StatusNotFound:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, f.client.refusal(f.api, response.StatusCode, "")
	}
	found := release.release()
	return &found, nil
}
