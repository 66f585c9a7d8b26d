package forgetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pull is a pull request from a branch of the same repository, or an issue. GitHub and
// Forgejo number both together, and their APIs treat pull requests as issues. GitLab
// numbers merge requests and issues separately.
type Pull struct {
	Number      int
	Title, Body string
	Head, Base  string // branches; empty for an issue
	State       string // open or closed
	Draft       bool
	Merged      bool
	Labels      []string
	Comments    []string
}

// Pulls returns the current state of the pull requests.
func (r *Repo) Pulls() []Pull { return r.numbered(false) }

// Issues returns the current state of the issues.
func (r *Repo) Issues() []Pull { return r.numbered(true) }

func (r *Repo) numbered(issues bool) []Pull {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	var found []Pull
	for _, pull := range r.pulls {
		if pull.isIssue() != issues {
			continue
		}
		now := *pull
		now.Labels, now.Comments = slices.Clone(pull.Labels), slices.Clone(pull.Comments)
		found = append(found, now)
	}
	return found
}

func (p *Pull) isIssue() bool { return p.Head == "" }

// ClosePull closes an issue or a pull request as a person would, or merges it into its
// base. If both have the number, as on GitLab, it takes the older one.
func (r *Repo) ClosePull(number int, merge bool) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	pull := r.pulls[slices.IndexFunc(r.pulls, func(p *Pull) bool { return p.Number == number })]
	pull.State, pull.Merged = "closed", merge
	if merge {
		r.git("", "update-ref", "refs/heads/"+pull.Base, "refs/heads/"+pull.Head)
	}
}

// pull returns a pull request in the format of both APIs. Its head is the branch's current
// commit.
func (f *Forge) pull(r *Repo, p *Pull) map[string]any {
	owner, _, _ := strings.Cut(r.name, "/")
	side := func(branch string) map[string]any {
		sha := ""
		if r.has("refs/heads/" + branch) {
			sha = r.git("", "rev-parse", "refs/heads/"+branch)
		}
		return map[string]any{"label": owner + ":" + branch, "ref": branch, "sha": sha,
			"repo": map[string]any{"id": r.id, "full_name": r.name}, "user": map[string]any{"login": owner}}
	}
	path := "/pull/"
	if f.kind == forgejo {
		path = "/pulls/"
	}
	merged := any(nil)
	if p.Merged {
		merged = time.Unix(1_700_000_000, 0).UTC().Format(time.RFC3339)
	}
	return map[string]any{
		"id": r.id*1000 + p.Number, "number": p.Number, "state": p.State, "title": p.Title, "body": p.Body,
		"draft": p.Draft, "merged": p.Merged, "merged_at": merged, "html_url": f.page(r, path+strconv.Itoa(p.Number)),
		"head": side(p.Head), "base": side(p.Base), "labels": r.labelled(p.Labels), "user": map[string]any{"login": "libre"},
	}
}

// listPulls supports GitHub's filters. Forgejo supports only the state.
func (f *Forge) listPulls(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	query := r.URL.Query()
	owner, _, _ := strings.Cut(v.repo.name, "/")
	var found []*Pull
	for _, p := range slices.Backward(v.repo.pulls) {
		if p.isIssue() || !p.hasState(query.Get("state")) {
			continue
		}
		if f.kind == github {
			if head := query.Get("head"); strings.Contains(head, ":") && head != owner+":"+p.Head {
				continue
			}
			if base := query.Get("base"); base != "" && base != p.Base {
				continue
			}
		}
		found = append(found, p)
	}
	return http.StatusOK, f.listed(v, w, r, found, f.pull)
}

// hasState reports whether a list of a state contains the pull request.
func (p *Pull) hasState(state string) bool {
	return state == "all" || p.State == cmp.Or(state, "open")
}

// listed is one page of a list.
func (f *Forge) listed(v visit, w http.ResponseWriter, r *http.Request, found []*Pull, format func(*Repo, *Pull) map[string]any) []any {
	sizeName, most := "per_page", 100
	if f.kind == forgejo {
		sizeName, most = "limit", 50
		w.Header().Set("X-Total-Count", strconv.Itoa(len(found)))
	}
	list := []any{}
	for _, p := range page(f, w, r, found, sizeName, 30, most) {
		list = append(list, format(v.repo, p))
	}
	return list
}

func (f *Forge) createPull(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	var asked struct {
		Title, Body, Head, Base string
		Draft                   bool
		Labels                  []int // numbers, on Forgejo
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return http.StatusBadRequest, "Problems parsing JSON"
	}
	if !v.mayPush {
		return http.StatusForbidden, "Resource not accessible by personal access token"
	}
	owner, _, _ := strings.Cut(v.repo.name, "/")
	head := strings.TrimPrefix(asked.Head, owner+":")
	switch {
	case asked.Title == "":
		return f.invalid("title is missing")
	case !v.repo.has("refs/heads/" + head):
		return f.invalid("head is invalid")
	case !v.repo.has("refs/heads/" + asked.Base):
		return f.invalid("base is invalid")
	case v.repo.git("", "rev-list", "--count", asked.Base+".."+head) == "0":
		return f.invalid(fmt.Sprintf("No commits between %s and %s", asked.Base, head))
	}
	for _, p := range v.repo.pulls {
		if p.State == "open" && p.Head == head && p.Base == asked.Base {
			if f.kind == forgejo {
				return http.StatusConflict, "pull request already exists for these targets"
			}
			return f.invalid("A pull request already exists for " + owner + ":" + head + ".")
		}
	}
	p := &Pull{Number: len(v.repo.pulls) + 1, Title: asked.Title, Body: asked.Body, Head: head, Base: asked.Base,
		State: "open", Draft: asked.Draft}
	for _, id := range asked.Labels {
		if f.kind == forgejo && id >= 1 && id <= len(v.repo.labels) {
			p.Labels = append(p.Labels, v.repo.labels[id-1])
		}
	}
	v.repo.pulls = append(v.repo.pulls, p)
	return http.StatusCreated, f.pull(v.repo, p)
}

func (f *Forge) invalid(message string) (int, any) {
	return http.StatusUnprocessableEntity, map[string]any{
		"message": "Validation Failed", "errors": []any{map[string]any{"resource": "PullRequest", "code": "custom", "message": message}},
	}
}

func (v visit) pull(r *http.Request) *Pull {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 || number > len(v.repo.pulls) {
		return nil
	}
	return v.repo.pulls[number-1]
}

func (f *Forge) getPull(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	p := v.pull(r)
	if p == nil || p.isIssue() {
		return http.StatusNotFound, "Not Found"
	}
	return http.StatusOK, f.pull(v.repo, p)
}

func (f *Forge) updatePull(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	p := v.pull(r)
	var asked struct{ Title, Body, State, Base *string }
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case p == nil || p.isIssue():
		return http.StatusNotFound, "Not Found"
	case err != nil:
		return http.StatusBadRequest, "Problems parsing JSON"
	case !v.mayPush:
		return http.StatusForbidden, "Resource not accessible by personal access token"
	case asked.State != nil && *asked.State == "open" && (p.Merged || !v.repo.has("refs/heads/"+p.Head)):
		return f.invalid("state cannot be changed")
	}
	for _, change := range []struct{ from, into *string }{
		{asked.Title, &p.Title}, {asked.Body, &p.Body}, {asked.State, &p.State}, {asked.Base, &p.Base},
	} {
		if change.from != nil {
			*change.into = *change.from
		}
	}
	status := http.StatusOK
	if f.kind == forgejo {
		status = http.StatusCreated
	}
	return status, f.pull(v.repo, p)
}

// addLabels adds labels. GitHub accepts names, and creates those that do not exist. Forgejo
// accepts numbers or names, but only of existing labels.
func (f *Forge) addLabels(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	p := v.pull(r)
	var labels []any
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || p == nil {
		return http.StatusNotFound, "Not Found"
	}
	var wrapped struct{ Labels []any }
	if json.Unmarshal(body, &labels) != nil && json.Unmarshal(body, &wrapped) == nil {
		labels = wrapped.Labels
	}
	if !v.mayPush {
		return http.StatusForbidden, "Resource not accessible by personal access token"
	}
	if status, problem := f.setLabels(v.repo, p, labels); status != http.StatusOK {
		return status, problem
	}
	return http.StatusOK, v.repo.labelled(p.Labels)
}

// setLabels adds labels to a pull request or an issue.
func (f *Forge) setLabels(repo *Repo, p *Pull, labels []any) (status int, problem any) {
	for _, label := range labels {
		var name string
		switch label := label.(type) {
		case string:
			name = label
			if f.kind == github && !slices.Contains(repo.labels, name) {
				repo.labels = append(repo.labels, name)
			}
		case float64:
			if i := int(label); f.kind == forgejo && i >= 1 && i <= len(repo.labels) {
				name = repo.labels[i-1]
			}
		}
		if !slices.Contains(repo.labels, name) {
			return http.StatusUnprocessableEntity, "unknown label"
		}
		if !slices.Contains(p.Labels, name) {
			p.Labels = append(p.Labels, name)
		}
	}
	return http.StatusOK, nil
}

func (f *Forge) addComment(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	p := v.pull(r)
	var asked struct{ Body string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || p == nil {
		return http.StatusNotFound, "Not Found"
	}
	if v.token == "" {
		return http.StatusUnauthorized, "Requires authentication"
	}
	p.Comments = append(p.Comments, asked.Body)
	return http.StatusCreated, map[string]any{"id": len(p.Comments), "body": asked.Body}
}
