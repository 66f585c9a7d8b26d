package kube

import (
	"reflect"
	"testing"

	"github.com/libresh/libre/internal/describe"
)

func TestVariablesComeFromValuesSecretsAndPartsOfNeeds(t *testing.T) {
	a := app(t, "guestbook")
	a.Spec.Needs["postgres"] = describe.Need{Kind: "postgres", Components: []string{"frontend"}, Env: map[string]describe.Variable{
		"DB_HOST": {Value: "$(host)"},
		"DB_URL":  {Value: "pg://$(user):$(password)@$(host)/$$(x)$$", Secret: true},
		"DB_KIND": {Value: "postgres"},
	}}
	a.Spec.Config = map[string]describe.Setting{
		"ADDRESS": {Type: "url", Value: "$(url)/x"},
		"BACKEND": {Type: "url", Value: "http://$(service.web.http)"},
		"DEFAULT": {Type: "string", Default: "stays away"},
		"GIVEN":   {Type: "string"},
		"KEY":     {Type: "string", Secret: true, Generate: true},
		"TOKEN":   {Type: "string", Secret: true},
		"OTHER":   {Type: "string", Value: "x", Components: []string{"backend"}},
	}
	var o run
	o.Host, o.Settings = "App.Example.org", map[string]string{"GIVEN": "a$b$(HOME)$$"}
	r := rendererOf(t, a, o)
	frontend, _ := r.Service("frontend")
	got, err := r.env(frontend)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name, secret, key string, optional bool) envVar {
		return envVar{Name: name, ValueFrom: &envVarSource{secretKeyRef{secret, key, optional}}}
	}
	want := []envVar{
		secret("LIBRE_POSTGRES_HOST", "guestbook-postgres", "host", false),
		secret("LIBRE_POSTGRES_PASSWORD", "guestbook-postgres", "password", false),
		secret("LIBRE_POSTGRES_USER", "guestbook-postgres", "user", false),
		{Name: "ADDRESS", Value: "https://app.example.org/x"},
		{Name: "BACKEND", Value: "http://guestbook-web:8080"},
		secret("DB_HOST", "guestbook-postgres", "host", false),
		{Name: "DB_KIND", Value: "postgres"},
		{Name: "DB_URL", Value: "pg://$(LIBRE_POSTGRES_USER):$(LIBRE_POSTGRES_PASSWORD)@$(LIBRE_POSTGRES_HOST)/$$(x)$$$$"},
		{Name: "GIVEN", Value: "a$$b$$(HOME)$$$$"},
		secret("KEY", "guestbook", "KEY", false),
		secret("TOKEN", "guestbook", "TOKEN", true),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestArgumentsExpandTheServicesVariablesAlone(t *testing.T) {
	got := args([]string{"--email", "$(EMAIL)", "impress@%h", "$(date) $$ $HOME"}, []envVar{{Name: "EMAIL"}})
	want := []string{"--email", "$(EMAIL)", "impress@%h", "$$(date) $$$$ $$HOME"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
