package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/lazyregexp"
)

// Change is a value that was added, removed or changed.
type Change struct {
	Path   string `json:"path"` // of the attribute: needs.postgres.version, env.DB_HOST
	Change Edit   `json:"change"`
	From   any    `json:"from,omitempty"` // JSON
	To     any    `json:"to,omitempty"`   // JSON
}

// jsonChanges compares two JSON objects attribute by attribute. In lists of objects, such as
// routes, it compares whole elements, because they have no names. A missing section, such as
// needs, counts as empty.
func jsonChanges(from, to json.RawMessage) []Change {
	changes := []Change{}
	was, is := decoded(from), decoded(to)
	for _, key := range keysOf(was, is) {
		before, after := was[key], is[key]
		if _, object := after.(map[string]any); object && before == nil {
			before = map[string]any{}
		}
		if _, object := before.(map[string]any); object && after == nil {
			after = map[string]any{}
		}
		compareValues(key, before, after, &changes)
	}
	return changes
}

// description returns what an application document says about the app, without the parts that
// name this release and its images.
func description(a *describe.Application) json.RawMessage {
	spec := a.Spec
	spec.Version, spec.PackageVersion, spec.Variant, spec.Registry, spec.Source, spec.Revision = "", 0, "", "", "", ""
	spec.Components = map[string]describe.Component{}
	for name, component := range a.Spec.Components {
		component.Image = nil
		spec.Components[name] = component
	}
	text, _ := json.Marshal(spec) // it has no value that JSON lacks
	return text
}

// keysOf returns the keys that either object has, sorted.
func keysOf(one, other map[string]any) []string {
	keys := map[string]any{}
	maps.Copy(keys, one)
	maps.Copy(keys, other)
	return slices.Sorted(maps.Keys(keys))
}

// decoded decodes a JSON object; nil for anything else. Numbers keep their text.
func decoded(text json.RawMessage) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value map[string]any
	if decoder.Decode(&value) != nil {
		return nil
	}
	return value
}

func compareValues(path string, from, to any, changes *[]Change) {
	was, isObject := from.(map[string]any)
	is, stillObject := to.(map[string]any)
	switch {
	case reflect.DeepEqual(from, to):
	case isObject && stillObject:
		for _, key := range keysOf(was, is) {
			compareValues(path+"."+key, was[key], is[key], changes)
		}
	case objects(from) && objects(to):
		compareElements(path, from.([]any), to.([]any), changes)
	default:
		*changes = append(*changes, newChange(path, from, to))
	}
}

// newChange returns the change of a value. from or to is nil if that side has none.
func newChange(path string, from, to any) Change {
	edit := Changed
	switch {
	case from == nil:
		edit = Added
	case to == nil:
		edit = Removed
	}
	return Change{path, edit, from, to}
}

// objects reports whether a value is a list of objects.
func objects(value any) bool {
	elements, is := value.([]any)
	return is && len(elements) > 0 && !slices.ContainsFunc(elements, func(element any) bool {
		_, object := element.(map[string]any)
		return !object
	})
}

func compareElements(path string, from, to []any, changes *[]Change) {
	left := slices.Clone(to)
	for _, element := range from {
		if i := slices.IndexFunc(left, func(other any) bool { return reflect.DeepEqual(element, other) }); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			*changes = append(*changes, Change{path, Removed, element, nil})
		}
	}
	for _, element := range left {
		*changes = append(*changes, Change{path, Added, nil, element})
	}
}

// storeHash matches the hash of a store path, which changes with each build.
var storeHash = lazyregexp.New(`/nix/store/[0-9a-z]{32}-`)

// withoutHashes replaces the hashes of store paths, so that only their names are compared.
func withoutHashes(text string) string { return storeHash().ReplaceAllString(text, "/nix/store/…-") }

// configChanges compares the settings that a container starts with. Hashes of store paths do
// not count.
func configChanges(from, to *v1.Config) []Change {
	changes := []Change{}
	add := func(path string, was, is any) {
		if withoutHashes(jsonText(was)) != withoutHashes(jsonText(is)) {
			changes = append(changes, newChange(path, was, is))
		}
	}
	add("entrypoint", listOrNil(from.Entrypoint), listOrNil(to.Entrypoint))
	add("command", listOrNil(from.Cmd), listOrNil(to.Cmd))
	was, is := environment(from.Env), environment(to.Env)
	for _, name := range keysOf(was, is) {
		add("env."+name, was[name], is[name])
	}
	add("user", textOrNil(from.User), textOrNil(to.User))
	add("workingDir", textOrNil(from.WorkingDir), textOrNil(to.WorkingDir))
	add("stopSignal", textOrNil(from.StopSignal), textOrNil(to.StopSignal))
	add("healthcheck", health(from.Healthcheck), health(to.Healthcheck))
	changes = append(changes, setChanges("port", slices.Sorted(maps.Keys(from.ExposedPorts)), slices.Sorted(maps.Keys(to.ExposedPorts)))...)
	return append(changes, setChanges("volume", slices.Sorted(maps.Keys(from.Volumes)), slices.Sorted(maps.Keys(to.Volumes)))...)
}

func environment(list []string) map[string]any {
	all := map[string]any{}
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}

func listOrNil(list []string) any {
	if list == nil {
		return nil
	}
	return list
}

func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// health returns a health check for JSON, with durations as text.
func health(check *v1.HealthConfig) any {
	if check == nil {
		return nil
	}
	return map[string]any{
		"test": check.Test, "interval": check.Interval.String(), "timeout": check.Timeout.String(),
		"startPeriod": check.StartPeriod.String(), "retries": check.Retries,
	}
}

// setChanges compares two sorted lists as sets. All changes have the same path.
func setChanges(path string, from, to []string) []Change {
	changes := []Change{}
	for _, value := range from {
		if !slices.Contains(to, value) {
			changes = append(changes, Change{path, Removed, value, nil})
		}
	}
	for _, value := range to {
		if !slices.Contains(from, value) {
			changes = append(changes, Change{path, Added, nil, value})
		}
	}
	return changes
}

// jsonText returns a value as compact JSON.
func jsonText(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// valueText returns a value for people: text as it is, anything else as compact JSON.
func valueText(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		if value == "" {
			return `""`
		}
		return withoutHashes(value)
	}
	return withoutHashes(jsonText(value))
}
