package forgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
)

// routeGitLab adds the routes of GitLab's REST API. The path of a project, URL-encoded,
// names it.
func (f *Forge) routeGitLab(mux *http.ServeMux) {
	const project = "/api/v4/projects/{project}"
	mux.HandleFunc("GET "+project+"/releases", f.api(f.listGitLabReleases))
	mux.HandleFunc("GET "+project+"/releases/{tag}", f.api(f.getGitLabRelease))
	mux.HandleFunc("GET "+project+"/merge_requests", f.api(f.listMerges))
	mux.HandleFunc("POST "+project+"/merge_requests", f.api(f.mayWrite(f.createMerge)))
	mux.HandleFunc("PUT "+project+"/merge_requests/{number}", f.api(f.mayWrite(f.updateMerge)))
	mux.HandleFunc("POST "+project+"/merge_requests/{number}/notes", f.api(f.mayWrite(f.createMergeNote)))
	mux.HandleFunc("GET "+project+"/issues", f.api(f.listGitLabIssues))
	mux.HandleFunc("POST "+project+"/issues", f.api(f.mayWrite(f.createGitLabIssue)))
	mux.HandleFunc("PUT "+project+"/issues/{number}", f.api(f.mayWrite(f.updateGitLabIssue)))
	mux.HandleFunc("POST "+project+"/issues/{number}/notes", f.api(f.mayWrite(f.createIssueNote)))
}

// gitlabGit answers git clients. A project may be in nested groups.
func (f *Forge) gitlabGit(w http.ResponseWriter, r *http.Request) {
	project, _, isGit := strings.Cut(r.URL.Path, ".git/")
	if bare, asksGit := strings.CutSuffix(r.URL.Path, "/info/refs"); asksGit && !isGit {
		to := url.URL{Path: bare + ".git/info/refs", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, f.URL+to.String(), http.StatusMovedPermanently)
		return
	}
	if !isGit {
		http.NotFound(w, r)
		return
	}
	r.SetPathValue("owner", strings.Trim(path.Dir(project), "/"))
	r.SetPathValue("repo", path.Base(project)+".git")
	f.git(w, r)
}

func gitlabRefusal(status int) string {
	return map[int]string{
		http.StatusUnauthorized: "401 Unauthorized",
		http.StatusForbidden:    "403 Forbidden",
		http.StatusNotFound:     "404 Project Not Found",
	}[status]
}

// countGitLab takes one request off the quota. If none is left, it answers in plain text.
// https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
func (f *Forge) countGitLab(w http.ResponseWriter) bool {
	allowed := f.remaining > 0
	f.remaining = max(0, f.remaining-1)
	if !allowed {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("RateLimit-Limit", "5000")
		w.Header().Set("RateLimit-Remaining", "0")
		w.Header().Set("RateLimit-Reset", strconv.FormatInt(f.reset.Unix(), 10))
		w.Header().Set("RateLimit-ResetTime", f.reset.UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(time.Until(f.reset).Seconds()))))
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "Retry later\n")
	}
	return allowed
}

// mayWrite refuses a change if the request has no token, or one that may only read.
func (f *Forge) mayWrite(answer func(visit, http.ResponseWriter, *http.Request) (int, any)) func(visit, http.ResponseWriter, *http.Request) (int, any) {
	return func(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
		switch {
		case v.token == "":
			return http.StatusUnauthorized, gitlabRefusal(http.StatusUnauthorized)
		case !v.mayPush:
			return http.StatusForbidden, gitlabRefusal(http.StatusForbidden)
		}
		return answer(v, w, r)
	}
}

// gitlabState returns opened, closed or merged.
func (p *Pull) gitlabState() string {
	switch {
	case p.Merged:
		return "merged"
	case p.State == "open":
		return "opened"
	}
	return "closed"
}

func (f *Forge) gitlabIssue(r *Repo, p *Pull) map[string]any {
	return map[string]any{
		"id": r.id*1000 + slices.Index(r.pulls, p), "iid": p.Number, "project_id": r.id, "title": p.Title, "description": p.Body,
		"state": p.gitlabState(), "labels": append([]string{}, p.Labels...), "user_notes_count": len(p.Comments),
		"web_url": f.page(r, "/-/issues/"+strconv.Itoa(p.Number)), "author": map[string]any{"username": "libre"},
	}
}

// https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests
func (f *Forge) merge(r *Repo, p *Pull) map[string]any {
	merge := f.gitlabIssue(r, p)
	merge["source_branch"], merge["target_branch"] = p.Head, p.Base
	merge["source_project_id"], merge["target_project_id"] = r.id, r.id
	merge["draft"] = p.Draft
	merge["web_url"] = f.page(r, "/-/merge_requests/"+strconv.Itoa(p.Number))
	return merge
}

func (f *Forge) listMerges(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	return f.listGitLab(v, w, r, false, f.merge)
}

func (f *Forge) listGitLabIssues(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	return f.listGitLab(v, w, r, true, f.gitlabIssue)
}

// listGitLab supports state, labels and branches. The newest come first.
func (f *Forge) listGitLab(v visit, w http.ResponseWriter, r *http.Request, issues bool, format func(*Repo, *Pull) map[string]any) (int, any) {
	query := r.URL.Query()
	var found []*Pull
	for _, p := range slices.Backward(v.repo.pulls) {
		state, branch, label := query.Get("state"), query.Get("source_branch"), query.Get("labels")
		if p.isIssue() == issues && (state == "" || state == "all" || state == p.gitlabState()) &&
			(branch == "" || branch == p.Head) && (label == "" || slices.Contains(p.Labels, label)) {
			found = append(found, p)
		}
	}
	list := []any{}
	for _, p := range page(f, w, r, found, "per_page", 20, 100) {
		list = append(list, format(v.repo, p))
	}
	return http.StatusOK, list
}

// gitlabChange contains the parameters of a merge request or an issue.
type gitlabChange struct {
	Title, Description *string
	Labels             *string
	SourceBranch       *string `json:"source_branch"`
	TargetBranch       *string `json:"target_branch"`
	StateEvent         *string `json:"state_event"` // close or reopen
}

// quickAction matches a line that GitLab executes as a command, in any text.
// https://docs.gitlab.com/user/project/quick_actions/
var quickAction = lazyregexp.New(`(?m)^/[a-z_]+`)

func (f *Forge) checkQuiet(text string) {
	if action := quickAction().FindString(text); action != "" {
		f.t.Errorf("GitLab would execute %s of:\n%s", action, text)
	}
}

// readChange reads the parameters. If the title is missing, it answers as Grape, GitLab's
// API framework, does.
func (f *Forge) readChange(r *http.Request, isNew bool) (asked gitlabChange, status int, problem any) {
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return asked, http.StatusBadRequest, map[string]any{"error": "message body does not match declared format"}
	}
	if isNew && asked.Title == nil {
		return asked, http.StatusBadRequest, map[string]any{"error": "title is missing"}
	}
	if asked.Description != nil {
		f.checkQuiet(*asked.Description)
	}
	return asked, http.StatusOK, nil
}

// apply changes a merge request or an issue. It creates new labels.
func (asked gitlabChange) apply(r *Repo, p *Pull) {
	for _, change := range []struct{ from, into *string }{
		{asked.Title, &p.Title}, {asked.Description, &p.Body}, {asked.SourceBranch, &p.Head}, {asked.TargetBranch, &p.Base},
	} {
		if change.from != nil {
			*change.into = *change.from
		}
	}
	if asked.Labels != nil {
		p.Labels = strings.Split(*asked.Labels, ",")
		r.labels = append(r.labels, p.Labels...)
	}
	if asked.StateEvent != nil {
		p.State = map[string]string{"close": "closed", "reopen": "open"}[*asked.StateEvent]
	}
}

// iid returns the next number of a merge request or an issue.
func (r *Repo) iid(issue bool) int {
	next := 1
	for _, p := range r.pulls {
		if p.isIssue() == issue {
			next = p.Number + 1
		}
	}
	return next
}

func (f *Forge) createMerge(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	asked, status, problem := f.readChange(r, true)
	if status != http.StatusOK {
		return status, problem
	}
	p := &Pull{Number: v.repo.iid(false), State: "open"}
	asked.apply(v.repo, p)
	if !v.repo.has("refs/heads/"+p.Head) || !v.repo.has("refs/heads/"+p.Base) {
		f.t.Errorf("a merge request from %q to %q, which must both be there", p.Head, p.Base)
	}
	for _, other := range v.repo.pulls {
		if other.State == "open" && other.Head == p.Head && other.Base == p.Base {
			return http.StatusConflict, map[string]any{"message": []string{
				fmt.Sprintf("Another open merge request already exists for this source branch: !%d", other.Number)}}
		}
	}
	v.repo.pulls = append(v.repo.pulls, p)
	return http.StatusCreated, f.merge(v.repo, p)
}

func (f *Forge) createGitLabIssue(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	asked, status, problem := f.readChange(r, true)
	if status != http.StatusOK {
		return status, problem
	}
	p := &Pull{Number: v.repo.iid(true), State: "open"}
	asked.apply(v.repo, p)
	v.repo.pulls = append(v.repo.pulls, p)
	return http.StatusCreated, f.gitlabIssue(v.repo, p)
}

// numbered returns the merge request or issue with the number in the request.
func (v visit) numbered(r *http.Request, issue bool) *Pull {
	for _, p := range v.repo.pulls {
		if p.isIssue() == issue && strconv.Itoa(p.Number) == r.PathValue("number") {
			return p
		}
	}
	return nil
}

func (f *Forge) updateMerge(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	return f.updateGitLab(v, r, false, f.merge)
}

func (f *Forge) updateGitLabIssue(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	return f.updateGitLab(v, r, true, f.gitlabIssue)
}

func (f *Forge) updateGitLab(v visit, r *http.Request, issue bool, format func(*Repo, *Pull) map[string]any) (int, any) {
	p := v.numbered(r, issue)
	if p == nil {
		return http.StatusNotFound, "404 Not found"
	}
	asked, status, problem := f.readChange(r, false)
	if status == http.StatusOK {
		asked.apply(v.repo, p)
		problem = format(v.repo, p)
	}
	return status, problem
}

func (f *Forge) createMergeNote(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	return f.createNote(r, v.numbered(r, false))
}

func (f *Forge) createIssueNote(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	return f.createNote(r, v.numbered(r, true))
}

func (f *Forge) createNote(r *http.Request, p *Pull) (int, any) {
	var asked struct{ Body string }
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case p == nil:
		return http.StatusNotFound, "404 Not found"
	case err != nil || asked.Body == "":
		return http.StatusBadRequest, map[string]any{"error": "body is missing"}
	}
	f.checkQuiet(asked.Body)
	p.Comments = append(p.Comments, asked.Body)
	return http.StatusCreated, map[string]any{"id": len(p.Comments), "body": asked.Body, "system": false}
}

// namePage sets the headers that GitLab has in addition to Link.
// https://docs.gitlab.com/api/rest/#other-pagination-headers
func namePage(w http.ResponseWriter, number, last, size int) {
	next := ""
	if number < last {
		next = strconv.Itoa(number + 1)
	}
	w.Header().Set("X-Page", strconv.Itoa(number))
	w.Header().Set("X-Per-Page", strconv.Itoa(size))
	w.Header().Set("X-Next-Page", next)
}
