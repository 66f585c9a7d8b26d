package propose

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// forgejoForge writes the pull requests and issues of a repository of Forgejo or Gitea. Both have the
// same API for what libre uses.
// https://codeberg.org/api/swagger#/repository/repoListPullRequests
type forgejoForge struct{ restForge }

const (
	forgejoPage = 50 // Forgejo's usual maximum
	mostForgejo = 20 // pages of closed pull requests, the most recently changed first
)

// forgejoPull has the fields of the API's type PullRequest that libre uses.
type forgejoPull struct {
	Number int    `json:"number"`
	URL    string `json:"html_url"`
	Title  string `json:"title"`
	Body   string `json:"body"`
	Merged bool   `json:"merged"`
	Head   struct {
		Ref  string `json:"ref"`
		Repo struct {
			FullName string `json:"full_name"`
		} `json:"repo"`
	} `json:"head"`
	Base struct {
		Ref string `json:"ref"`
	} `json:"base"`
}

func (f *forgejoForge) openPulls(ctx context.Context) ([]pull, error) {
	return f.list(ctx, "open", "")
}

// closedPulls reads all closed pull requests, because the API cannot filter by branch.
func (f *forgejoForge) closedPulls(ctx context.Context, branch string) ([]pull, error) {
	return f.list(ctx, "closed", branch)
}

func (f *forgejoForge) list(ctx context.Context, state, branch string) ([]pull, error) {
	var all []pull
	for number := 1; ; number++ {
		var page []forgejoPull
		query := url.Values{"state": {state}, "sort": {"recentupdate"}, "page": {strconv.Itoa(number)}, "limit": {strconv.Itoa(forgejoPage)}}
		response, err := f.call(ctx, http.MethodGet, "pulls?"+query.Encode(), nil, &page)
		if err != nil {
			return nil, explainPull("listing the pull requests of "+f.String(), err)
		}
		for _, p := range page {
			if strings.EqualFold(p.Head.Repo.FullName, f.String()) && (branch == "" || p.Head.Ref == branch) {
				all = append(all, pull{p.Number, p.URL, p.Title, p.Body, p.Head.Ref, p.Base.Ref, p.Merged})
			}
		}
		// The server decides the length of a page.
		if !hasNext(response) || branch != "" && number == mostForgejo {
			return all, nil
		}
	}
}

func (f *forgejoForge) create(ctx context.Context, p *pull) error {
	doing := "opening a pull request for " + p.branch
	label, err := f.label(ctx)
	if err != nil {
		return explainPull(doing, err)
	}
	asked := map[string]any{"title": p.title, "body": p.body, "head": p.branch, "base": p.base, "labels": []int64{label}}
	var made forgejoPull
	if _, err := f.call(ctx, http.MethodPost, "pulls", asked, &made); err != nil {
		return explainPull(doing, err)
	}
	p.number, p.url = made.Number, made.URL
	return nil
}

// label returns the number of our label, and creates the label if it is missing.
func (f *forgejoForge) label(ctx context.Context) (int64, error) {
	type label struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	for number := 1; ; number++ {
		var page []label
		response, err := f.call(ctx, http.MethodGet, fmt.Sprintf("labels?page=%d&limit=%d", number, forgejoPage), nil, &page)
		if err != nil {
			return 0, err
		}
		for _, l := range page {
			if l.Name == proposalLabel {
				return l.ID, nil
			}
		}
		if !hasNext(response) {
			break
		}
	}
	var made label
	_, err := f.call(ctx, http.MethodPost, "labels", map[string]any{"name": proposalLabel, "color": proposalLabelColor}, &made)
	return made.ID, err
}

func (f *forgejoForge) edit(ctx context.Context, p pull) error {
	return f.patch(ctx, fmt.Sprintf("updating #%d", p.number), p, map[string]any{"title": p.title, "body": p.body, "base": p.base})
}

func (f *forgejoForge) close(ctx context.Context, p pull, comment string) error {
	doing := fmt.Sprintf("closing #%d", p.number)
	path := fmt.Sprintf("issues/%d/comments", p.number)
	if _, err := f.call(ctx, http.MethodPost, path, map[string]any{"body": comment}, nil); err != nil {
		return explainPull(doing, err)
	}
	return f.patch(ctx, doing, p, map[string]any{"body": p.body, "state": "closed"})
}

func (f *forgejoForge) patch(ctx context.Context, doing string, p pull, changes map[string]any) error {
	if _, err := f.call(ctx, http.MethodPatch, fmt.Sprintf("pulls/%d", p.number), changes, nil); err != nil {
		return explainPull(doing, err)
	}
	return nil
}
