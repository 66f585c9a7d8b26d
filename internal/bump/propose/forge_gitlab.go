package propose

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// gitlabForge writes the merge requests and issues of a project of GitLab. A number is an iid:
// merge requests and issues are numbered separately, within the project.
// https://docs.gitlab.com/api/merge_requests/
type gitlabForge struct{ restForge }

const (
	gitlabPage = 100 // GitLab's maximum
	mostGitLab = 10  // pages of closed issues, the newest first
)

// gitlabMerge has the fields of a merge request that libre uses.
type gitlabMerge struct {
	Number       int    `json:"iid"`
	URL          string `json:"web_url"`
	Title        string `json:"title"`
	Body         string `json:"description"`
	State        string `json:"state"` // opened, closed, locked, merged
	SourceBranch string `json:"source_branch"`
	TargetBranch string `json:"target_branch"`
	Source       *int64 `json:"source_project_id"` // null if the fork was deleted
	Target       int64  `json:"target_project_id"`
}

func (g *gitlabForge) reference(number int) string { return fmt.Sprintf("!%d", number) }

func (g *gitlabForge) openPulls(ctx context.Context) ([]pull, error) {
	return g.list(ctx, url.Values{"state": {"opened"}})
}

// closedPulls does not list merged requests, because they have another state.
func (g *gitlabForge) closedPulls(ctx context.Context, branch string) ([]pull, error) {
	return g.list(ctx, url.Values{"state": {"closed"}, "source_branch": {branch}})
}

func (g *gitlabForge) list(ctx context.Context, query url.Values) ([]pull, error) {
	query.Set("scope", "all") // not only the user's own
	query.Set("per_page", strconv.Itoa(gitlabPage))
	var all []pull
	for number := 1; ; number++ {
		var page []gitlabMerge
		query.Set("page", strconv.Itoa(number))
		response, err := g.call(ctx, http.MethodGet, "merge_requests?"+query.Encode(), nil, &page)
		if err != nil {
			return nil, explainPull("listing the merge requests of "+g.String(), err)
		}
		for _, m := range page {
			if m.Source != nil && *m.Source == m.Target {
				all = append(all, pull{m.Number, m.URL, m.Title, m.Body, m.SourceBranch, m.TargetBranch, m.State == "merged"})
			}
		}
		if !hasNext(response) {
			return all, nil
		}
	}
}

// create opens a merge request. It also creates the label if the project has none.
func (g *gitlabForge) create(ctx context.Context, p *pull) error {
	asked := map[string]any{"title": p.title, "description": p.body, "source_branch": p.branch, "target_branch": p.base, "labels": proposalLabel}
	var made gitlabMerge
	if _, err := g.call(ctx, http.MethodPost, "merge_requests", asked, &made); err != nil {
		return explainPull("opening a merge request for "+p.branch, err)
	}
	p.number, p.url = made.Number, made.URL
	return nil
}

func (g *gitlabForge) edit(ctx context.Context, p pull) error {
	changes := map[string]any{"title": p.title, "description": p.body, "target_branch": p.base}
	return g.change(ctx, "updating "+g.reference(p.number), fmt.Sprintf("merge_requests/%d", p.number), changes, "")
}

func (g *gitlabForge) close(ctx context.Context, p pull, comment string) error {
	changes := map[string]any{"description": p.body, "state_event": "close"}
	return g.change(ctx, "closing "+g.reference(p.number), fmt.Sprintf("merge_requests/%d", p.number), changes, comment)
}

// change changes a merge request or an issue. Unless note is empty, it also adds the note.
// https://docs.gitlab.com/api/notes/
func (g *gitlabForge) change(ctx context.Context, doing, path string, changes map[string]any, note string) error {
	if note != "" {
		if _, err := g.call(ctx, http.MethodPost, path+"/notes", map[string]any{"body": note}, nil); err != nil {
			return explainPull(doing, err)
		}
	}
	if _, err := g.call(ctx, http.MethodPut, path, changes, nil); err != nil {
		return explainPull(doing, err)
	}
	return nil
}
