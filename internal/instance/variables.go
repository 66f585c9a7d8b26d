package instance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
)

// Variable is an environment variable of a service. It has a value, or is taken from a need
// or a secret.
type Variable struct {
	Name     string
	Value    string // the text; if Need is set, a template of the need's parts
	Need     string // the name of a need
	Secret   bool   // the value is a secret setting's, with the variable's name
	Optional bool   // the program works if the secret setting does not exist
}

// Variables lists the environment variables of a service, sorted by name. address gives the
// host name by which services reach another.
func (i *Instance) Variables(s Service, address func(service string) string) ([]Variable, error) {
	all := map[string]Variable{}
	for name, need := range i.Needs {
		if !Uses(need.Components, s.ComponentName) {
			continue
		}
		for variable, v := range need.Env {
			switch {
			case !Uses(v.Components, s.ComponentName):
			case len(describe.Placeholders(v.Value)) == 0:
				all[variable] = Variable{Name: variable, Value: describe.Expand(v.Value, unknownPart)}
			default:
				all[variable] = Variable{Name: variable, Value: v.Value, Need: name}
			}
		}
	}
	for name, setting := range i.Settings(s) {
		value, given := i.settings[name]
		switch {
		case setting.Secret:
			all[name] = Variable{Name: name, Secret: true, Optional: !setting.Required && !setting.Generate}
		case given:
			all[name] = Variable{Name: name, Value: value}
		case setting.Value != "":
			value, err := i.expand(setting.Value, address)
			if err != nil {
				return nil, fmt.Errorf("setting %s: %w", name, err)
			}
			all[name] = Variable{Name: name, Value: value}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Variable) int { return strings.Compare(a.Name, b.Name) }), nil
}

// PartVariable names the variable that a part of a need has on its own.
func PartVariable(need, part string) string {
	return "LIBRE_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(need+"_"+part))
}

func unknownPart(string) (string, bool) { return "", false }

// URL is the app's address, without a slash at the end.
func (i *Instance) URL() string {
	if i.port != 0 {
		return fmt.Sprintf("http://%s:%d", i.Host, i.port)
	}
	return "https://" + i.Host
}

// expand resolves $(host), $(url) and $(service.NAME.PORT).
func (i *Instance) expand(template string, address func(service string) string) (string, error) {
	var failed error
	text := describe.Expand(template, func(name string) (string, bool) {
		switch name {
		case "host":
			return i.Host, true
		case "url":
			return i.URL(), true
		}
		words := strings.Split(name, ".")
		if len(words) != 3 || words[0] != "service" {
			failed = fmt.Errorf("$(%s) is unknown", name)
			return "", false
		}
		service, used := i.Service(words[1])
		if !used {
			failed = fmt.Errorf("$(%s) needs the service %s: give --with %s", name, words[1], words[1])
			return "", false
		}
		port, err := service.Port(words[2])
		if err != nil {
			failed = err
			return "", false
		}
		return fmt.Sprintf("%s:%d", address(service.Name), port), true
	})
	return text, failed
}
