package nix

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// documents returns the documents of a catalogue's apps and variants.
func documents(t *testing.T, dir string) map[string]*describe.Application {
	t.Helper()
	catalogue, err := requireNix(t).OpenCatalogue(t.Context(), dir, Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	evaluation, err := catalogue.Evaluate(t.Context(), Request{Patterns: catalog.All, Described: true})
	if err != nil || len(evaluation.Failures) > 0 {
		t.Fatal(err, evaluation)
	}
	all := map[string]*describe.Application{}
	for _, app := range evaluation.Apps {
		for _, variant := range app.Variants {
			document, err := describe.New(app, variant)
			if err != nil {
				t.Fatal(err)
			}
			all[app.Name+"/"+variant] = document
		}
	}
	return all
}

// The documents of libre's own apps follow the schema. A document with an unknown attribute
// does not.
func TestOwnAppsFollowTheSchema(t *testing.T) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(describe.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("application.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("application.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(document any) error {
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	own := documents(t, "../..")
	maps.Copy(own, documents(t, "../../nix/template"))
	if names := slices.Sorted(maps.Keys(own)); !slices.Contains(names, "docs/lyon") || !slices.Contains(names, "guestbook/default") {
		t.Error(names)
	}
	for name, document := range own {
		if err := check(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := *own["docs/default"]
	wrong.Kind = "Deployment"
	if check(wrong) == nil {
		t.Error("the schema takes another kind")
	}
	if check(map[string]any{"apiVersion": describe.APIVersion, "kind": describe.Kind, "metadata": map[string]string{"name": "x"}, "spec": map[string]any{"need": 1}}) == nil {
		t.Error("the schema takes an unknown field")
	}
}

// nix/needs.nix lists the same parts of needs.
func TestPartsOfNeeds(t *testing.T) {
	n := requireNix(t)
	out, err := n.run(t.Context(), "reading parts", call{program: "nix-instantiate", operation: []string{"--eval", "--strict", "--json", "--attr", "parts", "../../nix/needs.nix"}})
	if err != nil {
		t.Fatal(err)
	}
	var inNix map[string]map[string]bool
	if err := json.Unmarshal(out, &inNix); err != nil {
		t.Fatal(err)
	}
	inGo := map[string]map[string]bool{}
	for kind, parts := range describe.Parts {
		inGo[kind] = map[string]bool{}
		for _, part := range parts {
			inGo[kind][part.Name] = part.Secret
		}
	}
	if fmt.Sprint(inGo) != fmt.Sprint(inNix) {
		t.Errorf("in Go  %v\nin Nix %v", inGo, inNix)
	}
}

// All problems are reported at once, each with its line.
func TestDescriptionErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{`needs.postgresql = { };`, "unknown need postgresql, write postgres"},
		{`needs.kafka = { };`, "unknown need kafka, expected a name or kind of app, bucket,"},
		{`needs.db = { kind = "postgres"; versioning = true; };`, "needs db: versioning is not for a need of kind postgres"},
		{`needs.store = { kind = "volume"; };`, "needs store: path is missing, which a need of kind volume has"},
		{`needs.files = { kind = "volume"; path = "/files"; };`, `needs files: path is "/files", expected one of the volumes of web`},
		{`needs.mail = { kind = "smtp"; env.MAIL = "$(hostname)"; };`, "needs mail: MAIL: $(hostname) is not a part of a need of kind smtp, expected one of $(from), $(host),"},
		{`needs.cache = { kind = "redis"; components = [ "worker" ]; };`, "needs cache: components: there is no component worker, expected one of web"},
		{`needs.other = { kind = "redis"; env.CACHE = { value = "$(url)"; components = [ "x" ]; }; };`, "needs other: CACHE: components: there is no component x"},
		{`config.KEY = { description = "x"; secret = true; default = "hunter2"; };`, "config KEY: default: a secret has no value in the catalogue"},
		{`config.TOKEN = { description = "x"; generate = true; };`, "config TOKEN: generate is only for secrets"},
		{`config.MUST = { description = "x"; required = true; value = "y"; };`, "config MUST: required, but the catalogue has a value"},
		{`config.COUNT = { description = "x"; type = "integer"; default = "many"; };`, `config COUNT: default is "many", expected a number`},
		{`config.LEVEL = { description = "x"; values = [ "a" "b" ]; default = "c"; };`, `config LEVEL: default is "c", expected one of a, b`},
		{`config.ADDRESS = { description = "x"; value = "$(service.api.http)"; };`, "config ADDRESS: value: $(service.api.http) is unknown, expected $(host), $(url) or"},
		{`needs.first = { kind = "redis"; env.TWICE = "$(url)"; }; config.TWICE = { description = "x"; };`, "TWICE: config and needs first both set it in component web: keep one of them"},
		{`components.web.services.x = { schedule = "0 3 * * *"; };`, `service x: schedule is only for job = "scheduled"`},
		{`components.web.services.nightly = { job = "scheduled"; };`, `service nightly: job is "scheduled": schedule is missing`},
		{`components.web.services.setup = { job = "first-install"; replicas = 2; };`, "service setup: replicas is not for jobs"},
		{`components.web.services.second = { ports = [ "grpc" ]; };`, "service second: ports: there is no port grpc, expected one of http, metrics"},
		{`components.web.services.queue = { command = [ "q" ]; health.tcp = "http"; };`, `service queue: health: tcp is "http", but there are no ports`},
		{`components.web.services.many = { replicas = 3; maxReplicas = 2; };`, "service many: replicas is more than maxReplicas"},
		{`routes."/a" = { service = "wbe"; };`, "routes /a: service: there is no service wbe, expected one of many, nightly, queue, second, setup, web, x"},
		{`routes."/b" = { };`, "routes /b: expected exactly one of service, bucket"},
		{`routes."/c" = { service = "setup"; };`, "routes /c: service: setup is a job"},
		{`routes."/d" = { service = "queue"; };`, "routes /d: service: queue has no ports"},
		{`routes."/e" = { service = "web"; };`, "routes /e: service web has several ports: set port to one of http, metrics"},
		{`routes."/f" = { bucket = "db"; };`, "routes /f: bucket: there is no need db of kind bucket"},
		{`routes."/g" = { service = "web"; port = "http"; sticky = { }; };`, "routes /g: sticky: expected exactly one of query, cookie"},
		{`routes."/h/" = { service = "web"; port = "http"; }; routes."/h" = { service = "web"; port = "http"; };`, "routes /h and /h/ overlap"},
		{`routes."/i" = { service = "web"; port = "http"; authorize = { service = "auth"; path = "/"; }; };`, "routes /i: authorize: service: there is no service auth"},
		{`routes."/j*" = { service = "web"; port = "http"; };`, "routes /j*: expected a plain path"},
		{`backup.together = [ "bucket" ];`, "backup: together: there is no need bucket, expected one of cache, db,"},
	}
	text := "  source.path = ./.; components.web = { containerfile = \"Dockerfile\"; ports = { http = 80; metrics = 81; }; volumes = [ \"/data\" ]; services.web = { }; };\n"
	for _, test := range tests {
		text += "  " + test.line + "\n"
	}
	evaluation, err := evaluateAll(t, writeCatalogue(t, one(text)), Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(evaluation.Failures["one"])
	for n, test := range tests {
		place := fmt.Sprintf("apps/one/default.nix:%d:", 7+n)
		if !slices.ContainsFunc(strings.Split(got, "\n"), func(line string) bool { return strings.Contains(line, place) && strings.Contains(line, test.want) }) {
			t.Errorf("%s: expected %s %s", test.line, place, test.want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// An image that has no command runs nothing by itself.
func TestServicesHaveACommand(t *testing.T) {
	text := func(component string) string {
		return one("  components.web = { package = { ... }: pkgs.runCommand \"web\" { } \"mkdir $out\"; " + component + " };\n")
	}
	named := func(name, component string) string {
		return strings.NewReplacer("/one/", "/"+name+"/", `"one"`, `"`+name+`"`).Replace(text(component))
	}
	good := named("files", "") + named("program", `entrypoint = [ "bin/web" ];`) + named("arguments", `command = [ "/bin/web" ];`) +
		named("own", `services.job = { job = "first-install"; command = [ "/bin/job" ]; };`)
	described := documents(t, writeCatalogue(t, good))
	for name, want := range map[string]string{"files": "", "program": "web", "arguments": "web", "own": "job"} {
		services := described[name+"/default"].Spec.Components["web"].Services
		if got := strings.Join(slices.Sorted(maps.Keys(services)), " "); got != want {
			t.Errorf("%s: services %q, want %q", name, got, want)
		}
	}
	evaluation, err := evaluateAll(t, writeCatalogue(t, named("wrong", "services.web = { };")), Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	want := "component web: service web: command is missing, and the image has no entrypoint and no command either"
	if got := fmt.Sprint(evaluation.Failures["wrong"]); !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// A need of another app must name an existing app, component and port.
func TestNeedsOfOtherApps(t *testing.T) {
	site := "components.web = { containerfile = \"Dockerfile\"; ports.http = 80; }; source.path = ./.;"
	app := func(name, extra string) string {
		return strings.NewReplacer("/one/", "/"+name+"/", `"one"`, `"`+name+`"`).Replace(one("  " + extra + "\n"))
	}
	tests := map[string]string{
		`needs.search-ui = { kind = "app"; app = "finder"; port = "http"; };`:                        "needs search-ui: app: there is no app finder, expected one of ",
		`needs.search-ui = { kind = "app"; app = "find"; port = "https"; };`:                         `needs search-ui: port is "https", expected one of http`,
		`needs.search-ui = { kind = "app"; app = "find"; component = "api"; port = "http"; };`:       "needs search-ui: component: find has the components web: set component to one of them",
		`needs.search-ui = { kind = "app"; app = "double"; port = "http"; };`:                        "needs search-ui: app: double has the components api, web: set component to one of them",
		`needs.search-ui = { kind = "app"; app = "double"; component = "api"; port = "rpc"; };`:      "",
		`needs.search-ui = { kind = "app"; app = "find"; port = "http"; env.FIND_URL = "$(url)"; };`: "",
	}
	archive := app("find", site) + app("double", site+" components.api = { containerfile = \"Dockerfile\"; ports.rpc = 81; };")
	names := map[string]string{}
	for need := range tests {
		names[need] = fmt.Sprintf("app%d", len(names))
		archive += app(names[need], site+"\n  "+need)
	}
	evaluation, err := evaluateAll(t, writeCatalogue(t, archive), Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	for need, want := range tests {
		name := names[need]
		got := evaluation.Failures[name]
		if want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), "apps/"+name+"/default.nix:7:") || !strings.Contains(got.Error(), want)) {
			t.Errorf("%s: %v, want %s", need, got, want)
		}
	}
}

// The documents in describetest are the documents of libre's own apps, in their default
// variants, and of the template's apps. go test -update writes them.
func TestDocumentsAreThoseOfTheApps(t *testing.T) {
	own := documents(t, "../..")
	maps.Copy(own, documents(t, "../../nix/template"))
	for _, name := range describetest.Names(t) {
		document, path := own[name+"/default"], filepath.Join("../describe/describetest/testdata", name+".yaml")
		got, err := yaml.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs (%v):\n%s", path, err, got)
		}
	}
}
