package upstream

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// newClient returns a client with its own environment. Instead of waiting, it records how long
// it would have waited.
func newClient(t testing.TB, dir string, environments ...map[string]string) (*Client, *[]time.Duration) {
	t.Helper()
	environment := map[string]string{}
	for _, more := range environments {
		maps.Copy(environment, more)
	}
	c, err := New(Config{CacheDir: dir, Getenv: func(name string) string { return environment[name] }})
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	c.transport.Wait = func(ctx context.Context, long time.Duration) error {
		waited = append(waited, long)
		return ctx.Err()
	}
	return c, &waited
}

func open(t testing.TB, c *Client, source Source) Finder {
	t.Helper()
	finder, err := c.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	return finder
}

func openGitHub(t testing.TB, c *Client, location string) Finder {
	t.Helper()
	return open(t, c, Source{Kind: "github", Location: location})
}

// tagsOf lists a finder's tags by name.
func tagsOf(t testing.TB, finder Finder) []Tag {
	t.Helper()
	found, err := finder.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found.All, func(a, b Tag) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return found.All
}

func release(t testing.TB, finder Finder, tag string) *Release {
	t.Helper()
	found, err := finder.Release(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func readTags(t testing.TB, file string) []forgetest.Tag {
	t.Helper()
	tags, err := forgetest.ReadTags("testdata/tags/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// asked returns methods, paths and statuses of the requests since the last call.
func asked(forge *forgetest.Forge) []string {
	var lines []string
	for _, r := range forge.Requests() {
		lines = append(lines, r.Method+" "+r.Path)
	}
	return lines
}

func token(name string) map[string]string { return map[string]string{"GITHUB_TOKEN": name} }
