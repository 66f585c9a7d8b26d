package instance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/lazyregexp"
)

// Settings returns the settings of a service, by environment variable.
func (i *Instance) Settings(s Service) map[string]describe.Setting {
	all := map[string]describe.Setting{}
	for name, setting := range i.App.Spec.Config {
		if Uses(setting.Components, s.ComponentName) {
			all[name] = setting
		}
	}
	maps.Copy(all, s.Config)
	return all
}

// Given returns the settings that the operator sets, by environment variable.
func (i *Instance) Given() map[string]string { return maps.Clone(i.settings) }

// checkSettings checks the settings that the operator sets.
func (i *Instance) checkSettings() error {
	known := map[string]describe.Setting{}
	for _, s := range i.Services {
		maps.Copy(known, i.Settings(s))
	}
	for _, name := range slices.Sorted(maps.Keys(i.settings)) {
		setting, isKnown := known[name]
		if !isKnown {
			return i.unknown(name, known)
		}
		if setting.Secret {
			return fmt.Errorf("%s is a secret, which libre does not write: put it into the Secret that the rendered objects name", name)
		}
		if err := checkValue(setting, i.settings[name]); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		setting := known[name]
		_, given := i.settings[name]
		if setting.Required && !setting.Secret && !given && setting.Value == "" && setting.Default == "" {
			what := strings.TrimSuffix(name+", "+lowerFirst(setting.Description), ", ")
			return fmt.Errorf("%s needs the setting %s: give --set %s=VALUE", i.App.Metadata.Name, what, name)
		}
	}
	return nil
}

func (i *Instance) unknown(name string, known map[string]describe.Setting) error {
	for need, described := range i.App.Spec.Needs {
		if _, isVariable := described.Env[name]; isVariable {
			return fmt.Errorf("%s is not a setting: it comes from the need %s, whose Secret the rendered objects name", name, need)
		}
	}
	var names []string
	for name, setting := range known {
		if !setting.Secret {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return fmt.Errorf("%s has no setting %s%s", i.App.Metadata.Name, name, expected(names))
}

var duration = lazyregexp.New(`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d)?)+$`)

// checkValue returns an error if a text is not of a setting's type, or none of its values.
func checkValue(setting describe.Setting, text string) error {
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("an environment variable cannot have a zero byte")
	}
	if len(setting.Values) > 0 && !slices.Contains(setting.Values, text) {
		return fmt.Errorf("%q, expected one of %s", text, strings.Join(setting.Values, ", "))
	}
	var wrong bool
	switch setting.Type {
	case "integer":
		_, err := strconv.ParseInt(text, 10, 64)
		wrong = err != nil
	case "number":
		_, err := strconv.ParseFloat(text, 64)
		wrong = err != nil
	case "boolean":
		wrong = !slices.Contains([]string{"true", "false", "1", "0", "yes", "no", "on", "off"}, strings.ToLower(text))
	case "url":
		parsed, err := url.Parse(text)
		wrong = err != nil || parsed.Scheme == ""
	case "email":
		_, err := mail.ParseAddress(text)
		wrong = err != nil
	case "json":
		wrong = !json.Valid([]byte(text))
	case "duration":
		wrong = !duration().MatchString(text)
	case "file":
		wrong = !strings.HasPrefix(text, "/")
	}
	if wrong {
		return fmt.Errorf("%q is not of the type %s", text, setting.Type)
	}
	return nil
}

func lowerFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + text[1:]
}
