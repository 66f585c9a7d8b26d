package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libresh/libre/internal/upstream/forgetest"
	"golang.org/x/sync/errgroup"
)

// manyApps fills a forge with repositories that have the tags of real ones.
func manyApps(t testing.TB, forge *forgetest.Forge, n int) []Source {
	t.Helper()
	files := []string{"suitenumerique_docs.tsv", "suitenumerique_meet.tsv", "suitenumerique_drive.tsv", "miniflux_v2.tsv"}
	current := []string{"v5.4.1", "v1.0.0", "v0.5.0", "2.2.0"}
	var sources []Source
	for i := range n {
		location := fmt.Sprintf("owner/app%d", i)
		forge.AddTags(location, readTags(t, files[i%4])).AddRelease(forgetest.Release{Tag: current[i%4], Date: day(1)})
		sources = append(sources, Source{Kind: "github", Location: location, Tag: current[i%4]})
	}
	return sources
}

// tagAll lists the tags of all sources at once.
func tagAll(t testing.TB, c *Client, sources []Source) map[string]Tags {
	t.Helper()
	found := map[string]Tags{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(32)
	for _, source := range sources {
		finder := open(t, c, source)
		group.Go(func() error {
			tags, err := finder.Tags(t.Context())
			mu.Lock()
			defer mu.Unlock()
			found[source.Location] = tags
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRequestsForManyApps(t *testing.T) {
	forge := forgetest.GitHub(t)
	forge.AddToken("t", false)
	sources := manyApps(t, forge, 500)

	c, _ := newClient(t, t.TempDir(), forge.Environment())
	for range 2 {
		one := tagAll(t, c, sources)
		if got := len(forge.Requests()); got != 500 {
			t.Errorf("%d requests for 500 apps without GraphQL", got)
		}
		if got := len(one["owner/app0"].All); got != 136 {
			t.Errorf("%d tags of docs", got)
		}
	}

	dir := t.TempDir()
	for _, warm := range []bool{false, true} {
		c, _ := newClient(t, dir, forge.Environment(), token("t"))
		if err := c.Prefetch(t.Context(), sources); err != nil {
			t.Fatal(err)
		}
		many := tagAll(t, c, sources)
		requests := len(forge.Requests())
		if warm && requests > 12 || !warm && requests > 12+250 { // two of four have more than 100 tags
			t.Errorf("warm %t: %d requests for 500 apps with GraphQL", warm, requests)
		}
		for i, source := range sources[:4] {
			if got, want := len(many[source.Location].All), []int{136, 79, 43, 108}[i]; got != want {
				t.Errorf("warm %t: %d tags of %s, want %d", warm, got, source.Location, want)
			}
		}
		if got := release(t, open(t, c, sources[1]), "v1.0.0"); got == nil || !got.Date.Equal(day(1)) {
			t.Errorf("warm %t: release %+v", warm, got)
		}
		if got := asked(forge); len(got) > 0 {
			t.Errorf("asked %v for a release that was in the query's answer", got)
		}
	}
}

func TestPrefetchSeesWhatChanged(t *testing.T) {
	forge := forgetest.GitHub(t)
	forge.AddToken("t", false)
	tags := readTags(t, "suitenumerique_docs.tsv") // more than a query tells
	repo := forge.AddTags("suitenumerique/docs", tags)
	source := Source{Kind: "github", Location: "suitenumerique/docs", Tag: "v1.0.0"}
	dir := t.TempDir()
	look := func() (map[string]string, int, Tags) {
		t.Helper()
		forge.Requests()
		c, _ := newClient(t, dir, forge.Environment(), token("t"))
		if err := c.Prefetch(t.Context(), []Source{source}); err != nil {
			t.Fatal(err)
		}
		found, err := open(t, c, source).Tags(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		commits := map[string]string{}
		for _, tag := range found.All {
			commits[tag.Name] = tag.Commit
		}
		return commits, len(forge.Requests()), found
	}
	changed := func(change func([]forgetest.Tag) []forgetest.Tag) {
		tags = change(slices.Clone(tags))
		repo.SetTags(tags)
	}
	byName := func(name string) func(forgetest.Tag) bool {
		return func(tag forgetest.Tag) bool { return tag.Name == name }
	}

	if commits, requests, _ := look(); len(commits) != 136 || requests != 2 {
		t.Errorf("at first: %d tags in %d requests", len(commits), requests)
	}
	if commits, requests, _ := look(); len(commits) != 136 || requests != 1 {
		t.Errorf("again: %d tags in %d requests", len(commits), requests)
	}
	changed(func(tags []forgetest.Tag) []forgetest.Tag {
		return append(tags, forgetest.Tag{Name: "v5.4.2", Commit: objectA, Date: time.Now()})
	})
	if commits, _, _ := look(); commits["v5.4.2"] != objectA || len(commits) != 137 {
		t.Errorf("a new tag: %d tags", len(commits))
	}
	changed(func(tags []forgetest.Tag) []forgetest.Tag { // a backport to an old commit
		return append(tags, forgetest.Tag{Name: "v0.1.1", Commit: objectB})
	})
	if commits, _, _ := look(); commits["v0.1.1"] != objectB {
		t.Error("a new tag of an old commit was not seen")
	}
	changed(func(tags []forgetest.Tag) []forgetest.Tag { // the tag in use, long past the newest hundred
		tags[slices.IndexFunc(tags, byName("v1.0.0"))].Commit = objectA
		return tags
	})
	if commits, _, _ := look(); commits["v1.0.0"] != objectA {
		t.Error("a moved tag was not seen")
	}
	changed(func(tags []forgetest.Tag) []forgetest.Tag {
		tags = slices.DeleteFunc(tags, byName("v1.0.0"))
		return append(tags, forgetest.Tag{Name: "v0.0.1", Commit: objectB})
	})
	if commits, _, _ := look(); commits["v1.0.0"] != "" || commits["v0.0.1"] == "" {
		t.Error("a deleted tag was not seen")
	}
	repo.Rename("elsewhere/docs")
	if _, _, found := look(); found.MovedTo != forge.URL+"/elsewhere/docs" {
		t.Errorf("moved to %q", found.MovedTo)
	}
}

func TestPrefetchOfAnnotatedTags(t *testing.T) {
	forge := forgetest.GitHub(t)
	forge.AddToken("t", false)
	repo := forge.AddRepo("o/r")
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.TagAnnotated("v1", commit)
	repo.Tag("v2", commit)
	c, _ := newClient(t, "", forge.Environment(), token("t"))
	sources := []Source{{Kind: "github", Location: "o/r", Tag: "v1"}, {Kind: "github", Location: "o/gone"}, {Kind: "url", Location: "https://x"}}
	if err := c.Prefetch(t.Context(), sources); err != nil {
		t.Fatal(err)
	}
	forge.Requests()
	if got := tagsOf(t, openGitHub(t, c, "o/r")); !slices.Equal(got, []Tag{{"v1", commit}, {"v2", commit}}) {
		t.Errorf("tags %v, want both of %s", got, commit)
	}
	if got := asked(forge); len(got) > 0 {
		t.Errorf("asked %v", got)
	}
	if _, err := openGitHub(t, c, "o/gone").Tags(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestPrefetchInTrouble(t *testing.T) {
	for _, test := range []struct {
		name    string
		fault   func(*http.Request) *forgetest.Fault
		queries int
		wrong   string
	}{
		{"a query that is too large", func(r *http.Request) *forgetest.Fault {
			if r.ContentLength > 7000 {
				return &forgetest.Fault{Status: 502}
			}
			return nil
		}, 3, ""},
		{"always", func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 502} }, 3, "502 Bad Gateway"},
		{"the hour's points", func(*http.Request) *forgetest.Fault {
			return &forgetest.Fault{Status: 200, Header: map[string]string{"X-RateLimit-Reset": "1900000000"},
				Body: `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`}
		}, 1, "takes no more requests until"},
		{"a refused token", func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 401} }, 1, "refuses (401"},
	} {
		t.Run(test.name, func(t *testing.T) {
			forge := forgetest.GitHub(t)
			forge.AddToken("t", false)
			sources := manyApps(t, forge, 50)
			forge.SetFault(test.fault)
			c, _ := newClient(t, "", forge.Environment(), token("t"))
			err := c.Prefetch(t.Context(), sources)
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want %q", err, test.wrong)
			}
			if got := len(forge.Requests()); got != test.queries {
				t.Errorf("%d queries", got)
			}
			forge.SetFault(nil)
			if got := tagAll(t, c, sources); len(got) != 50 || len(got["owner/app3"].All) != 108 {
				t.Errorf("one by one: %d", len(got))
			}
		})
	}
}

func BenchmarkManyApps(b *testing.B) {
	forge := forgetest.GitHub(b)
	forge.AddToken("t", false)
	sources := manyApps(b, forge, 500)
	dir := b.TempDir()
	run := func(b *testing.B, environment map[string]string, most int) {
		for range b.N {
			c, _ := newClient(b, dir, forge.Environment(), environment)
			if err := c.Prefetch(b.Context(), sources); err != nil {
				b.Fatal(err)
			}
			tagAll(b, c, sources)
			if got := len(forge.Requests()); got > most {
				b.Errorf("%d requests", got)
			}
		}
	}
	c, _ := newClient(b, dir, forge.Environment(), token("t"))
	tagAll(b, c, sources) // warms the cache
	forge.Requests()
	forge.SetLatency(20 * time.Millisecond)
	b.Run("one by one", func(b *testing.B) { run(b, nil, 500) })
	b.Run("GraphQL", func(b *testing.B) { run(b, token("t"), 12) })
}
