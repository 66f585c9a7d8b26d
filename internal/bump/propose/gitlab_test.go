package propose

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// A project may be in nested groups. Its path is one segment in the API.
func TestProjectInGroups(t *testing.T) {
	d := newDesk(t, forgetest.GitLab(t))
	inner := d.forge.AddRepo("coop/apps/public/catalogue")
	d.git(d.dir, "push", "--quiet", "--force", inner.Dir, "HEAD:main")
	d.git(d.dir, "remote", "set-url", "origin", inner.CloneURL())
	d.repo = inner
	d.forge.Requests()
	d.propose(d.docs("5.4.1"), Opened, 1)
	asked := d.writes()
	if want := "POST /api/v4/projects/coop%2Fapps%2Fpublic%2Fcatalogue/merge_requests"; len(asked) == 0 || asked[len(asked)-1] != want {
		t.Errorf("%q, expected %s", asked, want)
	}
}

// A list has as many pages as the server says.
func TestAllPagesOfMergeRequests(t *testing.T) {
	d := newDesk(t, forgetest.GitLab(t))
	repository, config := d.config()
	forge, _, err := openForge(t.Context(), repository, config, "")
	if err != nil {
		t.Fatal(err)
	}
	d.forge.SetFault(func(r *http.Request) *forgetest.Fault {
		number := r.URL.Query().Get("page")
		header := map[string]string{"Content-Type": "application/json"}
		if number != "3" {
			header["Link"] = `<https://elsewhere.example/>; rel="next", <https://elsewhere.example/>; rel="first"`
		}
		body := fmt.Sprintf(`[{"iid": %s, "source_branch": "libre/docs", "source_project_id": 1, "target_project_id": 1}]`, number)
		return &forgetest.Fault{Status: http.StatusOK, Header: header, Body: body}
	})
	pulls, err := forge.openPulls(t.Context())
	if err != nil || len(pulls) != 3 || pulls[2].number != 3 {
		t.Errorf("%+v, %v", pulls, err)
	}
}
