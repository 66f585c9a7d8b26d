package forgetest

import (
	"cmp"
	"net/http"
	"net/url"
	"time"
)

// A GitLab has neither drafts nor prereleases. A release with a date in the future is an
// upcoming one, which everybody sees. https://docs.gitlab.com/api/releases/
func (f *Forge) gitlabRelease(r *Repo, release Release) map[string]any {
	if release.Draft || release.Prerelease {
		f.t.Errorf("the release %s of a GitLab is a draft or a prerelease", release.Tag)
	}
	tag := url.PathEscape(release.Tag)
	return map[string]any{
		"tag_name": release.Tag, "name": cmp.Or(release.Name, release.Tag), "description": release.Notes,
		"created_at": release.Date.Format(time.RFC3339Nano), "released_at": release.Date.Format(time.RFC3339Nano),
		"upcoming_release": release.Date.After(time.Now()),
		"tag_path":         "/" + r.name + "/-/tags/" + tag, "_links": map[string]any{"self": f.page(r, "/-/releases/"+tag)},
	}
}

func (f *Forge) listGitLabReleases(v visit, w http.ResponseWriter, r *http.Request) (int, any) {
	list := []any{}
	for _, release := range page(f, w, r, v.visible(), "per_page", 20, 100) {
		list = append(list, f.gitlabRelease(v.repo, release))
	}
	return http.StatusOK, list
}

func (f *Forge) getGitLabRelease(v visit, _ http.ResponseWriter, r *http.Request) (int, any) {
	for _, release := range v.visible() {
		if release.Tag == r.PathValue("tag") {
			return http.StatusOK, f.gitlabRelease(v.repo, release)
		}
	}
	return http.StatusNotFound, "404 Not Found"
}
