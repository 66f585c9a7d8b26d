package propose

import (
	"context"
	"fmt"

	"github.com/google/go-github/v60/github"
)

// https://docs.github.com/en/rest/issues/issues
func (g *githubForge) issues(ctx context.Context, state string) ([]issue, error) {
	which := &github.IssueListByRepoOptions{State: state, Labels: []string{proposalLabel}}
	var all []issue
	for which.Page, which.PerPage = 1, 100; which.Page > 0; {
		page, response, err := g.client.Issues.ListByRepo(ctx, g.Owner, g.Name, which)
		if err != nil {
			return nil, g.explain("listing the issues of "+g.String(), err)
		}
		for _, i := range page {
			if !i.IsPullRequest() {
				all = append(all, issue{i.GetNumber(), i.GetHTMLURL(), i.GetTitle(), i.GetBody()})
			}
		}
		which.Page = response.NextPage
	}
	return all, nil
}

func (g *githubForge) createIssue(ctx context.Context, i *issue) error {
	made, _, err := g.client.Issues.Create(ctx, g.Owner, g.Name,
		&github.IssueRequest{Title: &i.title, Body: &i.body, Labels: &[]string{proposalLabel}})
	i.number, i.url = made.GetNumber(), made.GetHTMLURL()
	return g.explain("opening an issue in "+g.String(), err)
}

func (g *githubForge) editIssue(ctx context.Context, i issue, state, comment string) error {
	doing := fmt.Sprintf("updating #%d", i.number)
	if comment != "" {
		if _, _, err := g.client.Issues.CreateComment(ctx, g.Owner, g.Name, i.number, &github.IssueComment{Body: &comment}); err != nil {
			return g.explain(doing, err)
		}
	}
	_, _, err := g.client.Issues.Edit(ctx, g.Owner, g.Name, i.number, &github.IssueRequest{Title: &i.title, Body: &i.body, State: &state})
	return g.explain(doing, err)
}
