package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// deviating runs a test with each kind of registry that deviates from the specification.
func deviating(t *testing.T, test func(t *testing.T, quirks testkit.Quirks, registry *recorded)) {
	for kind, quirks := range testkit.Deviations {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, quirks, record(t, quirks.Registry()))
		})
	}
}

func TestPushAtRegistriesThatDeviate(t *testing.T) {
	dir, digest, _ := oneImage(t, 100_000, 2000)
	deviating(t, func(t *testing.T, _ testkit.Quirks, registry *recorded) {
		ctx := context.Background()
		client := registry.client(t)
		var want []string
		for n, ref := range []catalog.Ref{imageRef, {Repository: "docs-frontend-default", Tag: "5.4.1-1"}, {Repository: "docs-frontend-default", Tag: "5.4.1-2"}, {Repository: "docs-frontend-default", Tag: "5.4.1-3"}} {
			subject, err := client.PushIndex(ctx, dir, digest, ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.SetTag(ctx, ref, subject); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				want = append(want, mustTag(t, client, ref).TagStr())
			}
		}
		// A later client knows nothing of this.
		client = registry.client(t)
		if tags, err := client.Tags(ctx, "docs-frontend-default"); err != nil || !slices.Equal(sorted(tags), want) {
			t.Errorf("tags %q, want %q, %v", tags, want, err)
		}
		if tags, err := client.Tags(ctx, "docs-nothing-default"); err != nil || len(tags) > 0 {
			t.Errorf("tags of nothing %q, %v", tags, err)
		}
		head, err := client.HeadAt(ctx, mustTag(t, client, imageRef), digest.String())
		if err != nil || head.Digest != digest || head.MediaType != types.OCIImageIndex || head.Size <= 0 {
			t.Errorf("%+v, %v", head, err)
		}
		if _, err := client.Head(ctx, mustTag(t, client, catalog.ParseRef("docs-backend-default:6"))); !errors.Is(err, ErrNotFound) {
			t.Errorf("a tag that there is not: %v", err)
		}
		readAll(t, client, mustTag(t, client, imageRef).Context(), v1.Descriptor{Digest: digest, MediaType: types.OCIImageIndex})

		// Push again, when everything is there.
		if _, err := client.PushIndex(ctx, dir, digest, imageRef); err != nil {
			t.Error(err)
		}
	})
}

func TestReferrersAtRegistriesThatDeviate(t *testing.T) {
	dir, digest, _ := oneImage(t, 2000)
	deviating(t, func(t *testing.T, quirks testkit.Quirks, registry *recorded) {
		ctx := context.Background()
		client := registry.client(t)
		// GitLab returns the index itself for the tag that names it, not a list of referrers.
		subject, err := client.PushIndex(ctx, dir, digest, imageRef)
		if err != nil {
			t.Fatal(err)
		}
		if listed, _, err := client.Referrers(ctx, subject, nil); err != nil || len(listed) > 0 {
			t.Fatalf("before: %+v, %v", listed, err)
		}
		var want []string
		for _, content := range referrers(t, client, subject) {
			reference := byDigest(t, subject.Context(), content)
			if err := client.PutManifest(ctx, reference, types.OCIManifestSchema1, content); err != nil {
				t.Fatal(err)
			}
			want = append(want, reference.DigestStr())
		}
		for _, client := range []*Client{client, registry.client(t)} {
			listed, byAPI, err := client.Referrers(ctx, subject, nil)
			if quirks.Forgetful && err == nil && byAPI && len(listed) == 0 {
				listed, err = client.TaggedReferrers(ctx, subject, nil)
			}
			var got []string
			for _, referrer := range listed {
				got = append(got, referrer.Digest.String())
				if referrer.MediaType != types.OCIManifestSchema1 || referrer.Size <= 0 || referrer.Annotations["text"] != "<&>" {
					t.Errorf("listed %+v", referrer)
				}
			}
			if !slices.Equal(sorted(got), sorted(want)) || err != nil {
				t.Errorf("listed %q, want %q, %v", got, want, err)
			}
			if hasAPI := quirks.Referrers == 0 && quirks.ReferrersTo == "" && quirks.ReferrersBody == ""; byAPI != hasAPI {
				t.Errorf("by the API: %v, want %v", byAPI, hasAPI)
			}
		}
	})
}

func TestProbeTellsWhatPushFindsAtRegistriesThatDeviate(t *testing.T) {
	deviating(t, func(t *testing.T, quirks testkit.Quirks, registry *recorded) {
		want := Probe{Attachments: true, Overwrites: true}
		want.Referrers = quirks.Referrers == 0 && quirks.ReferrersTo == "" && quirks.ReferrersBody == "" && !quirks.Forgetful
		for range 2 {
			if got, err := registry.client(t).Probe(context.Background(), ProbeRef); got != want || err != nil {
				t.Errorf("%+v, want %+v, %v", got, want, err)
			}
		}
	})
}

func TestCopyBetweenRegistriesThatDeviate(t *testing.T) {
	dir, digest, _ := oneImage(t, 100_000, 2000)
	plain := record(t, testkit.Quirks{}.Registry())
	there, err := plain.client(t).PushIndex(context.Background(), dir, digest, imageRef)
	if err != nil {
		t.Fatal(err)
	}
	deviating(t, func(t *testing.T, _ testkit.Quirks, registry *recorded) {
		ctx := context.Background()
		client := registry.client(t)
		copied, err := client.Copy(ctx, there, plain.client(t), imageRef)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.SetTag(ctx, imageRef, copied); err != nil {
			t.Fatal(err)
		}
		other := record(t, testkit.Quirks{}.Registry()).client(t)
		back, err := other.Copy(ctx, copied, registry.client(t), imageRef)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.SetTag(ctx, imageRef, back); err != nil {
			t.Fatal(err)
		}
		readAll(t, client, copied.Context(), v1.Descriptor{Digest: digest, MediaType: types.OCIImageIndex})
		readAll(t, other, back.Context(), v1.Descriptor{Digest: digest, MediaType: types.OCIImageIndex})
	})
}

// An unknown list is not an empty one: a registry that is busy or wants a login may have a
// list.
func TestReferrersFailsIfTheListIsUnknown(t *testing.T) {
	for _, status := range []int{401, 407, 429, 500, 502, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			registry := record(t, handlerOf(t, "referrers"))
			asked := 0
			registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
				if what != "GET referrers" {
					return false
				}
				asked++
				w.Header().Set("Retry-After", "0")
				w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
				w.WriteHeader(status)
				return true
			}
			client := registry.client(t)
			subject, err := client.PushArtifact(ctx, noteRef, note)
			if err != nil {
				t.Fatal(err)
			}
			if listed, _, err := client.Referrers(ctx, subject, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) {
				t.Errorf("listed %v, %v", listed, err)
			}
			if again := status == 429 || status >= 500; again != (asked > 1) {
				t.Errorf("asked %d times", asked)
			}
			if slices.Contains(registry.since(), "GET manifests") {
				t.Error("asked for the tag all the same")
			}
		})
	}
}

// A list that never ends is an error. So is one that is cut off.
func TestListsThatDoNotEnd(t *testing.T) {
	for said, want := range map[string]string{
		`</v2/lasuite/docs-default/tags/list?n=1000>; rel="next"`: "the list does not end",
		`</v2/lasuite/docs-default/tags/list?a>; rel="last"`:      "",
		`<https://other.example/v2/other/tags/list>; rel="next"`:  "the list does not end",
		`</v2/lasuite/docs-default/tags?n=2>; rel="next"`:         "the registry names /v2/lasuite/docs-default/tags?n=2 as the next page, which is not of this list",
		`<%>; rel="next"`:                      "the registry names % as the next page, which is not of this list",
		`<https://docs.example/>; rel="about"`: "",
		`nonsense`:                             "",
	} {
		registry := record(t, handlerOf(t, "referrers"))
		registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Link", said)
			_, _ = io.WriteString(w, `{"name":"lasuite/docs-default","tags":["1"]}`)
			return what == "GET tags"
		}
		_, err := registry.client(t).Tags(context.Background(), "docs-default")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", said, err, want)
		}
	}
}

// A gateway maps paths, and the registry behind it names its own in links.
func TestPagesBehindAGateway(t *testing.T) {
	registry := record(t, handlerOf(t, "referrers"))
	registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
		if what != "GET tags" {
			return false
		}
		if r.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `<http://behind.example/v2/docs-default/tags/list?n=1&last=1>; rel="next"`)
			_, _ = io.WriteString(w, `{"tags":["1"]}`)
		} else {
			_, _ = io.WriteString(w, `{"tags":["2"]}`)
		}
		return true
	}
	if tags, err := registry.client(t).Tags(context.Background(), "docs-default"); err != nil || !slices.Equal(tags, []string{"1", "2"}) {
		t.Errorf("%q, %v", tags, err)
	}
}

// A registry redirects to a host that is down. That is not a repository without tags.
func TestTagsFailIfARedirectLeadsNowhere(t *testing.T) {
	registry := record(t, handlerOf(t, "referrers"))
	registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		return what == "GET tags"
	}
	if tags, err := registry.client(t).Tags(context.Background(), "docs-default"); !fault.Is(err, fault.Unreachable) {
		t.Errorf("%q, %v", tags, err)
	}
}

// A list of tags is cut off while it is read. libre reads it again.
func TestTagsThatAreCutOff(t *testing.T) {
	registry := record(t, handlerOf(t, "referrers"))
	asked := 0
	registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what != "GET tags" {
			return false
		}
		list := `{"tags":["1"]}` + strings.Repeat(" ", 5<<20) // more than is read ahead
		w.Header().Set("Content-Length", fmt.Sprint(len(list)))
		if asked++; asked < 3 {
			list = list[:1<<20]
		}
		_, _ = io.WriteString(w, list)
		return true
	}
	if tags, err := registry.client(t).Tags(context.Background(), "docs-default"); err != nil || !slices.Equal(tags, []string{"1"}) {
		t.Errorf("%q, %v", tags, err)
	}
}

// Each page of a list names another next page. That is an error if the pages repeat, or have
// more tags than anybody makes. A tag that two pages have counts once.
func TestTagsOfEndlessPages(t *testing.T) {
	for name, test := range map[string]struct {
		page  func(n int) []string // tags of a page
		pages int                  // 0: no end
		want  int                  // number of tags
		err   string
	}{
		"the same page":           {page: func(int) []string { return []string{"1", "2"} }, err: "the list does not end: page 2 has only tags of earlier pages, and names a next page"},
		"new tags":                {page: func(n int) []string { return numbers(n*200_000, (n+1)*200_000) }, err: "the list has more than 1000000 tags"},
		"no tags":                 {page: func(int) []string { return nil }, err: "the list does not end: after 10000 pages"},
		"pages that overlap":      {page: func(n int) []string { return numbers(n*9, n*9+10) }, pages: 1000, want: 9001},
		"a last page of old tags": {page: func(n int) []string { return numbers(0, 10-5*n) }, pages: 2, want: 10},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			registry := record(t, handlerOf(t, "referrers"))
			registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
				if what != "GET tags" {
					return false
				}
				n := asked
				if asked++; asked != test.pages {
					w.Header().Set("Link", fmt.Sprintf(`</v2/lasuite/docs-default/tags/list?page=%d>; rel="next"`, asked))
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"name": "lasuite/docs-default", "tags": test.page(n)})
				return true
			}
			tags, err := registry.client(t).Tags(context.Background(), "docs-default")
			if len(tags) != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%d tags, %v; want %d, %q", len(tags), err, test.want, test.err)
			}
		})
	}
}

// numbers returns the numbers from first to before end.
func numbers(first, end int) (all []string) {
	for n := first; n < end; n++ {
		all = append(all, strconv.Itoa(n))
	}
	return all
}

// A web page is not accepted as a manifest, a list of tags or a registry.
func TestWebPagesAreNotAccepted(t *testing.T) {
	registry := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html>Sign in</html>")
	}))
	ctx, client := context.Background(), registry.client(t)
	_, head := client.Head(ctx, mustTag(t, client, imageRef))
	_, get := client.Get(ctx, mustTag(t, client, imageRef))
	_, tags := client.Tags(ctx, "docs-default")
	for err, want := range map[error]string{head: "text/html, which is not a manifest", get: "text/html, which is not a manifest", tags: "text/html, which is not a list of tags"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	website := record(t, http.NotFoundHandler())
	if _, err := website.client(t).Get(ctx, mustTag(t, website.client(t), imageRef)); err == nil || !strings.Contains(err.Error(), website.host+" is not a registry") {
		t.Errorf("a website: %v", err)
	}
}

// readAll reads a manifest and everything that it names, and checks every digest.
func readAll(t *testing.T, client *Client, repository name.Repository, described v1.Descriptor) {
	t.Helper()
	opened, err := client.Open(context.Background(), repository, described)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	content, err := io.ReadAll(opened)
	if got, _, _ := v1.SHA256(bytes.NewReader(content)); err != nil || got != described.Digest {
		t.Fatalf("read %s, want %s, %v", got, described.Digest, err)
	}
	if !described.MediaType.IsImage() && !described.MediaType.IsIndex() {
		return
	}
	var names struct {
		Manifests, Layers []v1.Descriptor
		Config            *v1.Descriptor
	}
	if err := json.Unmarshal(content, &names); err != nil {
		t.Fatal(err)
	}
	all := append(names.Manifests, names.Layers...)
	if names.Config != nil {
		all = append(all, *names.Config)
	}
	for _, one := range all {
		readAll(t, client, repository, one)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
