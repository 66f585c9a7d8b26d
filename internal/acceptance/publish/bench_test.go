package publish

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// latency is the additional time that each request takes.
const latency = 20 * time.Millisecond

// BenchmarkNothingToPublish pushes 500 published images: 125 apps of 4. The baseline is
// evaluating the same images. For each image there is one HEAD, and for its index and each
// platform's manifest the list of attachments, which is one request, or two without the
// referrers API. With --trust-records there is the HEAD only. Logins do not count.
func BenchmarkNothingToPublish(b *testing.B) {
	const apps, components = 125, 4
	files := map[string]string{}
	for i := range apps {
		app := fmt.Sprintf("app%d", i)
		definition := fmt.Sprintf("{ mkApp, pkgs, ... }: mkApp { name = %q; version = \"1\"; packageVersion = 1;\n", app)
		for n := range components {
			definition += fmt.Sprintf("components.part%d.package = pkgs.writeText \"part\" \"part %d of %s\\n\";\n", n, n, app)
		}
		files[app+"/default.nix"] = definition + "}\n"
	}
	c := newCatalogue(b, files, "x86_64-linux")
	c.file(b, "libre.yaml", "sign:\n  key: cosign.key\n")
	alone := c
	alone.alone = true

	n := &nix.Nix{CacheDir: filepath.Join(libre.CacheHome(), "libre")}
	evaluated, err := n.OpenCatalogue(b.Context(), c.dir, nix.HostPackageName)
	if err != nil {
		b.Fatal(err)
	}
	everything := nix.Request{Patterns: []catalog.Pattern{{App: "*", Component: "*", Variant: "default"}}, AllSystems: true}
	for _, kind := range []string{"referrers", "docker-registry"} { // with and without the referrers API
		b.Run(kind, func(b *testing.B) {
			reg := newWatched(b, kind, "")
			push := []string{"push", defaults, "--to", reg.prefix()}
			c.run(push...).want(b, 0)
			if kind == "referrers" {
				reg.remember()
				alone.run(push...).want(b, 0)
			}
			for _, flag := range []string{"", " --trust-records"} {
				seen, runs := reg.record(latency), 0
				line := append(push, strings.Fields(flag)...)
				bench.Times(b, bench.Row{Table: "Nothing to do", Work: "push 500 published images" + with(flag) + ", 20 ms a request, " + kind, Goal: 1.2},
					bench.Program{Name: "libre push" + flag, Run: func() bench.Use {
						runs++
						if got := alone.run(line...).want(b, 0); strings.Count(got.stdout, "\tunchanged") != apps*(components+1) {
							b.Fatalf("not all is published:\n%s", got.stdout)
						}
						return bench.Use{}
					}},
					bench.Program{Name: "Nix's evaluation alone", Run: func() bench.Use {
						if got, err := evaluated.Evaluate(b.Context(), everything); err != nil || len(got.Images) != apps*components {
							b.Fatalf("%v, %v", got, err)
						}
						return bench.Use{}
					}},
				)
				keepRequests(b, seen, flag, kind, runs*apps, runs*apps*components)
			}
		})
	}
}

func with(flag string) string {
	if flag == "" {
		return ""
	}
	return " with" + flag
}

// keepRequests keeps the mean numbers of requests for each of the records and images that push
// looked at.
func keepRequests(b *testing.B, seen *exchanges, flag, kind string, records, looked int) {
	isRecord := func(x *exchange) bool {
		return strings.HasSuffix(x.repository, "-default") && !strings.Contains(x.repository, "-part")
	}
	isList := func(x *exchange) bool {
		return strings.HasPrefix(x.subject, "referrers/") || strings.HasPrefix(x.subject, "sha256-")
	}
	images := seen.of(func(x *exchange) bool { return !isRecord(x) })
	for _, x := range images {
		if x.method != http.MethodHead && (flag != "" || !isList(x)) {
			b.Errorf("%s %s %s, of an image that is published", x.method, x.repository, x.subject)
		}
	}
	for _, row := range []struct {
		work      string
		of, each  int
		yardstick string
	}{
		{"requests for an image", len(images), looked, "one for an image"},
		{"requests for a release record", len(seen.of(isRecord)), records, "one for a record"},
	} {
		bench.Keep(b, bench.Row{Table: "Nothing to do", Work: row.work + with(flag) + ", " + kind, Unit: "requests", Goal: 1, Sides: []bench.Side{
			{Name: "libre push" + flag, Values: []float64{float64(row.of) / float64(row.each)}}, {Name: row.yardstick, Values: []float64{1}},
		}})
	}
}
