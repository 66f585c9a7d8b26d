package prune

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	inmemory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/serve"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

var now = time.Date(2026, 7, 9, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house publishes releases of the app docs, with the component web, as push does.
type house struct {
	*testing.T
	client *registry.Client
	apps   map[string]catalog.App
	keys   map[string]*sign.Signer
}

func newHouse(t *testing.T, host string) *house {
	t.Helper()
	client, err := registry.NewClient(host+"/coop", registry.Options{})
	check(t, err)
	return &house{t, client, map[string]catalog.App{"docs": app("docs", "9"), "meet": app("meet", "9")}, map[string]*sign.Signer{}}
}

func app(name, version string) catalog.App {
	return catalog.App{Name: name, Version: version, PackageVersion: 1, Variants: []string{"default"}, Components: map[string]catalog.Component{"web": {}}}
}

// image pushes an image for one platform, below an index, without a tag.
func (h *house) image(repository, content, base string) (index name.Digest, platform string) {
	h.Helper()
	ctx := h.Context()
	ref := catalog.Ref{Repository: repository, Tag: "x"}
	manifest, err := h.client.PushArtifact(ctx, ref, registry.Artifact{Type: "application/x-test", Content: []byte(content), Annotations: map[string]string{release.OCIPrefix + "base.digest": base}})
	check(h, err)
	described, err := h.client.Head(ctx, manifest)
	check(h, err)
	described.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{*described}, Annotations: map[string]string{"content": content}})
	check(h, err)
	sum, _, err := v1.SHA256(bytes.NewReader(raw))
	check(h, err)
	digest := manifest.Context().Digest(sum.String())
	check(h, h.client.PutManifest(ctx, digest, types.OCIImageIndex, raw))
	return digest, manifest.DigestStr()
}

// sign attaches an artifact like a signature, made some time ago.
func (h *house) sign(subject name.Digest, ago time.Duration) {
	h.Helper()
	described, err := h.client.Head(h.Context(), subject)
	check(h, err)
	repository := subject.Context().RepositoryStr()
	_, err = h.client.PushArtifact(h.Context(), catalog.Ref{Repository: repository[strings.LastIndex(repository, "/")+1:], Tag: "x"}, registry.Artifact{
		Type: "application/x-signature", Content: []byte("signed " + subject.String()), Subject: described,
		Annotations: map[string]string{createdAnnotation: now.Add(-ago).Format(time.RFC3339)},
	})
	check(h, err)
}

// publish publishes a release that was signed some time ago, and returns the digest of its
// image.
func (h *house) publish(app, version, base string, ago time.Duration) name.Digest {
	h.Helper()
	id := catalog.ID{App: app, Component: "web", Variant: "default"}
	ref := catalog.Ref{Repository: id.Name(), Tag: version + "-1"}
	index, platform := h.image(id.Name(), app+version, base)
	record := &state.Record{Schema: 1, App: app, Variant: "default", Version: version, PackageVersion: 1, Components: map[string]*state.RecordComponent{
		"web": {Reference: ref, Digest: index.DigestStr(), Systems: map[string]string{"linux/amd64": platform}},
	}}
	artifact, err := record.Artifact()
	check(h, err)
	at := catalog.RecordRef(app, "default", version, 1)
	digest, err := h.client.PushArtifact(h.Context(), at, artifact)
	check(h, err)
	for _, subject := range []name.Digest{digest, index, index.Context().Digest(platform)} {
		h.sign(subject, ago)
	}
	check(h, h.client.SetTag(h.Context(), ref, index))
	check(h, h.client.SetTag(h.Context(), at, digest))
	return index
}

func (h *house) pruner() *Pruner {
	return &Pruner{Registry: h.client, Apps: h.apps, Patterns: catalog.All, Now: now, Withdrawn: func(string, string) bool { return false }}
}

func (h *house) plan(rule Rule) *Plan {
	h.Helper()
	plan, err := h.pruner().Plan(h.Context(), rule)
	check(h, err)
	return plan
}

// there returns the versions of docs whose records, images and attachments all exist.
func (h *house) there() (versions []string) {
	h.Helper()
	return h.thereAfter("docs", 0, nil)
}

func (h *house) thereAfter(app string, request int, failure error) (versions []string) {
	h.Helper()
	defer func() {
		if h.Failed() {
			h.Logf("after request %d: %v", request, failure)
		}
	}()
	tags, err := h.client.Tags(h.Context(), app+"-default")
	check(h, err)
	w, err := h.pruner().read(h.Context())
	check(h, err)
	for _, tag := range state.ReleaseTags(tags) {
		r, err := w.release(h.Context(), catalog.Ref{Repository: app + "-default", Tag: tag})
		check(h, err)
		if len(r.Digests) >= 6 && w.moved(r.Record) == "" {
			versions = append(versions, strings.TrimSuffix(tag, "-1"))
		}
	}
	return versions
}

func goes(plan *Plan) (versions []string) {
	for _, r := range plan.Releases {
		versions = append(versions, r.Record.String())
	}
	return versions
}

// A modern registry with the referrers API.
func memory(t *testing.T) string {
	server := httptest.NewServer(inmemory.New(inmemory.Logger(log.New(new(bytes.Buffer), "", 0)), inmemory.WithReferrersSupport(true)))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return strings.TrimPrefix(server.URL, "http://")
}

func libreServe(t *testing.T) string {
	server, err := serve.New("", t.TempDir()+"/registry")
	check(t, err)
	t.Cleanup(func() { server.Close() })
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

var registries = map[string]func(*testing.T) string{
	"memory": memory, "libre serve": libreServe,
	"docker-registry": func(t *testing.T) string { return testkit.DeletingRegistry(t, t.TempDir()) },
}

func TestOldReleasesGoAsAWhole(t *testing.T) {
	for kind, start := range registries {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, start(t))
			for n := range 5 {
				h.publish("docs", fmt.Sprint(n+1), "", time.Duration(100-20*n)*day)
			}
			plan := h.plan(Rule{Keep: 2})
			if got := goes(plan); !slices.Equal(got, []string{"docs-default:1-1", "docs-default:2-1", "docs-default:3-1"}) || len(plan.Kept) != 0 {
				t.Fatalf("%q go, %v stay", got, plan.Kept)
			}
			kinds := map[string]int{}
			for _, d := range plan.Releases[0].Digests {
				kinds[d.Kind]++
			}
			if kinds["record"] != 1 || kinds["image"] != 1 || kinds["platform"] != 1 || kinds["attachment"] < 3 {
				t.Errorf("%v", kinds)
			}
			if got := goes(h.plan(Rule{Keep: 1, NewerThan: 70 * day})); !slices.Equal(got, []string{"docs-default:1-1", "docs-default:2-1"}) {
				t.Errorf("older than 70 days: %q", got)
			}
			if got := h.there(); len(got) != 5 {
				t.Fatalf("a plan deleted something: %q", got)
			}
			deleted := 0
			check(t, h.pruner().Delete(t.Context(), plan, func(Release) { deleted++ }))
			if got := h.there(); deleted != 3 || !slices.Equal(got, []string{"5", "4"}) {
				t.Errorf("%d deleted, there are %q", deleted, got)
			}
			for _, r := range plan.Releases {
				for _, d := range r.Digests {
					digest, err := (&world{client: h.client}).digest(d.Repository, d.Digest)
					check(t, err)
					if _, err := h.client.Head(t.Context(), digest); !errors.Is(err, registry.ErrNotFound) {
						t.Errorf("%s %s: %v", d.Kind, digest, err)
					}
				}
			}
			check(t, h.pruner().Delete(t.Context(), plan, func(Release) {})) // again: everything is deleted already
		})
	}
}

// The plan says why a release stays only if the rule does not keep it.
func TestWhatTheRuleKeepsNeedsNoReason(t *testing.T) {
	h := newHouse(t, memory(t))
	for n := range 3 {
		h.publish("docs", fmt.Sprint(n+1), "", day)
	}
	if plan := h.plan(Rule{Keep: 1, NewerThan: 90 * day}); len(plan.Releases)+len(plan.Kept) != 0 {
		t.Errorf("the rule keeps all: %v", plan)
	}
	if plan := h.plan(Rule{Keep: 1}); len(plan.Releases) != 0 || len(plan.Kept) != 2 {
		t.Errorf("too young to go: %v", plan)
	}
}

func TestWhatMustStay(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(h *house, p *Pruner)
		want    string // why 1-1 stays
	}{
		"a moving tag of the record": {func(h *house, _ *Pruner) { h.tag("docs-default", "1-1", "latest") }, "the tag docs-default:latest names 1-1, latest"},
		"a moving tag of an image":   {func(h *house, _ *Pruner) { h.tag("docs-web-default", "1-1", "stable") }, "the tag docs-web-default:stable names 1-1, stable"},
		"a base of another app": {func(h *house, _ *Pruner) {
			h.publish("meet", "9", h.digest("docs-web-default", "1-1"), 100*day)
		}, "the tag meet-web-default:9-1, as a base, names 1-1"},
		"a pin of a definition": {func(h *house, _ *Pruner) {
			h.apps["meet"].Components["web"] = catalog.Component{Bases: map[string]string{"docs": h.digest("docs-web-default", "1-1")}}
		}, "the definition of meet names 1-1"},
		"a withdrawal": {func(_ *house, p *Pruner) {
			p.Withdrawn = func(app, tag string) bool { return app == "docs" && tag == "1-1" }
		}, "withdrawn, says withdrawn.yaml"},
		"a statement at another release": {func(h *house, p *Pruner) {
			h.withdraw(p, ours, 1, "1-1", h.subject("docs-default", "3-1"))
		}, "withdrawn, says the registry"},
		"a statement at its image": {func(h *house, p *Pruner) {
			h.withdraw(p, ours, 1, "1-1", h.subject("docs-web-default", "1-1"))
		}, "withdrawn, says the registry"},
		"a statement that does not verify": {func(h *house, p *Pruner) {
			h.withdraw(p, ours, 1, "2-1", h.subject("docs-default", "3-1"))
			h.withdraw(p, theirs, 1, "1-1", h.subject("docs-web-default", "1-1"))
		}, "a statement of withdrawn releases is attached to it that does not verify"},
		"the only newest statement": {func(h *house, p *Pruner) {
			p.Now = time.Now().AddDate(1, 0, 0) // the statements were made today
			h.withdraw(p, ours, 1, "2-1", h.subject("docs-default", "2-1"), h.subject("docs-default", "3-1"))
			h.withdraw(p, ours, 2, "", h.subject("docs-default", "1-1"))
		}, "no other release that stays has the newest statement of withdrawn releases"},
		"the definition": {func(h *house, _ *Pruner) { h.apps["docs"] = app("docs", "1") }, "the catalogue defines it"},
		"a moved tag": {func(h *house, _ *Pruner) { h.tag("docs-web-default", "2-1", "1-1") },
			"the tag docs-web-default:1-1 does not point to what the record names"},
		"a new signature": {func(h *house, _ *Pruner) {
			digest, err := (&world{client: h.client}).digest("docs-default", h.digest("docs-default", "1-1"))
			check(h, err)
			h.sign(digest, day)
		}, "it is younger than 7 days"},
		"an index of others": {func(h *house, _ *Pruner) {
			repository, err := (&world{client: h.client}).digest("docs-web-default", h.digest("docs-web-default", "1-1"))
			check(h, err)
			platform, err := h.client.Get(h.Context(), repository)
			check(h, err)
			raw := bytes.Replace(platform.Content, []byte(`"docs1"`), []byte(`"mine"`), 1)
			check(h, h.client.PutManifest(h.Context(), repository.Context().Tag("mine"), types.OCIImageIndex, raw))
		}, "the tag docs-web-default:mine names sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, memory(t))
			for n := range 3 {
				h.publish("docs", fmt.Sprint(n+1), "", 100*day)
			}
			former := h.plan(Rule{Keep: 2}) // the plan before the change
			if len(former.Releases) != 1 {
				t.Fatal(former)
			}
			p := h.pruner()
			test.prepare(h, p)
			plan, err := p.Plan(t.Context(), Rule{Keep: 2})
			check(t, err)
			why := ""
			for _, kept := range plan.Kept {
				if kept.Record.Tag == "1-1" {
					why = kept.Reason
				}
			}
			if !strings.HasPrefix(why, test.want) {
				t.Errorf("it stays because %q, want %q; %q go", why, test.want, goes(plan))
			}
			// A plan from before the change deletes nothing.
			before := h.digest("docs-default", "1-1")
			if err := p.Delete(t.Context(), former, func(Release) { t.Error("deleted") }); err == nil || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "make a new plan with libre prune") {
				t.Errorf("%v", err)
			}
			if h.digest("docs-default", "1-1") != before {
				t.Error("the record is gone")
			}
		})
	}
}

func (h *house) digest(repository, tag string) string {
	h.Helper()
	at, err := h.client.Tag(catalog.Ref{Repository: repository, Tag: tag})
	check(h, err)
	found, err := h.client.Head(h.Context(), at)
	check(h, err)
	return found.Digest.String()
}

// tag points a tag to the manifest that another tag points to.
func (h *house) tag(repository, from, to string) {
	h.Helper()
	digest, err := (&world{client: h.client}).digest(repository, h.digest(repository, from))
	check(h, err)
	check(h, h.client.SetTag(h.Context(), catalog.Ref{Repository: repository, Tag: to}, digest))
}

func TestAPlanThatDoesNotCountIsRefused(t *testing.T) {
	h := newHouse(t, memory(t))
	for n := range 4 {
		h.publish("docs", fmt.Sprint(n+1), "", 100*day)
	}
	whole, err := json.Marshal(h.plan(Rule{Keep: 2}))
	check(t, err)
	for name, change := range map[string]func(*Plan){
		"of another registry": func(p *Plan) { p.Registry = "registry.example/coop" },
		"old":                 func(p *Plan) { p.Made = now.Add(-25 * time.Hour) },
		"of the future":       func(p *Plan) { p.Made = now.Add(time.Hour) },
		"of another schema":   func(p *Plan) { p.Schema = 2 },
		"keeps nothing":       func(p *Plan) { p.Rule.Keep = 0 },
		"with a newer release": func(p *Plan) {
			p.Releases[0].Record.Tag = "4-1"
		},
		"with another digest": func(p *Plan) { p.Releases[0].Digests[1].Digest = h.digest("docs-default", "4-1") },
		"with one more":       func(p *Plan) { p.Releases[0].Digests = append(p.Releases[0].Digests, p.Releases[1].Digests...) },
		"of another repository": func(p *Plan) {
			p.Releases[0].Digests[0].Repository = "meet-web-default"
		},
		"of an unknown app": func(p *Plan) { p.Releases[0].Record.Repository = "other-default" },
		"without its record": func(p *Plan) { // as if the record had been deleted
			p.Releases[0].Record.Tag, p.Releases[0].Digests = "7-1", []Digest{{Repository: "docs-web-default", Digest: h.digest("docs-web-default", "4-1"), Kind: "image"}}
		},
	} {
		var plan Plan
		check(t, json.Unmarshal(whole, &plan))
		change(&plan)
		changed, err := json.Marshal(plan)
		check(t, err)
		read, err := h.pruner().Read(changed)
		if err == nil {
			err = h.pruner().Delete(t.Context(), read, func(Release) { t.Errorf("%s: deleted", name) })
		}
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.pruner().Read([]byte("{")); err == nil {
		t.Error("half a plan is read")
	}
	if got := h.there(); len(got) != 4 {
		t.Errorf("there are %q", got)
	}
}

func TestARegistryThatDoesNotDeleteIsNamed(t *testing.T) {
	h := newHouse(t, testkit.DockerRegistry(t, t.TempDir()))
	for n := range 2 {
		h.publish("docs", fmt.Sprint(n+1), "", 100*day)
	}
	err := h.pruner().Delete(t.Context(), h.plan(Rule{Keep: 1}), func(Release) { t.Error("deleted") })
	if err == nil || !strings.Contains(err.Error(), "the registry does not delete; allow it in the settings of the registry") {
		t.Errorf("%v", err)
	}
	if got := h.there(); len(got) != 2 {
		t.Errorf("there are %q", got)
	}
}

func TestManyTagsInPages(t *testing.T) {
	server := httptest.NewServer(testkit.Quirks{TagsPage: 3}.Registry())
	t.Cleanup(server.Close)
	h := newHouse(t, strings.TrimPrefix(server.URL, "http://"))
	for n := range 12 {
		h.publish("docs", fmt.Sprint(n+1), "", 100*day)
	}
	h.tag("docs-web-default", "2-1", "zz") // on the last page
	plan := h.plan(Rule{Keep: 5})
	if len(plan.Releases) != 6 || len(plan.Kept) != 1 || plan.Kept[0].Record.Tag != "2-1" {
		t.Errorf("%q go, %v stay", goes(plan), plan.Kept)
	}
}
