package propose

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-github/v60/github"
)

// githubForge writes the pull requests and issues of a repository of GitHub.
// https://docs.github.com/en/rest/pulls/pulls
type githubForge struct {
	hosting
	client *github.Client
}

func (g *githubForge) openPulls(ctx context.Context) ([]pull, error) {
	return g.list(ctx, &github.PullRequestListOptions{State: "open"})
}

func (g *githubForge) closedPulls(ctx context.Context, branch string) ([]pull, error) {
	return g.list(ctx, &github.PullRequestListOptions{State: "closed", Head: g.Owner + ":" + branch})
}

func (g *githubForge) list(ctx context.Context, which *github.PullRequestListOptions) ([]pull, error) {
	var all []pull
	for which.Page, which.PerPage = 1, 100; which.Page > 0; {
		page, response, err := g.client.PullRequests.List(ctx, g.Owner, g.Name, which)
		if err != nil {
			return nil, g.explain("listing the pull requests of "+g.String(), err)
		}
		for _, p := range page {
			if strings.EqualFold(p.GetHead().GetRepo().GetFullName(), g.String()) {
				all = append(all, pull{
					number: p.GetNumber(), url: p.GetHTMLURL(), title: p.GetTitle(), body: p.GetBody(),
					branch: p.GetHead().GetRef(), base: p.GetBase().GetRef(), merged: p.MergedAt != nil,
				})
			}
		}
		which.Page = response.NextPage
	}
	return all, nil
}

func (g *githubForge) create(ctx context.Context, p *pull) error {
	made, _, err := g.client.PullRequests.Create(ctx, g.Owner, g.Name,
		&github.NewPullRequest{Title: &p.title, Body: &p.body, Head: &p.branch, Base: &p.base})
	if err != nil {
		return g.explain("opening a pull request for "+p.branch, err)
	}
	p.number, p.url = made.GetNumber(), made.GetHTMLURL()
	if _, _, err := g.client.Issues.AddLabelsToIssue(ctx, g.Owner, g.Name, p.number, []string{proposalLabel}); err != nil {
		return g.explain(fmt.Sprintf("labelling #%d", p.number), err)
	}
	return nil
}

func (g *githubForge) edit(ctx context.Context, p pull) error {
	change := &github.PullRequest{Title: &p.title, Body: &p.body, Base: &github.PullRequestBranch{Ref: &p.base}}
	_, _, err := g.client.PullRequests.Edit(ctx, g.Owner, g.Name, p.number, change)
	return g.explain(fmt.Sprintf("updating #%d", p.number), err)
}

func (g *githubForge) close(ctx context.Context, p pull, comment string) error {
	doing := fmt.Sprintf("closing #%d", p.number)
	if _, _, err := g.client.Issues.CreateComment(ctx, g.Owner, g.Name, p.number, &github.IssueComment{Body: &comment}); err != nil {
		return g.explain(doing, err)
	}
	closed := "closed"
	_, _, err := g.client.PullRequests.Edit(ctx, g.Owner, g.Name, p.number, &github.PullRequest{Body: &p.body, State: &closed})
	return g.explain(doing, err)
}

func (g *githubForge) explain(doing string, err error) error {
	var failure *github.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		messages := []string{failure.Message}
		for _, detail := range failure.Errors {
			if detail.Message != "" {
				messages = append(messages, detail.Message)
			} else {
				messages = append(messages, strings.TrimSpace(detail.Field+" "+detail.Code))
			}
		}
		err = g.refusal(failure.Response.StatusCode, strings.Join(messages, ": "))
	}
	return explainPull(doing, err)
}
