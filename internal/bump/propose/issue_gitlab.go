package propose

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// https://docs.gitlab.com/api/issues/
func (g *gitlabForge) issues(ctx context.Context, state string) ([]issue, error) {
	if state == "open" {
		state = "opened"
	}
	query := url.Values{"state": {state}, "labels": {proposalLabel}, "scope": {"all"}, "per_page": {strconv.Itoa(gitlabPage)}}
	var all []issue
	for number := 1; ; number++ {
		var page []gitlabIssue
		query.Set("page", strconv.Itoa(number))
		response, err := g.call(ctx, http.MethodGet, "issues?"+query.Encode(), nil, &page)
		if err != nil {
			return nil, explainPull("listing the issues of "+g.String(), err)
		}
		for _, i := range page {
			all = append(all, issue{i.Number, i.URL, i.Title, i.Body})
		}
		if !hasNext(response) || state == "closed" && number == mostGitLab {
			return all, nil
		}
	}
}

// gitlabIssue has the fields of an issue that libre uses.
type gitlabIssue struct {
	Number int    `json:"iid"`
	URL    string `json:"web_url"`
	Title  string `json:"title"`
	Body   string `json:"description"`
}

func (g *gitlabForge) createIssue(ctx context.Context, i *issue) error {
	asked := map[string]any{"title": i.title, "description": i.body, "labels": proposalLabel}
	var made gitlabIssue
	if _, err := g.call(ctx, http.MethodPost, "issues", asked, &made); err != nil {
		return explainPull("opening an issue in "+g.String(), err)
	}
	i.number, i.url = made.Number, made.URL
	return nil
}

func (g *gitlabForge) editIssue(ctx context.Context, i issue, state, comment string) error {
	changes := map[string]any{"title": i.title, "description": i.body}
	if state == "closed" {
		changes["state_event"] = "close"
	}
	return g.change(ctx, fmt.Sprintf("updating #%d", i.number), fmt.Sprintf("issues/%d", i.number), changes, comment)
}
