package operator

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// mostText is the size limit, in bytes, of an environment variable that Linux passes to a
// program: MAX_ARG_STRLEN, execve(2).
const mostText = 131071

// settingsSchema returns the schema of the settings that are not secret, by environment
// variable.
func settingsSchema(variants []*describe.Application) schema {
	s := object(map[string]schema{}).described("The settings that are set, by environment variable.")
	for _, app := range variants {
		for name, setting := range settingsOf(app) {
			if setting.Secret {
				continue
			}
			one := settingSchema(setting)
			if other, known := s.Properties[name]; known && !reflect.DeepEqual(one, other) {
				// Another variant defines the setting differently, so any text may be right in
				// one of them.
				one = schema{Type: "string", MaxLength: mostText, Description: cmp.Or(other.Description, one.Description)}
			}
			s.Properties[name] = one
		}
	}
	s.Required = requiredSettings.over(variants).required
	return s
}

// settingsOf returns all settings of an app's services, optional ones too.
func settingsOf(app *describe.Application) map[string]describe.Setting {
	all := map[string]describe.Setting{}
	for name, component := range app.Spec.Components {
		for _, service := range component.Services {
			maps.Copy(all, settingsOfService(app, name, service))
		}
	}
	return all
}

func settingsOfService(app *describe.Application, component string, service describe.Service) map[string]describe.Setting {
	all := map[string]describe.Setting{}
	for name, setting := range app.Spec.Config {
		if instance.Uses(setting.Components, component) {
			all[name] = setting
		}
	}
	maps.Copy(all, service.Config)
	return all
}

// requiredSettings returns the settings that must always be set, whatever optional parts are
// used.
var requiredSettings = namer(func(app *describe.Application) map[string]bool {
	found := map[string]bool{}
	for name, component := range app.Spec.Components {
		for _, service := range component.Services {
			for setting, s := range settingsOfService(app, name, service) {
				if mustBeSet(s) && !service.Optional {
					found[setting] = true
				}
			}
		}
	}
	return found
})

// requiredByOptions returns the rules for settings that only optional services require.
func requiredByOptions(variants []*describe.Application) (rules []rule) {
	always := requiredSettings.over(variants).required
	for _, service := range optionsOf.over(variants).all {
		requires := namer(func(app *describe.Application) map[string]bool {
			found := map[string]bool{}
			for name, component := range app.Spec.Components {
				if s, has := component.Services[service]; has && s.Optional {
					for setting, described := range settingsOfService(app, name, s) {
						found[setting] = mustBeSet(described)
					}
				}
			}
			return found
		})
		for _, setting := range requires.over(variants).required {
			if slices.Contains(always, setting) {
				continue
			}
			rules = append(rules, rule{
				Rule:    fmt.Sprintf("!%s || (has(self.settings) && has(self.settings.%s))", used(service), celField(setting)),
				Message: fmt.Sprintf("the optional service %s needs the setting %s", service, setting),
			})
		}
	}
	return rules
}

func mustBeSet(s describe.Setting) bool {
	return s.Required && !s.Secret && s.Value == "" && s.Default == ""
}

// celReserved are the words that CEL escapes as names of fields:
// https://kubernetes.io/docs/reference/using-api/cel/#escaping
var celReserved = strings.Fields("true false null in as break const continue else for function if import let loop package namespace return var void while")

// celField returns the name of a variable as a field in CEL.
func celField(variable string) string {
	if slices.Contains(celReserved, variable) {
		return "__" + variable + "__"
	}
	return strings.ReplaceAll(variable, "__", "__underscores__")
}

// settingSchema returns a schema that accepts the values that render accepts for a setting.
func settingSchema(s describe.Setting) schema {
	text := schema{Type: "string", MaxLength: mostText, Description: settingDescription(s)}
	if len(s.Values) > 0 {
		return schema{Type: "string", Enum: s.Values, Description: text.Description}
	}
	var r rule
	switch s.Type {
	case "integer":
		r = rule{"self.matches('^[+-]?[0-9]+$')", "it is an integer"}
	case "number":
		r = rule{"self.matches('^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$')", "it is a number"}
	case "boolean":
		r = rule{"self.lowerAscii() in ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off']", "it is true or false"}
	case "url":
		r = rule{"self.matches('^[A-Za-z][A-Za-z0-9+.-]*:')", "it is a URL with a scheme, such as https://docs.example.org"}
	case "email":
		r = rule{"self.contains('@')", "it is an e-mail address"}
	case "duration":
		r = rule{"self.matches('^([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h|d)?)+$')", "it is a duration, such as 30s"}
	case "file":
		r = rule{"self.startsWith('/')", "it is an absolute path"}
	default:
		return text
	}
	return text.ruled(r)
}

func settingDescription(s describe.Setting) string {
	text := s.Description
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	if s.Default != "" {
		text += fmt.Sprintf(" The program's default is %q.", s.Default)
	}
	if s.Example != "" {
		text += fmt.Sprintf(" Such as %q.", s.Example)
	}
	return strings.TrimSpace(text)
}
