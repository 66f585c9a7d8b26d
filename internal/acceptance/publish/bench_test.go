package publish

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// benchKinds are the registries for which requests are counted: with and without the
// referrers API.
var benchKinds = []string{"referrers", "docker-registry"}

// latency is the additional time that each request takes.
const latency = 20 * time.Millisecond

// BenchmarkNothingToPublish pushes 500 published images: 125 apps of 4. The baseline is
// evaluating the same images. For each image there is one HEAD, and for its index and each
// platform's manifest the list of attachments, which is one request, or two without the
// referrers API. Logins do not count.
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
	for _, kind := range benchKinds {
		b.Run(kind, func(b *testing.B) {
			reg := newWatched(b, kind, "")
			push := []string{"push", defaults, "--to", reg.prefix()}
			c.run(push...).want(b, 0)
			seen := reg.record(latency)
			bench.Times(b, bench.Row{Table: "Nothing to do", Work: "push 500 published images, 20 ms a request, " + kind, Goal: 1.2},
				bench.Program{Name: "libre push", Run: func() bench.Use {
					if got := alone.run(push...).want(b, 0); strings.Count(got.stdout, "\tunchanged") != apps*(components+1) {
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
			isRecord := func(x *exchange) bool {
				return strings.HasSuffix(x.repository, "-default") && !strings.Contains(x.repository, "-part")
			}
			isList := func(x *exchange) bool {
				return strings.HasPrefix(x.subject, "referrers/") || strings.HasPrefix(x.subject, "sha256-")
			}
			images := seen.of(func(x *exchange) bool { return !isRecord(x) && !isList(x) })
			for _, x := range images {
				if x.method != http.MethodHead {
					b.Errorf("%s %s %s, of an image that is published", x.method, x.repository, x.subject)
				}
			}
			for _, row := range []struct {
				work      string
				of        int
				each      float64
				yardstick string
			}{
				{"requests for an image", len(seen.of(func(x *exchange) bool { return !isRecord(x) })), apps * components, "one for an image"},
				{"requests for a release record", len(seen.of(isRecord)), apps, "one for a record"},
			} {
				bench.Keep(b, bench.Row{Table: "Nothing to do", Work: row.work + ", " + kind, Unit: "requests", Goal: 1, Sides: []bench.Side{
					{Name: "libre push", Values: []float64{float64(row.of) / (bench.Rounds * row.each)}}, {Name: row.yardstick, Values: []float64{1}},
				}})
			}
		})
	}
}

// BenchmarkChangedPath publishes an image of 100 layers again after one path changed, its
// root, on a machine that knows no layer. Goal: at most 1.05 times the bytes of that path's
// layer, config and manifests, and at most 12 requests besides attachments.
//
//   - "requests" are requests to the image's repository about its tags, manifests and
//     blobs, for the former release and the new one, and the check of push access.
//   - "requests-subject" are requests in which attaching reads the subject. They also
//     show that the manifests have arrived.
//   - "requests-record" are requests to the record's repository about tags, the former
//     record and the new one.
//   - Requests about its attachments are all others to the two repositories: to attach, to
//     verify that, and to verify the attachments of the former record.
//   - "requests-all" are all requests, with the login.
func BenchmarkChangedPath(b *testing.B) {
	c := newCatalogue(b, map[string]string{
		// Layers of less than a mebibyte are merged. Two layers are reserved for the root
		// file system and the debug image's tools.
		"big/default.nix": `{ mkApp, pkgs, ... }:
let part = n: pkgs.runCommand "part-${toString n}" { } "seq ${toString n}00000 ${toString n}99999 > $out; seq ${toString n}00000 ${toString n}99999 >> $out"; in
mkApp {
  name = "big"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web.package = { source, ... }: pkgs.runCommand "big" { inherit source; parts = builtins.genList (n: part (n + 100)) 96; }
    "mkdir $out; cp $source/data $out/; echo $parts > $out/parts";
}
`,
		"big/src/data": random(1),
	}, "x86_64-linux")
	c.file(b, "libre.yaml", "sign:\n  key: cosign.key\n")
	push := func(c catalogue, reg *watched) { c.run("push", defaults, "--to", reg.prefix()).want(b, 0) }
	changed := c.copy(b)
	changed.file(b, "apps/big/src/data", random(2))
	changed.edit(b, "apps/big/default.nix", "packageVersion = 1", "packageVersion = 2")
	changed.run("build", defaults).want(b, 0)
	for _, kind := range benchKinds {
		b.Run(kind, func(b *testing.B) {
			reg := newWatched(b, kind, "")
			push(c, reg)
			seen := reg.record(0)
			push(changed.cold(b), reg)

			before, after := contents(b, reg, "big-web-default", "1.0-1"), contents(b, reg, "big-web-default", "1.0-2")
			records := contents(b, reg, "big-default", "1.0-1", "1.0-2")
			var largest, documents int64
			layers := 0
			for digest, blob := range after {
				if !blob.layer {
					documents += blob.size
					continue
				}
				layers++
				if _, known := before[digest]; !known {
					largest = max(largest, blob.size)
				}
			}
			isSubject := func(x *exchange) bool { return x.method == http.MethodHead && after.isManifest(x.subject) }
			ours := seen.of(func(x *exchange) bool {
				return x.repository == "big-web-default" && !isSubject(x) &&
					(isRelease(x.subject) || x.subject == "" || before.has(x.subject) || after.has(x.subject))
			})
			subjects := seen.of(func(x *exchange) bool { return x.repository == "big-web-default" && isSubject(x) })
			record := seen.of(func(x *exchange) bool {
				return x.repository == "big-default" && (isRelease(x.subject) || x.subject == "tags/list" || records.has(x.subject))
			})
			all := seen.of(func(*exchange) bool { return true })
			var sent int64
			for _, x := range ours {
				sent += x.sent
			}
			bench.Keep(b, bench.Row{Table: "What is sent", Work: "one file of the application changed, " + kind, Unit: "MB", Goal: 1.02, Sides: []bench.Side{
				{Name: "libre push", Values: []float64{float64(sent) / 1e6}},
				{Name: "its layer, config and manifests", Values: []float64{float64(largest+documents) / 1e6}},
			}})
			bench.Keep(b, bench.Row{Table: "What is sent", Work: "the same, requests about the image, " + kind, Unit: "requests", Goal: 1, Sides: []bench.Side{
				{Name: "libre push", Values: []float64{float64(len(ours))}}, {Name: "8 requests", Values: []float64{8}},
			}})
			attaching := len(all) - len(ours) - len(subjects) - len(record)
			bench.Keep(b, bench.Row{Table: "What is sent", Work: "the same, requests about its attachments, " + kind, Unit: "requests", Goal: 1, Sides: []bench.Side{
				{Name: "libre push", Values: []float64{float64(attaching)}}, {Name: "12 requests", Values: []float64{12}},
			}})
			b.ReportMetric(float64(len(subjects)), "requests-subject")
			b.ReportMetric(float64(len(record)), "requests-record")
			b.ReportMetric(float64(len(all)+seen.greetings()), "requests-all")
			b.ReportMetric(float64(layers), "layers")
		})
	}
}

// isRelease reports whether a tag is a release's.
func isRelease(subject string) bool {
	_, _, is := catalog.ParseTag(subject)
	return is
}

// content maps digests to what some tags contain.
type content map[string]part

// part is a manifest, a config or a layer.
type part struct {
	size            int64
	layer, manifest bool
}

func (c content) isManifest(digest string) bool { return c[digest].manifest }

func (c content) has(digest string) bool {
	_, has := c[digest]
	return has
}

func contents(b *testing.B, reg *watched, repository string, tags ...string) content {
	b.Helper()
	all := content{}
	add := func(d v1.Descriptor, layer bool) {
		all[d.Digest.String()] = part{d.Size, layer, d.MediaType.IsImage() || d.MediaType.IsIndex()}
	}
	repo, err := name.NewRepository(reg.backend + "/" + namespace + "/" + repository)
	if err != nil {
		b.Fatal(err)
	}
	var read func(name.Reference)
	read = func(reference name.Reference) {
		got, err := remote.Get(reference)
		if err != nil {
			b.Fatal(err)
		}
		add(got.Descriptor, false)
		var names struct {
			Manifests, Layers []v1.Descriptor
			Config            v1.Descriptor
		}
		if err := json.Unmarshal(got.Manifest, &names); err != nil {
			b.Fatal(err)
		}
		for _, child := range names.Manifests {
			read(repo.Digest(child.Digest.String()))
		}
		for _, layer := range names.Layers {
			add(layer, true)
		}
		if len(names.Manifests) == 0 {
			add(names.Config, false)
		}
	}
	for _, tag := range tags {
		read(repo.Tag(tag))
	}
	return all
}

// random returns a text of 1.2 MB that compresses to three quarters at best.
func random(seed byte) string {
	raw := make([]byte, 900_000)
	rand.NewChaCha8([32]byte{seed}).Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}
