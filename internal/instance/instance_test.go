package instance

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
)

func example() *describe.Application {
	return &describe.Application{
		Metadata: describe.Metadata{Name: "docs"},
		Spec: describe.Spec{
			Components: map[string]describe.Component{"backend": {
				Ports: map[string]describe.Port{"http": {Port: 8000}, "metrics": {Port: 9000}},
				Services: map[string]describe.Service{
					"web":       {Ports: []string{"http", "metrics"}},
					"converter": {Ports: []string{"http"}, Optional: true},
					"create-administrator": {Optional: true, Job: "first-install", Config: map[string]describe.Setting{
						"ADMIN_EMAIL": {Type: "email", Description: "The administrator's address", Required: true},
					}},
				},
			}},
			Needs: map[string]describe.Need{
				"postgres": {Kind: "postgres", Env: map[string]describe.Variable{"DB_HOST": {Value: "$(host)"}}},
				"llm":      {Kind: "llm", Optional: true},
			},
			Config: map[string]describe.Setting{
				"THEME":      {Type: "string", Values: []string{"light", "dark"}},
				"SECRET_KEY": {Type: "string", Secret: true, Generate: true},
				"WORKERS":    {Type: "integer"},
				"DEBUG":      {Type: "boolean"},
				"HOOK":       {Type: "url"},
				"HOSTS":      {Type: "json"},
				"LIFETIME":   {Type: "duration"},
				"LOGO":       {Type: "file"},
			},
		},
	}
}

func TestBadInputIsOneLineThatSaysWhatToGive(t *testing.T) {
	set := func(name, value string) Options {
		return Options{Host: "docs.example.org", Settings: map[string]string{name: value}}
	}
	settings := "DEBUG, HOOK, HOSTS, LIFETIME, LOGO, THEME, WORKERS"
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "the app has no host name: give --host, such as docs.example.org"},
		{Options{Host: "https://docs.example.org"}, "is not a DNS name"},
		{Options{Host: "docs.example.org:8443"}, "is not a DNS name"},
		{Options{Host: "192.0.2.1"}, "is not a DNS name"},
		{Options{Host: "docs_1.example.org"}, "is not a DNS name"},
		{Options{Host: "docs..org"}, "is not a DNS name"},
		{Options{Host: strings.Repeat("a.", 130) + "org"}, "is not a DNS name"},
		{Options{Host: "docs.example.org", Name: "Docs"}, `"Docs" cannot name an instance`},
		{Options{Host: "docs.example.org", Name: "1docs"}, `"1docs" cannot name an instance`},
		{Options{Host: "docs.example.org", Name: strings.Repeat("a", 41)}, "give a shorter --name"},
		{Options{Host: "docs.example.org", With: []string{"lm"}}, "docs has nothing optional with the name lm, expected one of converter, create-administrator, llm"},
		{Options{Host: "docs.example.org", With: []string{"create-administrator"}}, "docs needs the setting ADMIN_EMAIL, the administrator's address: give --set ADMIN_EMAIL=VALUE"},
		{set("THEMES", "x"), "docs has no setting THEMES, expected one of " + settings},
		{set("ADMIN_EMAIL", "a@example.org"), "docs has no setting ADMIN_EMAIL, expected one of " + settings},
		{set("SECRET_KEY", "hunter2"), "SECRET_KEY is a secret, which libre does not write"},
		{set("DB_HOST", "x"), "DB_HOST is not a setting: it comes from the need postgres"},
		{set("THEME", "blue"), `setting THEME: "blue", expected one of light, dark`},
		{set("WORKERS", "4.5"), `setting WORKERS: "4.5" is not of the type integer`},
		{set("DEBUG", "maybe"), "is not of the type boolean"},
		{set("HOOK", "example.org"), "is not of the type url"},
		{set("HOSTS", "[a]"), "is not of the type json"},
		{set("LIFETIME", "soon"), "is not of the type duration"},
		{set("LOGO", "logo.svg"), "is not of the type file"},
		{set("THEME", "a\x00b"), "cannot have a zero byte"},
	} {
		_, err := New(example(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Error("the error has the secret")
		}
	}
}

func TestAppWithoutServicesIsNotRun(t *testing.T) {
	app := example()
	app.Spec.Components["backend"] = describe.Component{}
	_, err := New(app, Options{Host: "docs.example.org"})
	if want := "docs has nothing to run: none of its images has a service, set services or an entrypoint in its definition"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestOptionalPartsAreUsedIfAskedFor(t *testing.T) {
	for _, c := range []struct {
		with            []string
		services, needs string
	}{
		{nil, "web", "postgres"},
		{[]string{"llm"}, "web", "postgres llm"},
		{[]string{"converter"}, "converter web", "postgres"},
	} {
		i, err := New(example(), Options{Host: "DOCS.example.org", With: c.with})
		if err != nil {
			t.Fatal(err)
		}
		var services []string
		for _, s := range i.Services {
			services = append(services, s.Name)
		}
		if got := strings.Join(services, " "); got != c.services {
			t.Errorf("--with %v: services %s, want %s", c.with, got, c.services)
		}
		if len(i.Needs) != len(strings.Fields(c.needs)) {
			t.Errorf("--with %v: needs %v, want %s", c.with, i.Needs, c.needs)
		}
		if i.Host != "docs.example.org" || i.Name != "docs" {
			t.Errorf("host %s, name %s", i.Host, i.Name)
		}
	}
}

func TestTemplatesOfSettingsNameWhatIsThere(t *testing.T) {
	i, err := New(example(), Options{Host: "docs.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	address := func(service string) string { return "docs-" + service }
	for _, c := range []struct{ template, want, err string }{
		{`["$(url)"]`, `["https://docs.example.org"]`, ""},
		{"http://$(service.web.metrics)/$$(x)", "http://docs-web:9000/$(x)", ""},
		{"$(service.converter.http)", "", "give --with converter"},
		{"$(service.web.admin)", "", "service web has no port admin, expected one of http, metrics"},
		{"$(hosts)", "", "$(hosts) is unknown"},
	} {
		got, err := i.expand(c.template, address)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %s", c.template, err, c.err)
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%s: %s, %v, want %s", c.template, got, err, c.want)
		}
	}
}

func TestAppThatIsTriedAnswersOnTheLoopback(t *testing.T) {
	i, err := New(example(), Options{Port: 8080})
	if err != nil || i.Host != "127.0.0.1" || i.URL() != "http://127.0.0.1:8080" {
		t.Errorf("%+v, %v", i, err)
	}
}
