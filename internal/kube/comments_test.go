package kube

import (
	"maps"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/describe"
)

// describedAs returns an app in which everything that becomes a comment has the description.
func describedAs(t *testing.T, description string) *describe.Application {
	a := app(t, "servers")
	maps.Copy(a.Spec.Needs, app(t, "files").Spec.Needs)
	a.Spec.Components = app(t, "files").Spec.Components
	for _, c := range a.Spec.Components {
		for name, service := range c.Services {
			service.Description = description
			c.Services[name] = service
		}
	}
	for name, need := range a.Spec.Needs {
		need.Description, need.Components = description, nil
		if need.Version != "" && need.Kind != "postgres" {
			need.Version = description
		}
		a.Spec.Needs[name] = need
	}
	a.Spec.Config = map[string]describe.Setting{"KEY": {Type: "string", Secret: true, Description: description}}
	a.Spec.Routes = map[string]describe.Route{"/": {Service: "server", Port: "http"}}
	return a
}

// A character that YAML takes for the end of a line does not end a comment. A character that
// YAML refuses is not written.
func TestDescriptionsStayInComments(t *testing.T) {
	for _, description := range []string{
		"a\rkind: Secret", "a\n---\nkind: Secret", "a\u2028kind: Secret", "a\u2029kind: Secret", "a\u0085kind: Secret",
		"a\x00", "a\x1b[31m", "a\xff", "a\ufeff", "# a", "'", "{{ .Values }}",
	} {
		for _, provider := range Providers() {
			a := describedAs(t, description)
			r := everything(a)
			r.kube.Needs = provider
			for _, file := range plain(t, a, r) {
				decode(t, file)
				var values map[string]any
				if err := yaml.UnmarshalStrict(file.Content, &values); err != nil || values["kind"] == "Secret" || file.Name == secretsName && values != nil {
					t.Errorf("%q: %s: %v, %v\n%s", description, file.Name, values, err, file.Content)
				}
			}
		}
	}
}
