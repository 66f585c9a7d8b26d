package operator

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

var update = flag.Bool("update", false, "write the golden files anew")

func render(t *testing.T, a *describe.Application, o instance.Options) []kit.File {
	t.Helper()
	if o.Host == "" {
		o.Host = a.Metadata.Name + ".example.org"
	}
	i, err := instance.New(a, o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Resources(i, Options{Namespace: "apps"})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func definitions(t *testing.T, apps ...*describe.Application) []kit.File {
	t.Helper()
	files, err := CRDs(apps)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkGolden compares files with the files in testdata/golden.
func checkGolden(t *testing.T, name string, files []kit.File) {
	t.Helper()
	got, path := kit.Stream(files), filepath.Join("testdata/golden", name+".yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (go test -update writes it):\n%s", path, got)
	}
}

func TestResourcesAndDefinitionsAreStable(t *testing.T) {
	var all []*describe.Application
	for _, name := range describetest.Names(t) {
		files := render(t, describetest.App(t, name), instance.Options{})
		if again := render(t, describetest.App(t, name), instance.Options{}); !bytes.Equal(kit.Stream(files), kit.Stream(again)) {
			t.Errorf("%s: the same input gave other bytes", name)
		}
		all = append(all, describetest.App(t, name))
	}
	checkGolden(t, "docs", render(t, describetest.App(t, "docs"), instance.Options{
		With: []string{"llm", "converter"}, Settings: map[string]string{"FRONTEND_THEME": "dsfr"},
	}))
	checkGolden(t, "guestbook", render(t, describetest.App(t, "guestbook"), instance.Options{}))
	checkGolden(t, "registry", render(t, describetest.App(t, "registry"), instance.Options{}))
	files := definitions(t, all...)
	for range 5 {
		if again := definitions(t, all...); !bytes.Equal(kit.Stream(files), kit.Stream(again)) {
			t.Error("the same input gave other bytes")
		}
	}
	checkGolden(t, "crds", files)
}

// The definitions accept what render writes for libre's own apps, whatever optional parts are
// used.
func TestDefinitionsAcceptWhatRenderWrites(t *testing.T) {
	accepted := 0
	for _, name := range describetest.Names(t) {
		a := describetest.App(t, name)
		types := resourceTypes(t, definitions(t, a))
		options := optionsOf.over([]*describe.Application{a}).all
		for _, with := range append([][]string{nil, options}, each(options)...) {
			o := instance.Options{With: with, Settings: map[string]string{}}
			if name == "docs" {
				o.Settings["FRONTEND_THEME"], o.Settings["COLLABORATION_LOGGING"] = "dsfr", "FALSE"
			}
			for _, setting := range requiredWith(a, with) {
				o.Settings[setting] = "admin@example.org"
			}
			for _, file := range render(t, a, o) {
				resource := decode(t, file.Content)
				if err := create(types, resource, nil); err != nil {
					t.Errorf("%s --with %v: %s: %v\n%s", name, with, file.Name, err, file.Content)
				}
				if err := create(types, resource, decode(t, file.Content)); err != nil {
					t.Errorf("%s --with %v: %s, again: %v", name, with, file.Name, err)
				}
				accepted++
			}
		}
	}
	if accepted < 50 {
		t.Errorf("%d resources, want more", accepted)
	}
}

func each(names []string) (sets [][]string) {
	for _, name := range names {
		sets = append(sets, []string{name})
	}
	return sets
}

// requiredWith lists the settings that the optional services in with require.
func requiredWith(a *describe.Application, with []string) (settings []string) {
	for _, component := range a.Spec.Components {
		for _, service := range with {
			for name, setting := range component.Services[service].Config {
				if mustBeSet(setting) {
					settings = append(settings, name)
				}
			}
		}
	}
	return settings
}

func TestKindsAndPluralsAreThoseOfKubernetes(t *testing.T) {
	for _, c := range []struct{ app, kind, plural string }{
		{"docs", "Docs", "docs"},
		{"y-provider", "YProvider", "yproviders"},
		{"caddy", "Caddy", "caddies"},
		{"guestbook", "Guestbook", "guestbooks"},
		{"my_app.web", "MyAppWeb", "myappwebs"},
		{"2fauth", "App2fauth", "app2fauths"},
		{"matrix", "Matrix", "matrixes"},
		{"wordpress", "Wordpress", "wordpresses"},
		{"relay", "Relay", "relays"},
	} {
		kind, err := appKind(c.app)
		if err != nil || kind != c.kind || namesOf(kind).Plural != c.plural {
			t.Errorf("%s: kind %s, plural %s, %v; want %s, %s", c.app, kind, namesOf(kind).Plural, err, c.kind, c.plural)
		}
	}
}

func TestAppsThatAClusterCannotTellApartAreRefused(t *testing.T) {
	named := func(name string) *describe.Application {
		a := describetest.App(t, "guestbook")
		a.Metadata.Name = name
		return a
	}
	for _, c := range []struct{ one, other, want string }{
		{"y-provider", "y.provider", "the apps y-provider and y.provider would both have the kind YProvider in apps.libre.sh"},
		{"doc", "docs", "the apps doc and docs would both have the resource docs in apps.libre.sh"},
		{"task", "task-list", "the apps task and task-list would both have the kind TaskList in apps.libre.sh"},
		{strings.Repeat("a", 60), "docs", "is too long: its kind "},
	} {
		_, err := CRDs([]*describe.Application{named(c.one), named(c.other)})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s and %s: %v, want %s", c.one, c.other, err, c.want)
		}
	}
	for _, name := range []string{"../docs", "Docs", "docs'"} {
		if _, err := CRDs([]*describe.Application{named(name)}); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	if _, err := CRDs([]*describe.Application{named("docs"), named("docs"), named("doc-reader")}); err != nil {
		t.Errorf("two variants of an app: %v", err)
	}
}

func TestEveryKindOfNeedHasAResource(t *testing.T) {
	for kind := range describe.Parts {
		need, known := needKinds[kind]
		if !known {
			t.Errorf("a need of kind %s has no resource", kind)
			continue
		}
		a := describetest.App(t, "guestbook")
		a.Spec.Needs = map[string]describe.Need{"it": {Kind: kind, App: "docs", Port: "http", Version: ">=14, <18", Size: "1Gi", Callback: "/callback"}}
		types := resourceTypes(t, definitions(t, a))
		file := render(t, a, instance.Options{})[0]
		if resource := decode(t, file.Content); resource["kind"] != need.kind {
			t.Errorf("%s: kind %s", kind, resource["kind"])
		} else if err := create(types, resource, nil); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, file.Content)
		}
		comment, _, _ := strings.Cut(string(file.Content), "\n")
		for _, part := range describe.Parts[kind] {
			if !strings.Contains(comment, part.Name) {
				t.Errorf("%s: %q does not name the key %s", kind, comment, part.Name)
			}
		}
	}
	if len(needKinds) != len(describe.Parts) {
		t.Errorf("%d resources for %d kinds of needs", len(needKinds), len(describe.Parts))
	}
}

// docs/operating.md has a row for each kind of need.
func TestThePageListsAllNeeds(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind, need := range needKinds {
		_, row, _ := strings.Cut(string(page), "| `"+kind+"` | `"+need.kind+"` |")
		row, _, _ = strings.Cut(row, "\n")
		for _, word := range append(slices.Sorted(maps.Keys(need.fields)), parts(kind)...) {
			if !strings.Contains(row, "`"+word+"`") {
				t.Errorf("docs/operating.md does not list %s of %s", word, kind)
			}
		}
	}
}
