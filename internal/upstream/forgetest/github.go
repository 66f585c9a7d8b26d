package forgetest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// routeGitHub adds the routes of the REST and GraphQL APIs.
func (f *Forge) routeGitHub(mux *http.ServeMux) {
	for path, answer := range map[string]func(visit, http.ResponseWriter, *http.Request) (int, any){
		"GET ":                           f.getRepo,
		"GET /releases":                  f.listReleases,
		"GET /releases/tags/{tag}":       f.getRelease,
		"GET /tags":                      f.listTags,
		"DELETE /git/refs/{branch...}":   f.deleteBranch,
		"GET /pulls":                     f.listPulls,
		"POST /pulls":                    f.createPull,
		"GET /pulls/{number}":            f.getPull,
		"PATCH /pulls/{number}":          f.updatePull,
		"GET /issues":                    f.listIssues,
		"POST /issues":                   f.createIssue,
		"PATCH /issues/{number}":         f.updateIssue,
		"POST /issues/{number}/labels":   f.addLabels,
		"POST /issues/{number}/comments": f.addComment,
	} {
		method, rest, _ := strings.Cut(path, " ")
		mux.HandleFunc(method+" /api/v3/repos/{owner}/{repo}"+rest, f.api(answer))
		mux.HandleFunc(method+" /api/v3/repositories/{id}"+rest, f.api(answer))
	}
	mux.HandleFunc("POST /api/graphql", f.graphql)
}

func (f *Forge) page(r *Repo, path string) string { return f.URL + "/" + r.name + path }

func (f *Forge) getRepo(v visit, _ http.ResponseWriter, _ *http.Request) (int, any) {
	owner, name, _ := strings.Cut(v.repo.name, "/")
	return http.StatusOK, map[string]any{
		"id": v.repo.id, "name": name, "full_name": v.repo.name, "private": v.repo.private,
		"owner": map[string]any{"login": owner}, "html_url": f.page(v.repo, ""), "clone_url": v.repo.CloneURL(),
		"default_branch": "main", "has_releases": !v.repo.tagsOnly,
		"permissions": map[string]any{"admin": false, "push": v.mayPush, "pull": true},
	}
}

// visible returns the releases that the caller can see. Only those who may push see drafts.
// The newest comes first, which is not the order of versions.
func (v visit) visible() []Release {
	found := slices.DeleteFunc(slices.Clone(v.repo.releases), func(r Release) bool { return r.Draft && !v.mayPush })
	slices.SortStableFunc(found, func(a, b Release) int { return b.Date.Compare(a.Date) })
	return found
}

func (f *Forge) listReleases(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	sizeName, usual, most := "per_page", 30, 100
	if f.kind == forgejo {
		if v.repo.tagsOnly {
			return http.StatusNotFound, "Not Found"
		}
		sizeName, usual, most = "limit", 30, 50
		w.Header().Set("X-Total-Count", strconv.Itoa(len(v.visible())))
	}
	list := []any{}
	for _, release := range page(f, w, r, v.visible(), sizeName, usual, most) {
		list = append(list, f.release(v.repo, release))
	}
	return http.StatusOK, list
}

// getRelease returns a published release. Drafts have no tag yet.
func (f *Forge) getRelease(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	for _, release := range v.visible() {
		if release.Tag == r.PathValue("tag") && !release.Draft {
			return http.StatusOK, f.release(v.repo, release)
		}
	}
	return http.StatusNotFound, "Not Found"
}

func (f *Forge) release(r *Repo, release Release) map[string]any {
	published := any(release.Date.Format(time.RFC3339))
	if release.Draft && f.kind == github {
		published = nil
	}
	return map[string]any{
		"id":       slices.IndexFunc(r.releases, func(other Release) bool { return other.Tag == release.Tag }) + 1,
		"tag_name": release.Tag, "target_commitish": "main", "name": cmp.Or(release.Name, release.Tag), "body": release.Notes,
		"draft": release.Draft, "prerelease": release.Prerelease,
		"created_at": release.Date.Format(time.RFC3339), "published_at": published,
		"html_url": f.page(r, "/releases/tag/"+url.PathEscape(release.Tag)),
	}
}

// listTags lists names in descending order, as GitHub seems to.
func (f *Forge) listTags(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	refs := v.repo.refs()
	slices.SortFunc(refs, func(a, b ref) int { return strings.Compare(b.name, a.name) })
	list := []any{}
	for _, tag := range page(f, w, r, refs, "per_page", 30, 100) {
		list = append(list, map[string]any{"name": tag.name, "commit": map[string]any{"sha": tag.commit}})
	}
	return http.StatusOK, list
}

func (f *Forge) deleteBranch(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	branch := strings.TrimPrefix(r.PathValue("branch"), "heads/")
	switch {
	case !v.mayPush:
		return http.StatusForbidden, "Resource not accessible by personal access token"
	case !v.repo.has("refs/heads/" + branch):
		return http.StatusUnprocessableEntity, "Reference does not exist"
	}
	v.repo.git("", "update-ref", "-d", "refs/heads/"+branch)
	return http.StatusNoContent, nil
}
