package newapp

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

var (
	dotenvName   = lazyregexp.New(`(?i)^\.?env[._-](example|sample|template|dist|defaults?)$|^(example|sample)\.env$`)
	variableName = lazyregexp.New(`\A[A-Za-z_][0-9A-Za-z_]*\z`)
	assignment   = lazyregexp.New(`^\s*#?\s*(?:export\s+)?([A-Z][0-9A-Z_]+)\s*=\s*(.*?)\s*$`)
)

// mostVariables is how many settings are written.
const mostVariables = 200

// readVariables reads the variables that the program takes, of examples of .env files and of
// the Compose file: parts of needs, and settings.
func (f *Findings) readVariables(t *tree, services []service) {
	all := map[string]variable{}
	for _, name := range t.find(dotenvName()) {
		if len(all) > mostVariables || depth(name) > 3 {
			break
		}
		f.found("%s", text.Name(name))
		for _, v := range readDotenv(string(t.read(name))) {
			if _, known := all[v.name]; !known {
				all[v.name] = v
			}
		}
	}
	for _, s := range services {
		for name, value := range s.environment {
			if _, known := all[name]; !known && variableName().MatchString(name) {
				all[name] = variable{name: name, value: value}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if v := all[name]; !f.place(name) && len(f.settings) < mostVariables {
			f.settings = append(f.settings, v)
		}
	}
	if len(f.settings) > 0 {
		f.guessed("%d settings", len(f.settings))
		f.lookAt("config has what could be a setting: keep what operators set")
	}
}

// readDotenv reads NAME=VALUE lines, also those that are comments, with the comment above.
func readDotenv(content string) []variable {
	var all []variable
	var comment []string
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if m := assignment().FindStringSubmatch(line); m != nil {
			all = append(all, variable{name: m[1], value: unquoted(m[2]), comment: strings.Join(comment, " ")})
			comment = nil
		} else if note, found := strings.CutPrefix(line, "#"); found && strings.Trim(note, "#-= ") != "" {
			comment = append(comment, strings.TrimSpace(strings.TrimLeft(note, "#")))
		} else {
			comment = nil
		}
	}
	return all
}

func unquoted(value string) string {
	if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}

var (
	secretName = lazyregexp.New(`(^|_)(SECRET|PASSWORD|PASS|TOKEN|SALT|CREDENTIALS|PRIVATE|APIKEY|KEY)(_|$)|SECRET`)
	integer    = lazyregexp.New(`\A-?[0-9]{1,15}\z`)
	webAddress = lazyregexp.New(`\Ahttps?://`)
	hasLogin   = lazyregexp.New(`://[^/]*@`)
)

// settingsSet are the settings as a definition has them.
func (f *Findings) settingsSet() set {
	var s set
	for _, v := range f.settings {
		var one set
		description := text.Short(v.comment, 120)
		if description == "" {
			description = inWords(v.name)
		}
		one.add(description, "description")
		switch value := strings.ToLower(v.value); {
		case secretName().MatchString(v.name):
			one.add(true, "secret")
			s.add(one, v.name)
			continue
		case value == "true" || value == "false":
			one.add("boolean", "type")
		case integer().MatchString(value):
			one.add("integer", "type")
		case webAddress().MatchString(value):
			one.add("url", "type")
		}
		if v.value != "" && !strings.Contains(v.value, "$") && !hasLogin().MatchString(v.value) {
			one.add(text.Short(v.value, 200), "example")
		}
		s.add(one, v.name)
	}
	return s
}

// inWords is a variable's name as a text: Log level.
func inWords(name string) string {
	words := strings.ToLower(strings.ReplaceAll(path.Base(name), "_", " "))
	return strings.ToUpper(words[:1]) + strings.TrimSpace(words[1:])
}
