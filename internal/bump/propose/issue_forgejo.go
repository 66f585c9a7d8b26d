package propose

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// https://codeberg.org/api/swagger#/issue/issueListIssues
func (f *forgejoForge) issues(ctx context.Context, state string) ([]issue, error) {
	var all []issue
	for number := 1; ; number++ {
		var page []struct {
			Number int    `json:"number"`
			URL    string `json:"html_url"`
			Title  string `json:"title"`
			Body   string `json:"body"`
		}
		query := url.Values{"state": {state}, "labels": {proposalLabel}, "type": {"issues"}, "page": {strconv.Itoa(number)}, "limit": {strconv.Itoa(forgejoPage)}}
		response, err := f.call(ctx, http.MethodGet, "issues?"+query.Encode(), nil, &page)
		if err != nil {
			return nil, explainPull("listing the issues of "+f.String(), err)
		}
		for _, i := range page {
			all = append(all, issue{i.Number, i.URL, i.Title, i.Body})
		}
		if !hasNext(response) || state == "closed" && number == mostForgejo {
			return all, nil
		}
	}
}

func (f *forgejoForge) createIssue(ctx context.Context, i *issue) error {
	doing := "opening an issue in " + f.String()
	label, err := f.label(ctx)
	if err != nil {
		return explainPull(doing, err)
	}
	var made struct {
		Number int    `json:"number"`
		URL    string `json:"html_url"`
	}
	if _, err := f.call(ctx, http.MethodPost, "issues", map[string]any{"title": i.title, "body": i.body, "labels": []int64{label}}, &made); err != nil {
		return explainPull(doing, err)
	}
	i.number, i.url = made.Number, made.URL
	return nil
}

func (f *forgejoForge) editIssue(ctx context.Context, i issue, state, comment string) error {
	doing := fmt.Sprintf("updating #%d", i.number)
	if comment != "" {
		if _, err := f.call(ctx, http.MethodPost, fmt.Sprintf("issues/%d/comments", i.number), map[string]any{"body": comment}, nil); err != nil {
			return explainPull(doing, err)
		}
	}
	if _, err := f.call(ctx, http.MethodPatch, fmt.Sprintf("issues/%d", i.number), map[string]any{"title": i.title, "body": i.body, "state": state}, nil); err != nil {
		return explainPull(doing, err)
	}
	return nil
}
