package site

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
)

// The bytes are a function of the releases: the golden files have some of each kind.
func TestPagesAreGolden(t *testing.T) {
	catalogue, apps := sample()
	files := written(t, catalogue, apps...)
	for _, name := range []string{
		"index.html", "fr/index.html", "apps/docs.html", "fr/apps/docs.html", "apps/notes.html", "apps/docs/lyon/5.4.0-1.html",
		"apps/docs/default/5.4.1-2.backend.linux-amd64.contents.html", "fr/apps/docs/default/5.4.1-2.backend.linux-amd64.vulnerabilities.html",
		"catalogue.json", "feed.atom",
	} {
		golden := filepath.Join("testdata", "golden", strings.ReplaceAll(name, "/", "_"))
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(files[name], want) {
			t.Errorf("%s differs from %s: look at it, then UPDATE_GOLDEN=1 go test ./internal/site", name, golden)
		}
	}
	slices.Reverse(apps)
	again := written(t, catalogue, apps...)
	if !maps.EqualFunc(files, again, bytes.Equal) {
		t.Error("the order in which apps are added changes the pages")
	}
}

// nodes lists the elements of a page.
func nodes(t *testing.T, content []byte) []*html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Each link of a page leads to a file of the site, or is one to upstream. So the site works
// from any address, and from a folder.
func TestLinksLead(t *testing.T) {
	catalogue, apps := sample()
	files := written(t, catalogue, apps...)
	for name, content := range files {
		if path.Ext(name) != ".html" {
			continue
		}
		for _, n := range nodes(t, content) {
			for _, a := range []string{"href", "src"} {
				link := attribute(n, a)
				switch {
				case link == "" || strings.HasPrefix(link, "#"):
				case strings.HasPrefix(link, "https://"):
					if n.Data != "a" || attribute(n, "rel") != "external noreferrer nofollow" {
						t.Errorf("%s: <%s %s=%s>", name, n.Data, a, link)
					}
				case files[path.Join(path.Dir(name), link)] == nil:
					t.Errorf("%s: nothing is at %s", name, link)
				}
			}
		}
	}
}

// Each page of one language is there in the other, and has its landmarks and one heading.
func TestPagesHaveLandmarksInBothLanguages(t *testing.T) {
	catalogue, apps := sample()
	files := written(t, catalogue, apps...)
	for name, content := range files {
		if path.Ext(name) != ".html" {
			continue
		}
		lang, other := "en", "fr/"+name
		if strings.HasPrefix(name, "fr/") {
			lang, other = "fr", strings.TrimPrefix(name, "fr/")
		}
		if files[other] == nil {
			t.Errorf("%s has no translation", name)
		}
		count, ids := map[string]int{}, map[string]int{}
		for _, n := range nodes(t, content) {
			count[n.Data]++
			ids[attribute(n, "id")]++
			if n.Data == "html" && attribute(n, "lang") != lang {
				t.Errorf("%s has the language %s", name, attribute(n, "lang"))
			}
			if n.Data == "style" || n.Data == "script" && attribute(n, "src") == "" || attribute(n, "style") != "" {
				t.Errorf("%s has a style or script of its own", name)
			}
		}
		for _, element := range []string{"h1", "main", "footer", "title"} {
			if count[element] != 1 {
				t.Errorf("%s has %d %s", name, count[element], element)
			}
		}
		for id, n := range ids {
			if id != "" && n > 1 {
				t.Errorf("%s has the id %s %d times", name, id, n)
			}
		}
	}
}

var labelUse = regexp.MustCompile(`\b(?:t|count (?:\([^)]*\)|\S+)) "([^"]+)"`)

// A page in French has no English text of ours.
func TestLabelsAreTranslated(t *testing.T) {
	entries, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, entry := range entries {
		content, err := files.ReadFile("templates/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range labelUse.FindAllStringSubmatch(string(content), -1) {
			found++
			if french[match[1]] == "" {
				t.Errorf("%s: %q has no French text", entry.Name(), match[1])
			}
		}
	}
	if found < 80 {
		t.Errorf("%d labels are found", found)
	}
	for _, severity := range scan.Severities {
		if french[string(severity)] == "" {
			t.Errorf("%s has no French text", severity)
		}
	}
	catalogue, apps := sample()
	for _, c := range commands("docs", &apps[0].Releases[0], catalogue.Signer) {
		if french[c.Title] == "" || c.About != "" && french[c.About] == "" {
			t.Errorf("%q has no French text", c.Title)
		}
	}
}

// Of what does not verify, a page has the reference, the digest and nothing else that it says.
func TestWhatDoesNotVerifyIsSilent(t *testing.T) {
	catalogue, _ := sample()
	r := sampleRelease("docs", "default", "5.4.1", 1)
	r.Document.Spec.Description, r.Document.Spec.License = "TELLTALE", "TELLTALE"
	r.Images[0].Component, r.Images[0].Cosign = "telltale", "TELLTALE"
	r.Verified = false
	image := sampleRelease("notes", "default", "1.0", 1)
	image.Images[0].Verified, image.Images[0].Cosign = false, "TELLTALE"
	image.Images[0].Platforms[0].SBOM.Components[0].Name = "TELLTALE"
	files := written(t, catalogue, &App{Name: "docs", Releases: []Release{r}}, &App{Name: "notes", Document: image.Document, Releases: []Release{image}})
	for name, content := range files {
		if strings.Contains(strings.ToLower(string(content)), "telltale") {
			t.Errorf("%s believes what does not verify", name)
		}
	}
	for name, of := range map[string]string{"apps/docs/default/5.4.1-1.html": r.Digest, "apps/notes/default/1.0-1.html": image.Images[0].Digest, "apps/docs.html": r.Digest} {
		if !strings.Contains(string(files[name]), of) || !regexp.MustCompile(`does not verify`).Match(files[name]) {
			t.Errorf("%s does not name %s", name, of)
		}
	}
	if strings.Contains(string(files["feed.atom"]), "docs-default") {
		t.Error("the feed has a release that does not verify")
	}
}

// The feed has what RFC 4287 requires of feeds and entries.
func TestFeedIsAtom(t *testing.T) {
	catalogue, apps := sample()
	var feed struct {
		XMLName     xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		ID, Title   string
		Updated     time.Time   `xml:"updated"`
		Author      []string    `xml:"author>name"`
		EntryID     []string    `xml:"entry>id"`
		EntryTitle  []string    `xml:"entry>title"`
		EntryUpdate []time.Time `xml:"entry>updated"`
		Links       []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"entry>link"`
	}
	files := written(t, catalogue, apps...)
	if err := xml.Unmarshal(files["feed.atom"], &feed); err != nil {
		t.Fatal(err)
	}
	if feed.Updated != feed.EntryUpdate[0] || len(feed.Author) != 1 || !slices.IsSortedFunc(feed.EntryUpdate, func(a, b time.Time) int { return b.Compare(a) }) {
		t.Errorf("%+v", feed)
	}
	if want := []string{"docs 5.4.1-2", "docs 5.4.0-1", "docs/lyon 5.4.1-1"}; !slices.Equal(feed.EntryTitle, want) {
		t.Errorf("entries %q, want %q", feed.EntryTitle, want)
	}
	if ids := slices.Compact(slices.Sorted(slices.Values(feed.EntryID))); len(ids) != 3 || !strings.HasPrefix(ids[0], "urn:uuid:") {
		t.Errorf("ids %q", ids)
	}
	for _, link := range feed.Links {
		if link.Rel != "alternate" || files[link.Href] == nil {
			t.Errorf("an entry leads to %s", link.Href)
		}
	}
	empty := written(t, Catalogue{Registry: registry})
	if err := xml.Unmarshal(empty["feed.atom"], &feed); err != nil || feed.Updated.IsZero() {
		t.Errorf("%v\n%s", err, empty["feed.atom"])
	}
}

const mostPage = 200_000

// No page is too large for a phone, however much there is: of apps, components,
// vulnerabilities, releases, variants, settings, changes and words.
func TestPagesStaySmall(t *testing.T) {
	catalogue, _ := sample()
	app := many(1, 5)[0]
	enlarge(app)
	staySmall(t, written(t, catalogue, app),
		"index.html", "apps/app-000.html", "fr/apps/app-000/releases.2.html",
		"apps/app-000/default/1.0-1.backend.linux-amd64.contents.6.html", "apps/app-000/default/1.0-1.backend.linux-amd64.vulnerabilities.9.html")
}

func TestIndexOf1000AppsStaysSmall(t *testing.T) {
	catalogue, apps := sample()
	files := map[string][]byte{}
	w, err := NewWriter(catalogue, func(name string, content []byte) error { files[name] = content; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		app := *apps[0]
		app.Name, app.Document = fmt.Sprintf("app-%03d", n), sampleDocument("app", "default", "1.0", 1)
		app.Document.Spec.Description, app.Document.Spec.License = strings.Repeat("<&'\"long> ", 1000), fmt.Sprintf("LicenseRef-%d", n)
		w.apps = append(w.apps, summarise(&app))
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	staySmall(t, files, "index.html", "index.2.html", "fr/index.5.html")
	if n := bytes.Count(files["index.html"], []byte(`class="card app"`)); n < 100 {
		t.Errorf("%d apps are on the first page", n)
	}
}

// staySmall checks that there are these pages, and that none is too large.
func staySmall(t *testing.T, files map[string][]byte, names ...string) {
	t.Helper()
	for _, name := range names {
		if files[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	for name, content := range files {
		if path.Ext(name) == ".html" && len(content) > mostPage {
			t.Errorf("%s has %d bytes", name, len(content))
		}
	}
}

// enlarge makes an app have much of everything.
func enlarge(app *App) {
	long := strings.Repeat("<long & 'quoted'> ", 30)
	r := &app.Releases[0]
	p := &r.Images[0].Platforms[0]
	for n := range 8000 {
		p.SBOM.Components = append(p.SBOM.Components, sbom.Component{ID: fmt.Sprint(n), Name: strings.Repeat("<\"&>", n%60), Version: "\"\"", Type: "<npm>"})
	}
	for n := range 3000 {
		f := sampleFindings()[n%4]
		f.ID, f.Component.Name, f.FixedIn = fmt.Sprintf("CVE-2026-%d", n), strings.Repeat("&<", n%99), []string{strings.Repeat("<1>", n%50)}
		p.Findings = append(p.Findings, f)
	}
	older := sampleRelease(app.Name, "default", "0.9", 1)
	for n := range 2000 {
		r.Document.Spec.Config[fmt.Sprintf("SETTING_%d", n)] = describe.Setting{Description: long, Default: long}
		older.Images[0].Platforms[0].SBOM.Components = append(older.Images[0].Platforms[0].SBOM.Components, sbom.Component{ID: fmt.Sprint(long, n), Name: long, Version: long, License: sbom.License{Expression: long}})
	}
	for n := range 30 {
		name := fmt.Sprintf("component-%d", n)
		r.Document.Spec.Components[name] = describe.Component{Description: long, License: long, Ports: map[string]describe.Port{long: {Port: 80, Protocol: long}}}
		r.Document.Spec.Needs[name] = describe.Need{Kind: "postgres", Description: long}
		image := r.Images[1]
		image.Component = name
		r.Images = append(r.Images, image)
	}
	r.Changes = compared(&older, r)
	for range 9 {
		r.Changes.Notes = append(r.Changes.Notes, compare.Note{Version: long, Page: "https://notes.example", Text: strings.Repeat(long, 1000)})
	}
	for n := range 500 {
		app.Releases = append(app.Releases, Release{Variant: fmt.Sprint("variant-", n%40), Tag: fmt.Sprintf("0.%d-1", 500-n), Reference: registry + "/app-000-default:0", Digest: digest(n), Verified: true, Document: sampleDocument(app.Name, "default", "0.9", 1)})
	}
}

// The list has each release and image, as docs/site.md describes it.
func TestListNamesWhatThePagesShow(t *testing.T) {
	catalogue, apps := sample()
	files := written(t, catalogue, apps...)
	var list listedCatalogue
	if err := json.Unmarshal(files["catalogue.json"], &list); err != nil {
		t.Fatal(err)
	}
	images := 0
	for _, app := range list.Apps {
		for _, r := range app.Releases {
			if files[r.Page] == nil || files[app.Page] == nil {
				t.Errorf("%s: nothing is at %s", r.Reference, r.Page)
			}
			for _, image := range r.Images {
				images++
				for _, p := range image.Platforms {
					if files[p.CycloneDX] == nil || files[p.SPDX] == nil || p.Components == 0 || p.Vulnerabilities == nil {
						t.Errorf("%+v", p)
					}
				}
			}
		}
	}
	if list.Schema != 1 || list.Registry != registry || len(list.Apps) != 2 || images != 6 {
		t.Errorf("%d apps, %d images", len(list.Apps), images)
	}
}

func TestNamesThatNoPathHasAreRefused(t *testing.T) {
	refused := func(want string, apps ...*App) {
		t.Helper()
		w, err := NewWriter(Catalogue{Registry: registry}, func(string, []byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, app := range apps {
			if err = w.Add(app); err != nil {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	refused(`the app "../docs"`, &App{Name: "../docs"})
	refused(`the variant "a/b"`, &App{Name: "docs", Releases: []Release{{Variant: "a/b", Tag: "1-1"}}})
	refused(`the tag ".."`, &App{Name: "docs", Releases: []Release{{Variant: "default", Tag: ".."}}})
	r := sampleRelease("docs", "default", "1", 1)
	r.Images[0].Component = "<b>"
	refused(`the component "<b>"`, &App{Name: "docs", Releases: []Release{r}})
	r = sampleRelease("docs", "default", "1", 1)
	r.Images[0].Platforms[0].Name = "linux/../.."
	refused(`the platform "linux/../.."`, &App{Name: "docs", Releases: []Release{r}})
	refused("apps/docs.html would be two pages", &App{Name: "docs"}, &App{Name: "docs"})
	refused("apps/docs.html would be two pages, or a page and a folder", &App{Name: "docs.html", Releases: []Release{sampleRelease("docs.html", "default", "1", 1)}}, &App{Name: "docs"})
}
