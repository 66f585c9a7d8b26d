package upstream

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

func day(n int) time.Time { return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

func TestReleases(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddTags("o/r", nil)
	repo.AddRelease(forgetest.Release{Tag: "v1.0.0", Notes: "Fixes CVE-2025-1", Date: day(1)})
	repo.AddRelease(forgetest.Release{Tag: "v2.0.0-rc1", Prerelease: true, Date: day(2)})
	repo.AddRelease(forgetest.Release{Tag: "v2.0.0", Draft: true, Date: day(3)})
	repo.AddRelease(forgetest.Release{Tag: "chart/1.0", Date: day(4), Notes: strings.Repeat("é", mostNotes)})
	forge.AddToken("push", true)
	forge.AddToken("read", false)
	for _, name := range []string{"", "read", "push"} {
		c, _ := newClient(t, "", forge.Environment(), token(name))
		finder := openGitHub(t, c, "o/r")
		want := &Release{Tag: "v1.0.0", Notes: "Fixes CVE-2025-1", Date: day(1), Page: forge.URL + "/o/r/releases/tag/v1.0.0"}
		if got := release(t, finder, "v1.0.0"); got == nil || *got != *want {
			t.Errorf("token %q: %+v, want %+v", name, got, want)
		}
		if got := release(t, finder, "v2.0.0-rc1"); got == nil || !got.Prerelease || got.Draft {
			t.Errorf("token %q: %+v, want a prerelease", name, got)
		}
		if got := release(t, finder, "v2.0.0"); (name == "push") != (got != nil && got.Draft && !got.Date.IsZero()) {
			t.Errorf("token %q: %+v, want the draft for who may push alone", name, got)
		}
		if got := release(t, finder, "chart/1.0"); got == nil || len(got.Notes) > mostNotes || strings.ContainsRune(got.Notes, '\uFFFD') {
			t.Errorf("token %q: notes are not cut as they should", name)
		}
		if got := release(t, finder, "v3"); got != nil {
			t.Errorf("token %q: %+v of nothing", name, got)
		}
		if got := asked(forge); len(got) != 1 {
			t.Errorf("token %q: asked %v, want the list once", name, got)
		}
	}
}

// A stable release after 300 candidates is on the fourth page. No other pages are read.
func TestReleasesAreReadAsAskedFor(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddTags("o/r", nil)
	for i := range 500 {
		repo.AddRelease(forgetest.Release{Tag: fmt.Sprintf("v1.0.%d", i), Date: day(i)})
	}
	repo.AddRelease(forgetest.Release{Tag: "v2.0.0", Date: day(500)})
	for i := range 300 {
		repo.AddRelease(forgetest.Release{Tag: fmt.Sprintf("v3.0.0-rc%d", i), Prerelease: true, Date: day(501 + i)})
	}
	dir := t.TempDir()
	for _, status := range []int{http.StatusOK, http.StatusNotModified} {
		c, _ := newClient(t, dir, forge.Environment())
		finder := openGitHub(t, c, "o/r")
		for i := 299; i >= 0; i-- {
			if got := release(t, finder, fmt.Sprintf("v3.0.0-rc%d", i)); got == nil || !got.Prerelease {
				t.Fatalf("rc%d: %+v", i, got)
			}
		}
		if got := release(t, finder, "v2.0.0"); got == nil || got.Prerelease {
			t.Errorf("v2.0.0: %+v", got)
		}
		requests := forge.Requests()
		if len(requests) != 4 || slices.ContainsFunc(requests, func(r forgetest.Request) bool { return r.Status != status }) {
			t.Errorf("asked %v, want four pages with status %d", requests, status)
		}
	}

	// A tag without a release costs a page and a request, not all pages.
	c, _ := newClient(t, "", forge.Environment())
	finder := openGitHub(t, c, "o/r")
	for range 3 {
		if got := release(t, finder, "v9"); got != nil {
			t.Errorf("v9: %+v", got)
		}
	}
	want := []string{"GET /api/v3/repos/o/r/releases?page=1&per_page=100", "GET /api/v3/repos/o/r/releases/tags/v9"}
	if got := asked(forge); !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
	// A release on a late page is found by a request for its tag.
	if got := release(t, finder, "v1.0.3"); got == nil || !got.Date.Equal(day(3)) {
		t.Errorf("v1.0.3: %+v", got)
	}
}

func TestLinks(t *testing.T) {
	c, _ := newClient(t, "")
	for _, test := range []struct {
		source Source
		want   Links
	}{
		{Source{Kind: "github", Location: "o/r"}, Links{"https://github.com/o/r/releases/tag/v2", "https://github.com/o/r/compare/v1...v2",
			"https://github.com/o/r/archive/refs/tags/v2.tar.gz"}},
		{Source{Kind: "git", Location: "https://me@codeberg.org/o/r.git", Forge: "forgejo"}, Links{"https://codeberg.org/o/r/releases/tag/v2",
			"https://codeberg.org/o/r/compare/v1...v2", "https://codeberg.org/o/r/archive/refs/tags/v2.tar.gz"}},
		{Source{Kind: "git", Location: "https://github.com/o/r"}, Links{}},
		{Source{Kind: "goModule", Location: "github.com/o/r"}, Links{Release: "https://pkg.go.dev/github.com/o/r@v2"}},
	} {
		if got := open(t, c, test.source).Links("v1", "v2"); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.source, got, test.want)
		}
	}
}

func TestForgejoReleases(t *testing.T) {
	forge := forgetest.Forgejo(t)
	repo := forge.AddRepo("o/r")
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.TagAnnotated("v1", commit)
	repo.SetPrivate()
	for i := range 120 {
		repo.AddRelease(forgetest.Release{Tag: fmt.Sprintf("v%d", i), Date: day(i), Prerelease: i == 119, Notes: "n"})
	}
	repo.AddRelease(forgetest.Release{Tag: "v200", Draft: true, Date: day(200)})
	forge.AddToken("read", false)
	c, _ := newClient(t, t.TempDir(), forge.Environment(), map[string]string{"FORGEJO_TOKEN": "read"})
	finder := open(t, c, Source{Kind: "git", Location: repo.CloneURL(), Forge: "forgejo"})
	if got := tagsOf(t, finder); !slices.Equal(got, []Tag{{"v1", commit}}) {
		t.Errorf("tags %v", got)
	}
	forge.Requests()
	if got := release(t, finder, "v119"); got == nil || !got.Prerelease || !got.Date.Equal(day(119)) || got.Page != forge.URL+"/o/r/releases/tag/v119" {
		t.Errorf("v119: %+v", got)
	}
	if got := release(t, finder, "v5"); got == nil || got.Prerelease || got.Notes != "n" { // page 2, then by itself
		t.Errorf("v5: %+v", got)
	}
	if got := release(t, finder, "v200"); got != nil { // page 3 is the last
		t.Errorf("v200: %+v", got)
	}
	if got := forge.Requests(); len(got) != 4 || slices.ContainsFunc(got, func(r forgetest.Request) bool { return r.Token != "read" }) {
		t.Errorf("asked %v", got)
	}
	repo.Remove()
	if _, err := open(t, c, Source{Kind: "git", Location: repo.CloneURL(), Forge: "forgejo"}).Release(t.Context(), "v1"); err == nil {
		t.Error("release of a repository that is gone")
	}
}

// A project on Forgejo may have switched releases off, and only tag.
func TestForgejoWithoutReleases(t *testing.T) {
	forge := forgetest.Forgejo(t)
	repo := forge.AddRepo("o/r")
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.Tag("v1", commit)
	repo.SwitchReleasesOff()
	c, _ := newClient(t, t.TempDir(), forge.Environment())
	finder := open(t, c, Source{Kind: "git", Location: repo.CloneURL(), Forge: "forgejo"})
	if got := tagsOf(t, finder); !slices.Equal(got, []Tag{{"v1", commit}}) {
		t.Errorf("tags %v", got)
	}
	if got := release(t, finder, "v1"); got != nil {
		t.Errorf("release %+v", got)
	}
}
