package kube

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	cnpgv1 "github.com/cloudnative-pg/api/pkg/api/v1"
	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/pgtest"
)

func TestSecretsAreTheDefaultForNeeds(t *testing.T) {
	for _, name := range []string{"guestbook", "files", "servers"} {
		r := everything(app(t, name))
		before := stream(plain(t, app(t, name), r))
		r.kube.Needs = "secret"
		if after := stream(plain(t, app(t, name), r)); !bytes.Equal(before, after) {
			t.Errorf("%s: --needs secret writes something else:\n%s", name, after)
		}
	}
	if _, err := (run{kube: Options{Needs: "zalando"}}).plain(app(t, "servers")); err == nil || err.Error() != `--needs "zalando", expected one of cloudpirates, cnpg, secret` {
		t.Errorf("an unknown provider: %v", err)
	}
}

// Each part of a provided need is a key of the provider's Secret, or a template of such keys.
func TestAllPartsOfProvidedNeedsAreKnown(t *testing.T) {
	for provider, kinds := range providers {
		for kind := range kinds {
			a := app(t, "servers")
			a.Spec.Needs = map[string]describe.Need{"it": {Kind: kind}}
			r := rendererOf(t, a, run{})
			r.o.Needs = provider
			if err := r.addNeeds(); err != nil {
				t.Fatal(err)
			}
			for _, part := range describe.Parts[kind] {
				template, known := r.provided["it"].value(part.Name)
				if !known {
					template = "$(" + part.Name + ")"
				}
				for _, name := range describe.Placeholders(template) {
					if r.provided["it"].keys[name] == "" {
						t.Errorf("%s, %s: nothing has %s, which %s needs", provider, kind, name, part.Name)
					}
				}
			}
		}
	}
}

func TestImagesOfPostgresFitTheVersionsOfTheNeed(t *testing.T) {
	for _, c := range []struct{ version, cnpg, chart, err string }{
		{"", "", "", ""},
		{">=14", "", "", ""},
		{">=17", "", "", ""},
		{">=18", "18", "", ""},
		{">=14, <18", "17", "17", ""},
		{">=14 <17", "16", "16", ""},
		{"<=17.5", "16", "16", ""},
		{"^15 || 16.x", "16", "16", ""},
		{"~14", "14", "14", ""},
		{"~14.3", "", "", "is ~14.3: give --needs secret"},
		{">=14, <19", "18", "", ""},
		{"<14", "", "", "need postgres: no version of PostgreSQL from 14 to 18 is <14: give --needs secret"},
		{">=40", "", "", "no version of PostgreSQL from 14 to 18 is >=40"},
		{"new", "", "", `need postgres: the version "new" is not a constraint such as ">=14, <18"`},
	} {
		a := app(t, "guestbook")
		need := a.Spec.Needs["postgres"]
		need.Version = c.version
		a.Spec.Needs["postgres"] = need
		image, tag := "", ""
		for _, provider := range []string{"cnpg", CloudPirates} {
			files, err := (run{kube: Options{Needs: provider}}).plain(a)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: %v, want %s", c.version, err, c.err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				for line := range strings.Lines(string(file.Content)) {
					if line, found := strings.CutPrefix(line, "  imageName: ghcr.io/cloudnative-pg/postgresql:"); found {
						image = strings.TrimSuffix(line, "-standard-trixie\n")
					}
					if line, found := strings.CutPrefix(line, "  tag: "); found {
						tag = strings.Trim(line, "\"\n")
					}
				}
			}
		}
		if c.err == "" && (image != c.cnpg || tag != c.chart) {
			t.Errorf("%q: image %q, tag %q; want %q, %q", c.version, image, tag, c.cnpg, c.chart)
		}
	}
}

func TestOwnAppsHaveWhatProvidesTheirNeeds(t *testing.T) {
	for name, a := range ownApps(t) {
		for provider, kinds := range providers {
			r := everything(a)
			r.kube.Needs = provider
			files := plain(t, a, r)
			listed := ""
			if files[0].Name == secretsName {
				listed = string(files[0].Content)
			}
			for _, file := range files {
				decode(t, file)
			}
			for need, described := range a.Spec.Needs {
				_, provided := kinds[described.Kind]
				if missing := strings.Contains(listed, "-"+need+": "+described.Kind); provided && missing {
					t.Errorf("%s with %s: the Secret of %s is not made:\n%s", name, provider, need, listed)
				}
			}
		}
	}
	docs := ownApps(t)["docs/default"]
	r := everything(docs)
	r.kube.Needs = "cnpg"
	databases := objects[*cnpgv1.Database](t, plain(t, docs, r))
	var extensions []string
	for _, extension := range databases["docs-postgres"].Spec.Extensions {
		extensions = append(extensions, extension.Name)
	}
	if !slices.Equal(extensions, docs.Spec.Needs["postgres"].Extensions) || len(extensions) == 0 {
		t.Errorf("extensions %v of the database, %v of the need", extensions, docs.Spec.Needs["postgres"].Extensions)
	}
}

// A need and a service with the same name would both make a Service and a PodDisruptionBudget.
func TestProvidedNeedsHaveOtherNamesThanServices(t *testing.T) {
	a := app(t, "servers")
	a.Spec.Needs["web"] = describe.Need{Kind: "postgres"}
	for _, provider := range []string{"cnpg", CloudPirates} {
		_, err := (run{kube: Options{Needs: provider}}).plain(a)
		if want := "the need web and a service would both have objects with the name servers-web: name one of them otherwise, or give --needs secret"; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", provider, err, want)
		}
	}
	if _, err := (run{}).plain(a); err != nil {
		t.Error(err)
	}
}

// CloudNativePG refuses a cluster with a longer name.
func TestClustersHaveNamesThatCloudNativePGAccepts(t *testing.T) {
	for length := 5; length < 60; length++ {
		a := app(t, "guestbook")
		need := strings.Repeat("a", length)
		a.Spec.Needs = map[string]describe.Need{need: {Kind: "postgres", Extensions: []string{"pg_trgm"}, Env: map[string]describe.Variable{"HOST": {Value: "$(host)"}}}}
		r := rendererOf(t, a, run{kube: Options{Needs: "cnpg"}})
		if err := r.addNeeds(); err != nil {
			t.Fatal(err)
		}
		name := r.provided[need].pods["cnpg.io/cluster"]
		if len(name) > 50 || !strings.Contains(string(r.files[1].Content), "cluster:\n    name: "+name+"\n") || r.part(need, "host").SecretKeyRef.Name != name+"-app" {
			t.Errorf("the cluster %s of %d characters, with %s", name, len(name), r.files[1].Content)
		}
	}
}

// chartFacts are facts from the definition of a chart.
type chartFacts struct {
	Version string
	Values  map[string]string   // path → type
	Secrets map[string][]string // end of the name → keys
}

// flat lists the values at the paths of facts, which lead to leaves or to values above them.
func flat(value any, path string, known map[string]string, all map[string]string) {
	kind, isKnown := known[path]
	object, isObject := value.(map[string]any)
	switch {
	case isObject && (!isKnown || path == ""):
		for name, inner := range object {
			flat(inner, strings.TrimPrefix(path+"."+name, "."), known, all)
		}
	case isObject:
		all[path] = "object"
	default:
		all[path] = reflect.TypeOf(value).String()
	}
	if isKnown && kind != all[path] {
		all[path] += ", and not " + kind
	}
}

// testdata/cloudpirates.yaml has the facts from the charts' schemas and templates.
func TestValuesAreThoseOfTheCharts(t *testing.T) {
	content, err := os.ReadFile("testdata/cloudpirates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]chartFacts{}
	if err := yaml.UnmarshalStrict(content, &facts); err != nil {
		t.Fatal(err)
	}
	r := rendererOf(t, app(t, "servers"), run{kube: Options{Needs: CloudPirates}})
	if err := r.addNeeds(); err != nil {
		t.Fatal(err)
	}
	charts := map[string]chart{"cache": valkeyChart, "files": minIOChart, "mysql": mariaDBChart, "postgres": postgresChart}
	if len(r.files) != len(charts) {
		t.Fatalf("%d files", len(r.files))
	}
	for i, need := range slices.Sorted(maps.Keys(charts)) {
		fact, p := facts[charts[need].name], r.provided[need]
		var values any
		if err := yaml.UnmarshalStrict(r.files[i].Content, &values); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		flat(values, "", fact.Values, got)
		for path, kind := range got {
			if fact.Values[path] != kind {
				t.Errorf("%s: %s is %s, and the chart has %q", need, path, kind, fact.Values[path])
			}
		}
		if fact.Version != charts[need].version {
			t.Errorf("%s: the facts are of the version %s", need, fact.Version)
		}
		keys := fact.Secrets[strings.TrimPrefix(p.secret, "servers-"+need)]
		for _, key := range p.keys {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the Secret %s has %v, and no %s", need, p.secret, keys, key)
			}
		}
	}
}

func TestScriptOfTheChartMakesExtensions(t *testing.T) {
	if _, err := exec.LookPath("psql"); err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t)
	pgtest.CreateDatabase(t, server, databaseName)
	psql := func(database, sql string) string {
		t.Helper()
		url := strings.Replace(server, "/postgres?", "/"+database+"?", 1)
		cmd := exec.Command("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname="+url)
		cmd.Stdin = strings.NewReader(sql)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	psql("postgres", createExtensions([]string{"pg_trgm", "uuid-ossp"}))
	if got := psql(databaseName, "SELECT extname FROM pg_extension ORDER BY 1"); got != "pg_trgm\nplpgsql\nuuid-ossp\n" {
		t.Errorf("the database has %q", got)
	}
}

func TestValuesOfChartsAreNotInKustomizations(t *testing.T) {
	files := plain(t, app(t, "servers"), run{kube: Options{Needs: CloudPirates}})
	all, err := Kustomizations(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if strings.HasPrefix(file.Name, valuesFolder) || bytes.Contains(file.Content, []byte(valuesFolder)) {
			t.Errorf("%s: %s", file.Name, file.Content)
		}
	}
}
