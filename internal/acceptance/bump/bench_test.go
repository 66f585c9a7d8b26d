package bump

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// BenchmarkCheckMany runs `libre bump --all --check` for 500 apps without new versions,
// with a warm cache and 20 ms per request, without and with a token, which allows GraphQL.
func BenchmarkCheckMany(b *testing.B) {
	const apps = 500
	tags := []string{"v5.4.1", "v1.27.0", "v0.21.1", "v2.3.3"}
	var lists [][]forgetest.Tag
	for _, name := range []string{"suitenumerique_docs", "suitenumerique_meet", "suitenumerique_drive", "miniflux_v2"} {
		list, err := forgetest.ReadTags("../../upstream/testdata/tags/" + name + ".tsv")
		if err != nil {
			b.Fatal(err)
		}
		lists = append(lists, list)
	}
	forge := forgetest.GitHub(b)
	forge.AddToken("t", false)
	files := map[string]string{}
	for i := range apps {
		location, tag := fmt.Sprintf("owner/app%d", i), tags[i%len(tags)]
		forge.AddTags(location, lists[i%len(tags)])
		files[fmt.Sprintf("app%d/default.nix", i)] = fmt.Sprintf(`{ mkApp, pkgs, ... }: mkApp { name = "app%d"; version = %q; packageVersion = 1;
  source = { github = %q; tag = %q; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };
  components.web.package = { source, ... }: pkgs.writeText "web" "${source}"; }
`, i, strings.TrimPrefix(tag, "v"), location, tag)
	}
	dir := libre.Catalogue(b, files)
	var environment []string
	for name, value := range forge.Environment() {
		environment = append(environment, name+"="+value)
	}
	n := &nix.Nix{CacheDir: filepath.Join(libre.CacheHome(), "libre")}
	evaluated, err := n.OpenCatalogue(b.Context(), dir, nix.HostPackageName)
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct{ name, token string }{{"one by one", ""}, {"GraphQL", "t"}} {
		b.Run(way.name, func(b *testing.B) {
			c := catalogue{dir: dir, env: append(slices.Clone(environment), "GITHUB_TOKEN="+way.token, "GH_TOKEN=")}
			forge.SetLatency(0)
			c.run(b, 0, "bump", "--all", "--check") // warms the cache
			forge.SetLatency(20 * time.Millisecond)
			forge.Requests()
			bench.Times(b, bench.Row{Table: "Follow upstream", Work: "bump --all --check, 500 apps, 20 ms a request, " + way.name},
				bench.Program{Name: "libre bump --check", Run: func() bench.Use {
					c.run(b, 0, "bump", "--all", "--check")
					return bench.Use{Requests: int64(len(forge.Requests()))}
				}},
				bench.Program{Name: "Nix's evaluation alone", Run: func() bench.Use {
					if _, err := evaluated.Evaluate(b.Context(), nix.Request{Patterns: catalog.All}); err != nil {
						b.Fatal(err)
					}
					return bench.Use{}
				}},
				bench.Program{Name: "git ls-remote of each app, 8 at a time", Run: func() bench.Use { return listTags(b, forge, apps) }},
			)
		})
	}
}

// BenchmarkOneBump counts the evaluations of one bump with a dependent hash and without a
// build. Goal: at most 3.
func BenchmarkOneBump(b *testing.B) {
	c, repo := suite(b, forgetest.GitHub(b))
	release(repo, "1.1.0", "better")
	path, evaluations := testkit.CountCalls(b, "nix", "eval")
	c.env = append(c.env, path)
	c.run(b, 0, "bump", "notes")
	b.ReportMetric(float64(evaluations()), "evaluations")
	b.ReportMetric(0, "ns/op")
}

// listTags asks git for the tags of each app, 8 at a time.
func listTags(b *testing.B, forge *forgetest.Forge, apps int) bench.Use {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for i := range apps {
		group.Go(func() error {
			return exec.Command("git", "ls-remote", "--tags", fmt.Sprintf("%s/owner/app%d", forge.URL, i)).Run()
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return bench.Use{Requests: int64(len(forge.Requests()))}
}
