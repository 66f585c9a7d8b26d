package operator

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
)

// All variants of an app share one kind, whatever they need and set.
func TestAKindHoldsForAllVariants(t *testing.T) {
	plain, lyon := describetest.App(t, "guestbook"), describetest.App(t, "guestbook")
	plain.Spec.Config = map[string]describe.Setting{
		"BACKEND_URL": {Type: "url"},
		"PLACE":       {Type: "string", Required: true},
		"SIZE":        {Type: "integer"},
	}
	lyon.Spec.Variant = "lyon"
	lyon.Spec.Needs = map[string]describe.Need{"postgres": {Kind: "postgres", Optional: true}, "mail": {Kind: "smtp"}}
	lyon.Spec.Config = map[string]describe.Setting{"SIZE": {Type: "string", Values: []string{"small", "large"}}}
	delete(lyon.Spec.Components, "frontend")
	lyon.Spec.Components["worker"] = describe.Component{
		Image:    &describe.Image{Reference: "guestbook-worker-lyon:1.0.0-1", Digest: "sha256:" + strings.Repeat("2", 64)},
		Services: map[string]describe.Service{"worker": {Optional: true}},
	}
	types := resourceTypes(t, definitions(t, plain, lyon))
	own := resourceTypes(t, definitions(t, plain))
	for _, c := range []struct {
		app *describe.Application
		o   instance.Options
	}{
		{plain, instance.Options{Settings: map[string]string{"PLACE": "Paris", "SIZE": "4"}}},
		{lyon, instance.Options{}},
		{lyon, instance.Options{With: []string{"worker", "postgres"}, Settings: map[string]string{"SIZE": "large"}}},
	} {
		for _, file := range render(t, c.app, c.o) {
			if err := create(types, decode(t, file.Content), nil); err != nil {
				t.Errorf("variant %s, %+v: %s: %v", c.app.Spec.Variant, c.o, file.Name, err)
			}
			if err := create(own, decode(t, file.Content), nil); err == nil && c.app == lyon && strings.HasPrefix(file.Name, "guestbook-") {
				t.Errorf("%s of lyon is accepted by the kind of the other variant", file.Name)
			}
		}
	}
}

// The definitions accept the settings that render accepts, and refuse those that it refuses.
func TestSettingsHaveTheTypesOfRender(t *testing.T) {
	for kind, texts := range map[string][]string{
		"string":   {"", "a", "a\nb", "é", "$(host)"},
		"integer":  {"1", "-1", "+1", "007", "1.5", "1e3", "", "one", " 1"},
		"number":   {"1", "1.5", "-.5", "1e3", "1.", "", ".", "one", "1,5"},
		"boolean":  {"true", "False", "1", "on", "YES", "", "maybe", "2"},
		"url":      {"https://docs.example.org", "redis://a:b@c:1/2", "mailto:a@example.org", "example.org", "/path", "", "://"},
		"email":    {"a@example.org", "A <a@example.org>", "a", ""},
		"json":     {`["a"]`, "1"},
		"duration": {"30s", "1h30m", "90", "1.5d", "soon", "", "s"},
		"file":     {"/etc/x", "etc/x", ""},
	} {
		a := describetest.App(t, "guestbook")
		a.Spec.Config = map[string]describe.Setting{"SETTING": {Type: kind}, "__in__A__": {Type: kind}}
		types := resourceTypes(t, definitions(t, a))
		for _, text := range texts {
			resource := decode(t, render(t, a, instance.Options{})[1].Content)
			change(resource, "spec/settings/SETTING", text)
			refused := create(types, resource, nil)
			_, err := instance.New(a, instance.Options{Host: "a.example.org", Settings: map[string]string{"SETTING": text}})
			if (err == nil) != (refused == nil) {
				t.Errorf("%s %q: render says %v, the definition %v", kind, text, err, refused)
			}
		}
	}
}

// Rules escape names of variables that CEL cannot use unchanged.
func TestRulesNameVariablesThatAreEscaped(t *testing.T) {
	for _, variable := range []string{"ADMIN_EMAIL", "in", "A__B", "__A__", "namespace", "_"} {
		a := describetest.App(t, "guestbook")
		a.Spec.Components["backend"].Services["admin"] = describe.Service{
			Optional: true, Job: "first-install", Config: map[string]describe.Setting{variable: {Type: "string", Required: true}},
		}
		types := resourceTypes(t, definitions(t, a))
		files := render(t, a, instance.Options{With: []string{"admin"}, Settings: map[string]string{variable: "x"}})
		resource := decode(t, files[len(files)-1].Content)
		if err := create(types, resource, nil); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
		change(resource, "spec/settings", nil)
		if err := create(types, resource, nil); err == nil || !strings.Contains(err.Error(), "needs the setting "+variable) {
			t.Errorf("without %s: %v", variable, err)
		}
	}
}
