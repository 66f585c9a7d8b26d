package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/upstream/forgetest"
	"github.com/libresh/libre/internal/web"
)

const gitlabToken = "glpat-read"

// notesAtGitLab returns a private project in two groups, with releases from v0 to v119.
func notesAtGitLab(t *testing.T) (*forgetest.Forge, *forgetest.Repo, string) {
	t.Helper()
	forge := forgetest.GitLab(t)
	repo := forge.AddRepo("coop/tools/notes")
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.TagAnnotated("v1", commit)
	repo.SetPrivate()
	for i := range 120 {
		repo.AddRelease(forgetest.Release{Tag: fmt.Sprintf("v%d", i), Date: day(i), Notes: "n"})
	}
	forge.AddToken(gitlabToken, false)
	return forge, repo, commit
}

func gitlabSource(repo *forgetest.Repo) Source {
	return Source{Kind: "git", Location: strings.TrimSuffix(repo.CloneURL(), ".git"), Forge: "gitlab"}
}

func TestGitLabReleases(t *testing.T) {
	forge, repo, commit := notesAtGitLab(t)
	soon := time.Now().AddDate(0, 1, 0)
	repo.AddRelease(forgetest.Release{Tag: "v200", Date: soon})
	repo.AddRelease(forgetest.Release{Tag: "beta/v1.2", Date: day(-1), Notes: "slash"})
	c, _ := newClient(t, t.TempDir(), forge.Environment(), map[string]string{"GITLAB_TOKEN": gitlabToken})
	finder := open(t, c, gitlabSource(repo))
	if got := tagsOf(t, finder); !slices.Equal(got, []Tag{{"v1", commit}}) {
		t.Errorf("tags %v", got)
	}
	forge.Requests()
	if got := release(t, finder, "v119"); got == nil || got.Reason != "" || !got.Date.Equal(day(119)) || got.Page != forge.URL+"/coop/tools/notes/-/releases/v119" {
		t.Errorf("v119: %+v", got)
	}
	if got := release(t, finder, "v200"); got == nil || got.Reason != "announced for "+soon.UTC().Format(time.DateOnly) {
		t.Errorf("v200, which is upcoming: %+v", got)
	}
	if got := release(t, finder, "v5"); got == nil || got.Notes != "n" { // page 2 is the last
		t.Errorf("v5: %+v", got)
	}
	if got := release(t, finder, "v300"); got != nil {
		t.Errorf("v300: %+v", got)
	}
	const list = "/api/v4/projects/coop%2Ftools%2Fnotes/releases"
	var asked []string
	for _, r := range forge.Requests() {
		if r.Token != gitlabToken {
			t.Errorf("%s with the token %q", r.Path, r.Token)
		}
		asked = append(asked, r.Path)
	}
	if want := []string{list + "?page=1&per_page=100", list + "?page=2&per_page=100"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}

	again := open(t, c, gitlabSource(repo))
	if got := release(t, again, "beta/v1.2"); got == nil || got.Notes != "slash" || got.Page != forge.URL+"/coop/tools/notes/-/releases/beta%2Fv1.2" {
		t.Errorf("a tag with a slash, by itself: %+v", got)
	}
	repo.Remove()
	if _, err := open(t, c, gitlabSource(repo)).Release(t.Context(), "v1"); err == nil {
		t.Error("release of a project that is gone")
	}
}

// A tag without a release has none, whatever a version of GitLab answers.
func TestGitLabTagWithoutRelease(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
		forge, repo, _ := notesAtGitLab(t)
		forge.SetFault(func(r *http.Request) *forgetest.Fault {
			if strings.HasSuffix(r.URL.Path, "/releases/v1-rc1") {
				return &forgetest.Fault{Status: status, Body: `{"message":"no"}`}
			}
			return nil
		})
		c, _ := newClient(t, "", forge.Environment(), map[string]string{"GITLAB_TOKEN": gitlabToken})
		if got := release(t, open(t, c, gitlabSource(repo)), "v1-rc1"); got != nil {
			t.Errorf("%d: %+v", status, got)
		}
	}
}

func TestGitLabRefusals(t *testing.T) {
	forge, repo, _ := notesAtGitLab(t)
	for _, test := range []struct{ token, wrong string }{
		{"", "not found, or private: set GITLAB_TOKEN, and GITLAB_HOST to " + forge.URL},
		{"expired", "refuses (401 Unauthorized) to the token of GITLAB_TOKEN: check its expiry and its rights"},
	} {
		c, _ := newClient(t, "", forge.Environment(), map[string]string{"GITLAB_TOKEN": test.token})
		_, err := open(t, c, gitlabSource(repo)).Release(t.Context(), "v1")
		if err == nil || !strings.Contains(err.Error(), test.wrong) || !strings.HasPrefix(err.Error(), "listing the releases of "+forge.URL+"/coop/tools/notes: ") {
			t.Errorf("token %q: error %v, want %q", test.token, err, test.wrong)
		}
		if fault.Is(err, fault.Credentials) != (test.token != "") {
			t.Errorf("token %q: error %T", test.token, err)
		}
	}
}

// libre waits for a limit that ends soon. A limit that ends late is an error with its time.
func TestGitLabLimits(t *testing.T) {
	for _, until := range []time.Duration{30 * time.Second, time.Hour} {
		forge, repo, _ := notesAtGitLab(t)
		forge.SetQuota(0, time.Now().Add(until))
		c, waited := newClient(t, "", forge.Environment(), map[string]string{"GITLAB_TOKEN": gitlabToken})
		c.transport.Wait = func(ctx context.Context, long time.Duration) error {
			*waited = append(*waited, long)
			forge.SetQuota(5000, time.Now().Add(time.Hour))
			return ctx.Err()
		}
		found, err := open(t, c, gitlabSource(repo)).Release(t.Context(), "v119")
		if isLimit := errors.As(err, new(*web.LimitError)); isLimit != (until == time.Hour) || isLimit == (found != nil) || isLimit == (len(*waited) == 1) {
			t.Errorf("a limit of %s: %+v, %v, waited %v", until, found, err, *waited)
		}
	}
}

func TestGitLabLinks(t *testing.T) {
	c, _ := newClient(t, "", map[string]string{"GITLAB_HOST": "https://git.example/gitlab"})
	for _, location := range []string{"https://git.example/gitlab/coop/tools/notes.git", "https://me@git.example/gitlab/coop/tools/notes/", "git@git.example:coop/tools/notes.git"} {
		const page = "https://git.example/gitlab/coop/tools/notes/-/"
		want := Links{Release: page + "releases/v2", Compare: page + "compare/v1...v2"}
		if got := open(t, c, Source{Kind: "git", Location: location, Forge: "gitlab"}).Links("v1", "v2"); got != want {
			t.Errorf("%s: %+v, want %+v", location, got, want)
		}
	}
}

// said is a server that answers every request with one body.
type said string

func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(string(s)))}, nil
}

// Any answer of a forge about its releases is within limits, or an error of one line.
func FuzzReleases(f *testing.F) {
	f.Add(`[{"tag_name":"v1","description":"n","released_at":"2026-10-05T12:00:00.000Z","upcoming_release":true}]`)
	f.Add(`[{"tag_name":"v1","body":"n","published_at":"2026-10-05T12:00:00Z","draft":true,"html_url":"https://git.example/o/r/releases/tag/v1"}]`)
	f.Add(`{"message":"404 Project Not Found"}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, forge := range []string{"gitlab", "forgejo"} {
			c, _ := newClient(t, "")
			c.http.Transport = said(body)
			found, err := open(t, c, Source{Kind: "git", Location: "https://git.example/o/r", Forge: forge}).Release(t.Context(), "v1")
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q", err)
			}
			if found != nil && (found.Tag != "v1" || len(found.Notes) > mostNotes) {
				t.Errorf("release %+v", found)
			}
			if found != nil && forge == "gitlab" && found.Page != "https://git.example/o/r/-/releases/v1" {
				t.Errorf("page %q", found.Page)
			}
		}
	})
}
