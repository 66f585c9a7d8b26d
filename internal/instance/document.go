package instance

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/lazyregexp"
)

var (
	// catalogName is a name in a catalogue, and envName a variable: nix/types.nix has both.
	catalogName = lazyregexp.New(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	envName     = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// extensionName is a name of an extension of PostgreSQL: its files have it.
	extensionName = lazyregexp.New(`^[a-z_][a-z0-9_-]{0,62}$`)
)

// CheckDocument returns an error if a document has a name that cannot become one of a file
// or an object, or a need of an unknown kind. Evaluation checks them too, but a document may
// come from a registry.
func CheckDocument(app *describe.Application) error {
	if err := checkNames("app", catalogName(), map[string]bool{app.Metadata.Name: true}); err != nil {
		return err
	}
	if err := checkNames("component", catalogName(), app.Spec.Components); err != nil {
		return err
	}
	if err := checkNames("need", catalogName(), app.Spec.Needs); err != nil {
		return err
	}
	if err := checkNames("setting", envName(), app.Spec.Config); err != nil {
		return err
	}
	for _, component := range app.Spec.Components {
		if err := checkNames("service", catalogName(), component.Services); err != nil {
			return err
		}
		for _, service := range component.Services {
			if err := checkNames("setting", envName(), service.Config); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(app.Spec.Needs)) {
		kind := app.Spec.Needs[name].Kind
		switch _, known := describe.Parts[kind]; {
		case kind == "":
			return fmt.Errorf("%s: the need %s has no kind", app.Metadata.Name, name)
		case !known:
			return fmt.Errorf("%s: the need %s has the kind %s, which this libre does not know: use a newer one", app.Metadata.Name, name, kind)
		}
		if err := checkExtensions(name, app.Spec.Needs[name].Extensions); err != nil {
			return fmt.Errorf("%s: %w", app.Metadata.Name, err)
		}
	}
	return nil
}

func checkNames[V any](what string, form *regexp.Regexp, all map[string]V) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !form.MatchString(name) {
			return fmt.Errorf("the %s %q of the application document has a name that a catalogue cannot have: publish it anew", what, name)
		}
	}
	return nil
}

func checkExtensions(need string, names []string) error {
	for i, name := range names {
		if !extensionName().MatchString(name) {
			return fmt.Errorf("the need %s has the extension %q, expected a name such as pg_trgm", need, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("the need %s has the extension %s twice", need, name)
		}
	}
	return nil
}
