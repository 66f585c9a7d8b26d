package publish

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
)

// BenchmarkChangedPath publishes an image of 100 layers again after one path changed, its root: on
// a machine that knows no layer, and, for the requests about attachments, on the one that published
// it before.
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
	changed := c.copy(b)
	changed.file(b, "apps/big/src/data", random(2))
	changed.edit(b, "apps/big/default.nix", "packageVersion = 1", "packageVersion = 2")
	changed.run("build", defaults).want(b, 0)
	keep := func(work, unit string, goal, ours float64, yardstick string, theirs float64) {
		bench.Keep(b, bench.Row{Table: "What is sent", Work: work, Unit: unit, Goal: goal, Sides: []bench.Side{
			{Name: "libre push", Values: []float64{ours}}, {Name: yardstick, Values: []float64{theirs}},
		}})
	}
	for _, kind := range []string{"libre serve", "docker-registry"} {
		b.Run(kind, func(b *testing.B) {
			cold := publishChanged(b, kind, c, changed.cold(b))
			keep("one file of the application changed, "+kind, "MB", 1.02, float64(cold.sent)/1e6, "its layer, config and manifests", float64(cold.needed)/1e6)
			keep("the same, requests about the image, "+kind, "requests", 1, float64(cold.image), "8 requests", 8)
			warm := publishChanged(b, kind, c, changed)
			keep("the same, requests about its attachments, "+kind, "requests", 1, float64(warm.attachments), "12 requests", 12)
			b.ReportMetric(float64(cold.subjects), "requests-subject")
			b.ReportMetric(float64(cold.record), "requests-record")
			b.ReportMetric(float64(cold.all), "requests-all")
			b.ReportMetric(float64(cold.layers), "layers")
		})
	}
}

// changedPath is what publishing an image with one changed path took.
type changedPath struct {
	layers       int
	needed, sent int64 // bytes of the changed layer, the config and the manifests; of the requests about the image
	// Requests to the image's repository about its tags, manifests and blobs, for the former release
	// and the new one, and the check of push access.
	image int
	// Requests in which attaching reads the subject. They also show that the manifests have arrived.
	subjects int
	// Requests to the record's repository about tags, the former record and the new one.
	record int
	// All others to the two repositories: to attach, to verify that, and to verify the attachments of
	// the former record.
	attachments int
	all         int // with the login
}

// publishChanged publishes a release to a new registry, and then the changed one.
func publishChanged(b *testing.B, kind string, former, changed catalogue) (took changedPath) {
	b.Helper()
	reg := newWatched(b, kind, "")
	former.run("push", defaults, "--to", reg.prefix()).want(b, 0)
	seen := reg.record(0)
	changed.run("push", defaults, "--to", reg.prefix()).want(b, 0)

	before, after := contents(b, reg, "big-web-default", "1.0-1"), contents(b, reg, "big-web-default", "1.0-2")
	records := contents(b, reg, "big-default", "1.0-1", "1.0-2")
	var largest int64
	for digest, blob := range after {
		if !blob.layer {
			took.needed += blob.size
			continue
		}
		took.layers++
		if _, known := before[digest]; !known {
			largest = max(largest, blob.size)
		}
	}
	took.needed += largest
	for _, x := range seen.of(func(*exchange) bool { return true }) {
		ofImage := x.repository == "big-web-default"
		switch {
		case ofImage && x.method == http.MethodHead && after.isManifest(x.subject):
			took.subjects++
		case ofImage && (isRelease(x.subject) || x.subject == "" || before.has(x.subject) || after.has(x.subject)):
			took.image++
			took.sent += x.sent
		case x.repository == "big-default" && (isRelease(x.subject) || x.subject == "tags/list" || records.has(x.subject)):
			took.record++
		default:
			took.attachments++
		}
	}
	took.all = took.image + took.subjects + took.record + took.attachments + seen.greetings()
	return took
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
