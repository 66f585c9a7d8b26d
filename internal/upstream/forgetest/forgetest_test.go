package forgetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// call sends an API request with a token that may push, and returns the status and the
// answer.
func call(t *testing.T, f *Forge, method, path string, body any) (int, map[string]any, []map[string]any) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "token push")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var one map[string]any
	var many []map[string]any
	if json.Unmarshal(answer, &one) != nil {
		json.Unmarshal(answer, &many)
	}
	return response.StatusCode, one, many
}

func git(t *testing.T, dir string, arguments ...string) error {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.org"}, arguments...)...)
	command.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Logf("git %v: %v: %s", arguments, err, out)
	}
	return err
}

// A branch is pushed with git, then its pull request is created, changed and closed.
func TestPullRequests(t *testing.T) {
	for _, kind := range []string{"GitHub", "Forgejo"} {
		t.Run(kind, func(t *testing.T) {
			f, api, conflict, changed := GitHub(t), "/api/v3/repos/o/r", http.StatusUnprocessableEntity, http.StatusOK
			if kind == "Forgejo" {
				f, api, conflict, changed = Forgejo(t), "/api/v1/repos/o/r", http.StatusConflict, http.StatusCreated
			}
			repo := f.AddRepo("o/r")
			f.AddToken("push", true)
			f.AddToken("read", false)
			clone := filepath.Join(t.TempDir(), "clone")
			if git(t, "/", "clone", "--quiet", repo.CloneURL(), clone) != nil {
				t.Fatal("no clone")
			}
			push := func(content string) string {
				t.Helper()
				if err := os.WriteFile(filepath.Join(clone, "version"), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
				if git(t, clone, "checkout", "--quiet", "-B", "libre/docs") != nil || git(t, clone, "add", "version") != nil ||
					git(t, clone, "commit", "--quiet", "--message=docs") != nil {
					t.Fatal("no commit")
				}
				for token, allowed := range map[string]bool{"": false, "read": false, "push": true} {
					to := strings.Replace(repo.CloneURL(), "://", "://x:"+token+"@", 1)
					if err := git(t, clone, "push", "--quiet", "--force", to, "libre/docs"); (err == nil) != allowed {
						t.Errorf("pushing with the token %q: %v", token, err)
					}
				}
				return repo.git("", "rev-parse", "libre/docs")
			}
			asked := map[string]any{"title": "docs: 1 -> 2", "body": "notes", "head": "libre/docs", "base": "main"}
			if status, _, _ := call(t, f, "POST", api+"/pulls", asked); status != http.StatusUnprocessableEntity {
				t.Errorf("status %d without the branch", status)
			}
			first := push("1\n")
			status, pull, _ := call(t, f, "POST", api+"/pulls", asked)
			if status != http.StatusCreated || pull["number"] != 1.0 || pull["head"].(map[string]any)["sha"] != first {
				t.Errorf("created: %d %v", status, pull)
			}
			if status, _, _ := call(t, f, "POST", api+"/pulls", asked); status != conflict {
				t.Errorf("a second one: %d", status)
			}
			second := push("2\n")
			if _, _, list := call(t, f, http.MethodGet, api+"/pulls?state=open&head=o:libre/docs", nil); len(list) != 1 || list[0]["head"].(map[string]any)["sha"] != second {
				t.Errorf("list: %v", list)
			}
			if _, _, list := call(t, f, http.MethodGet, api+"/pulls?head=o:other", nil); (len(list) == 0) != (kind == "GitHub") {
				t.Errorf("list by another head: %v", list)
			}
			if status, pull, _ := call(t, f, "PATCH", api+"/pulls/1", map[string]any{"title": "docs: 1 -> 3"}); status != changed || pull["body"] != "notes" {
				t.Errorf("updated: %d %v", status, pull)
			}
			labels := any([]string{"libre"})
			if kind == "Forgejo" {
				if status, _, _ := call(t, f, "POST", api+"/issues/1/labels", map[string]any{"labels": []int{1}}); status != http.StatusUnprocessableEntity {
					t.Errorf("a label that is not there: %d", status)
				}
				_, label, _ := call(t, f, "POST", api+"/labels", map[string]any{"name": "libre", "color": "#00ff00"})
				labels = []any{label["id"]}
			}
			call(t, f, "POST", api+"/issues/1/labels", map[string]any{"labels": labels})
			call(t, f, "POST", api+"/issues/1/comments", map[string]any{"body": "obsolete"})
			call(t, f, "PATCH", api+"/pulls/1", map[string]any{"state": "closed"})
			if _, _, list := call(t, f, http.MethodGet, api+"/pulls", nil); len(list) != 0 {
				t.Errorf("open ones: %v", list)
			}
			branch := api + "/git/refs/heads/libre/docs"
			if kind == "Forgejo" {
				branch = api + "/branches/libre/docs"
			}
			if status, _, _ := call(t, f, "DELETE", branch, nil); status != http.StatusNoContent || repo.has("refs/heads/libre/docs") {
				t.Errorf("deleting the branch: %d", status)
			}
			got := repo.Pulls()
			if len(got) != 1 || got[0].State != "closed" || got[0].Title != "docs: 1 -> 3" ||
				!slices.Equal(got[0].Labels, []string{"libre"}) || !slices.Equal(got[0].Comments, []string{"obsolete"}) {
				t.Errorf("in the end: %+v", got)
			}
		})
	}
}

func TestArchive(t *testing.T) {
	f := GitHub(t)
	repo := f.AddRepo("o/r")
	commit := repo.Commit(map[string]string{"version": "2\n"})
	repo.TagAnnotated("v2.0", commit)
	repo.Branch("v2.0", repo.Commit(map[string]string{"version": "3\n"}))
	f.AddToken("push", true)
	get := func(path, token string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.SetBasicAuth("x", token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
	check := func(token string) {
		t.Helper()
		unzipped, err := gzip.NewReader(get("/o/r/archive/refs/tags/v2.0.tar.gz", token).Body)
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(unzipped)
		header, err := archive.Next()
		if err != nil || header.PAXRecords["comment"] != commit {
			t.Fatalf("first header %v, %v, want one with the commit", header, err)
		}
		var names []string
		for {
			header, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, header.Name)
		}
		if want := []string{"r-2.0/", "r-2.0/README.md", "r-2.0/version"}; !slices.Equal(names, want) {
			t.Errorf("entries %v, want %v", names, want)
		}
	}
	check("")
	if got := get("/o/r/archive/v2.0.tar.gz", "").StatusCode; got != http.StatusMultipleChoices {
		t.Errorf("a name that is a branch's too: %d", got)
	}
	if got := get("/o/r/archive/refs/tags/v9.tar.gz", "").StatusCode; got != http.StatusNotFound {
		t.Errorf("no such tag: %d", got)
	}
	repo.SetPrivate()
	check("push")
	if got := get("/o/r/archive/refs/tags/v2.0.tar.gz", "").StatusCode; got != http.StatusUnauthorized {
		t.Errorf("private: %d", got)
	}
	if got := get("/o/r/_codeload/refs/tags/v2.0", "push").StatusCode; got != http.StatusNotFound {
		t.Errorf("private, without the redirect's token: %d", got)
	}
}

func TestParseQuery(t *testing.T) {
	q, err := parseQuery(`query($a: String!, $b: String!) { x: repository(owner: $a, name: "n") { ...f refs(first: 3, orderBy: {field: A, direction: DESC}) { totalCount } } }
fragment f on Repository { url ... on Repository { id } }`)
	if err != nil || len(q.variables) != 2 || q.selections[0].alias != "x" || len(q.selections[0].fields) != 2 || len(q.fragments["f"]) != 2 {
		t.Errorf("%+v, %v", q, err)
	}
	for _, wrong := range []string{"{", "query { a( }", "query { a", "mutation { a }", `query($a: Int) { a }`} {
		if _, err := parseQuery(wrong); err == nil {
			t.Errorf("%q: no error", wrong)
		}
	}
	root := &node{"Query", map[string]func(map[string]any) (any, error){"a": always(1)}}
	q, err = parseQuery("query { a b }")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.evaluate(root, q.selections, nil); err == nil || !strings.Contains(err.Error(), "Field 'b' doesn't exist on type 'Query'") {
		t.Errorf("error %v", err)
	}
}
