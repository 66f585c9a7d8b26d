package operator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
)

// instanceSchema returns the schema of the spec of an app's instances, for all of its variants.
func instanceSchema(variants []*describe.Application) schema {
	components, needs, with := componentsOf.over(variants), needsOf.over(variants), optionsOf.over(variants)
	fields := map[string]schema{
		"host":           text(253).described("The DNS name of the app.").ruled(hostRule),
		"version":        text(128).described("Upstream's version."),
		"packageVersion": {Type: "integer", Minimum: 1, Description: "The revision of the images of this version."},
		"variant":        text(128).matching(namePattern).described("The variant, or default."),
		"images":         named(components, "component", text(1024).ruled(digestRule)).described("The images, by component."),
		"envFrom":        environments.described("Secrets and ConfigMaps whose keys are environment variables, such as the app's secret settings."),
	}
	if len(components.all) == 0 {
		delete(fields, "images")
	}
	required := []string{"host", "images", "packageVersion", "variant", "version"}
	if len(with.all) > 0 {
		fields["with"] = set(len(with.all), schema{Type: "string", Enum: with.all}).described("The optional needs and services that are used.")
	}
	if len(needs.all) > 0 {
		fields["needs"] = named(needs, "need", needReference).described("Where to find what the app needs.")
	}
	if len(needs.required) > 0 {
		required = append(required, "needs")
	}
	settings := settingsSchema(variants)
	if len(settings.Properties) > 0 {
		fields["settings"] = settings
	}
	if len(settings.Required) > 0 {
		required = append(required, "settings")
	}
	slices.Sort(required)
	return object(fields, required...).ruled(optionRules(variants)...)
}

// nameSet has the names that variants of an app use: all names, and the names that every
// variant requires. Both are sorted.
type nameSet struct{ all, required []string }

// A namer returns names of an app, and whether each is required.
type namer func(*describe.Application) map[string]bool

func (f namer) over(variants []*describe.Application) nameSet {
	all, requiring := map[string]bool{}, map[string]int{}
	for _, app := range variants {
		for name, required := range f(app) {
			all[name] = true
			if required {
				requiring[name]++
			}
		}
	}
	maps.DeleteFunc(requiring, func(_ string, count int) bool { return count < len(variants) })
	return nameSet{slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(requiring))}
}

var (
	// componentsOf returns the components that run as services.
	componentsOf = namer(func(app *describe.Application) map[string]bool {
		found := map[string]bool{}
		for name, component := range app.Spec.Components {
			for _, service := range component.Services {
				found[name] = found[name] || !service.Optional
			}
		}
		return found
	})
	needsOf = namer(func(app *describe.Application) map[string]bool {
		found := map[string]bool{}
		for name, need := range app.Spec.Needs {
			found[name] = !need.Optional
		}
		return found
	})
	// optionsOf returns the optional needs and services.
	optionsOf = namer(func(app *describe.Application) map[string]bool {
		found := map[string]bool{}
		for name, need := range app.Spec.Needs {
			if need.Optional {
				found[name] = false
			}
		}
		for _, component := range app.Spec.Components {
			for name, service := range component.Services {
				if service.Optional {
					found[name] = false
				}
			}
		}
		return found
	})
)

// named returns the schema of a map whose keys are the names of a set.
func named(names nameSet, what string, value schema) schema {
	s := schema{Type: "object", AdditionalProperties: &value, MaxProperties: max(1, len(names.all))}
	s = s.ruled(rule{
		Rule:    fmt.Sprintf("self.all(name, name in %s)", celList(names.all)),
		Message: fmt.Sprintf("a %s is one of: %s", what, strings.Join(names.all, ", ")),
	})
	if len(names.required) > 0 {
		s = s.ruled(rule{
			Rule:    fmt.Sprintf("%s.all(name, name in self)", celList(names.required)),
			Message: fmt.Sprintf("a %s is missing, of: %s", what, strings.Join(names.required, ", ")),
		})
	}
	return s
}

// needReference is the schema of the place where a need is found.
var needReference = object(map[string]schema{
	"secretName": objectName().described("The Secret that has the need's parts."),
	"claimName":  objectName().described("The PersistentVolumeClaim."),
}).ruled(rule{Rule: "has(self.secretName) != has(self.claimName)", Message: "exactly one of secretName and claimName"})

// environments is a schema like Kubernetes' list of EnvFromSource.
var environments = schema{
	Type: "array", MaxItems: 20, ListType: "atomic",
	Items: &schema{Type: "object", Properties: map[string]schema{
		"prefix":       text(253).matching("^[A-Za-z_][A-Za-z0-9_]*$").described("What the names of the variables begin with."),
		"secretRef":    environment,
		"configMapRef": environment,
	}, Rules: []rule{{Rule: "has(self.secretRef) != has(self.configMapRef)", Message: "exactly one of secretRef and configMapRef"}}},
}

var environment = object(map[string]schema{"name": objectName(), "optional": {Type: "boolean"}}, "name")

// optionRules returns the rules that depend on which optional parts are used.
func optionRules(variants []*describe.Application) (rules []rule) {
	needs := needsOf.over(variants)
	for _, name := range needs.all {
		if everywhere(variants, func(app *describe.Application) bool { return app.Spec.Needs[name].Optional }) {
			rules = append(rules, rule{
				Rule:    fmt.Sprintf("%s == (has(self.needs) && '%s' in self.needs)", used(name), name),
				Message: fmt.Sprintf("the optional need %s is in with and in needs, or in neither", name),
			})
		}
	}
	components := componentsOf.over(variants)
	for _, component := range components.all {
		if slices.Contains(components.required, component) {
			continue
		}
		for _, service := range slices.Sorted(maps.Keys(variants[0].Spec.Components[component].Services)) {
			if everywhere(variants, func(app *describe.Application) bool {
				return app.Spec.Components[component].Services[service].Optional
			}) {
				rules = append(rules, rule{
					Rule:    fmt.Sprintf("!%s || '%s' in self.images", used(service), component),
					Message: fmt.Sprintf("the optional service %s needs the image of %s", service, component),
				})
			}
		}
	}
	return append(rules, requiredByOptions(variants)...)
}

// everywhere reports whether something holds for all variants.
func everywhere(variants []*describe.Application, holds func(*describe.Application) bool) bool {
	return !slices.ContainsFunc(variants, func(app *describe.Application) bool { return !holds(app) })
}

// used returns a CEL expression: whether an optional need or service is used.
func used(name string) string {
	return fmt.Sprintf("(has(self.with) && '%s' in self.with)", name)
}

func celList(names []string) string {
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, "'"+name+"'")
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
