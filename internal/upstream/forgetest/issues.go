package forgetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// issue returns an issue or a pull request as an issue, in the format of both APIs.
func (f *Forge) issue(r *Repo, p *Pull) map[string]any {
	pull, path := any(nil), "/issues/"
	if !p.isIssue() {
		pull, path = map[string]any{"merged": p.Merged}, "/pulls/"
	}
	return map[string]any{
		"id": r.id*1000 + p.Number, "number": p.Number, "state": p.State, "title": p.Title, "body": p.Body, "comments": len(p.Comments),
		"html_url": f.page(r, path+strconv.Itoa(p.Number)), "labels": r.labelled(p.Labels), "pull_request": pull, "user": map[string]any{"login": "libre"},
	}
}

// listIssues supports a state and one label. GitHub lists pull requests as issues; Forgejo
// can leave them out.
// https://docs.github.com/en/rest/issues/issues#list-repository-issues
func (f *Forge) listIssues(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	query := r.URL.Query()
	var found []*Pull
	for _, p := range slices.Backward(v.repo.pulls) {
		label := query.Get("labels")
		if !p.hasState(query.Get("state")) || label != "" && !slices.Contains(p.Labels, label) ||
			f.kind == forgejo && query.Get("type") == "issues" && !p.isIssue() {
			continue
		}
		found = append(found, p)
	}
	return http.StatusOK, f.listed(v, w, r, found, f.issue)
}

// createIssue creates an issue. GitHub accepts names of labels, and creates those that do
// not exist. Forgejo accepts numbers of labels.
func (f *Forge) createIssue(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	var asked struct {
		Title, Body string
		Labels      []any
	}
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case err != nil:
		return http.StatusBadRequest, "Problems parsing JSON"
	case v.token == "":
		return http.StatusUnauthorized, "Requires authentication"
	case asked.Title == "":
		return f.invalid("title is missing")
	}
	p := &Pull{Number: len(v.repo.pulls) + 1, Title: asked.Title, Body: asked.Body, State: "open"}
	if status, problem := f.setLabels(v.repo, p, asked.Labels); status != http.StatusOK {
		return status, problem
	}
	v.repo.pulls = append(v.repo.pulls, p)
	return http.StatusCreated, f.issue(v.repo, p)
}

func (f *Forge) updateIssue(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	p := v.pull(r)
	var asked struct{ Title, Body, State *string }
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case p == nil:
		return http.StatusNotFound, "Not Found"
	case err != nil:
		return http.StatusBadRequest, "Problems parsing JSON"
	case !v.mayPush:
		return http.StatusForbidden, "Resource not accessible by personal access token"
	}
	for _, change := range []struct{ from, into *string }{{asked.Title, &p.Title}, {asked.Body, &p.Body}, {asked.State, &p.State}} {
		if change.from != nil {
			*change.into = *change.from
		}
	}
	status := http.StatusOK
	if f.kind == forgejo {
		status = http.StatusCreated
	}
	return status, f.issue(v.repo, p)
}
