package forgetest

import (
	"encoding/json"
	"net/http"
	"slices"
)

// routeForgejo adds the routes of the API of Forgejo and Gitea.
func (f *Forge) routeForgejo(mux *http.ServeMux) {
	const repo = "/api/v1/repos/{owner}/{repo}"
	mux.HandleFunc("GET "+repo, f.api(f.getRepo))
	mux.HandleFunc("GET "+repo+"/releases", f.api(f.listReleases))
	mux.HandleFunc("GET "+repo+"/releases/tags/{tag}", f.api(f.getRelease))
	mux.HandleFunc("DELETE "+repo+"/branches/{branch...}", f.api(f.deleteBranch))
	mux.HandleFunc("GET "+repo+"/labels", f.api(f.listLabels))
	mux.HandleFunc("POST "+repo+"/labels", f.api(f.createLabel))
	mux.HandleFunc("GET "+repo+"/pulls", f.api(f.listPulls))
	mux.HandleFunc("POST "+repo+"/pulls", f.api(f.createPull))
	mux.HandleFunc("GET "+repo+"/pulls/{number}", f.api(f.getPull))
	mux.HandleFunc("PATCH "+repo+"/pulls/{number}", f.api(f.updatePull))
	mux.HandleFunc("GET "+repo+"/issues", f.api(f.listIssues))
	mux.HandleFunc("POST "+repo+"/issues", f.api(f.createIssue))
	mux.HandleFunc("PATCH "+repo+"/issues/{number}", f.api(f.updateIssue))
	mux.HandleFunc("POST "+repo+"/issues/{number}/labels", f.api(f.addLabels))
	mux.HandleFunc("POST "+repo+"/issues/{number}/comments", f.api(f.addComment))
}

// label returns a label in the API's format. On Forgejo, a label must be created before it
// can be used.
func (r *Repo) label(name string) map[string]any {
	return map[string]any{"id": slices.Index(r.labels, name) + 1, "name": name, "color": "ededed"}
}

func (r *Repo) labelled(names []string) []any {
	list := []any{}
	for _, name := range names {
		list = append(list, r.label(name))
	}
	return list
}

func (f *Forge) listLabels(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	return http.StatusOK, v.repo.labelled(page(f, w, r, v.repo.labels, "limit", 30, 50))
}

func (f *Forge) createLabel(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	var asked struct{ Name, Color string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Name == "" || asked.Color == "" {
		return http.StatusUnprocessableEntity, "[Name]: Required, [Color]: Required"
	}
	if !v.mayPush {
		return http.StatusForbidden, "user should have a permission to write to a repo"
	}
	v.repo.labels = append(v.repo.labels, asked.Name)
	return http.StatusCreated, v.repo.label(asked.Name)
}
