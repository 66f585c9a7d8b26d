package describe

import (
	"slices"
	"testing"
)

func TestTemplatesHavePlaceholders(t *testing.T) {
	values := map[string]string{"host": "db.example", "port": "5432", "service.web.http": "web:8000"}
	value := func(name string) (string, bool) { text, known := values[name]; return text, known }
	for _, test := range []struct {
		template, want string
		names          []string
	}{
		{"", "", nil},
		{"plain", "plain", nil},
		{"$(host)", "db.example", []string{"host"}},
		{"redis://$(host):$(port)/1", "redis://db.example:5432/1", []string{"host", "port"}},
		{"http://$(service.web.http)/", "http://web:8000/", []string{"service.web.http"}},
		{`["https://$(host)"]`, `["https://db.example"]`, []string{"host"}},
		{"$$(host) $HOME ${host} $( host)", "$(host) $HOME ${host} $( host)", nil},
		{"$(unknown)", "$(unknown)", []string{"unknown"}},
	} {
		if got := Expand(test.template, value); got != test.want {
			t.Errorf("%q: %q, want %q", test.template, got, test.want)
		}
		if got := Placeholders(test.template); !slices.Equal(got, test.names) {
			t.Errorf("%q: %q, want %q", test.template, got, test.names)
		}
	}
}

func TestReplacedTemplatesStayTemplates(t *testing.T) {
	value := func(name string) (string, bool) { return "redis://:$(password)@cache", name == "url" }
	for template, want := range map[string]string{
		"$(url)/1":         "redis://:$(password)@cache/1",
		"$$(url) $(user)":  "$$(url) $(user)",
		"$(password)$$(x)": "$(password)$$(x)",
	} {
		if got := Replace(template, value); got != want {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
}
