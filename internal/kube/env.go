package kube

import (
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// env is the environment of a service. Parts of needs come from the need's Secret. A value
// that has several first names each part in a variable of its own, which Kubernetes expands.
func (r *renderer) env(s instance.Service) ([]envVar, error) {
	variables, err := r.Variables(s, r.ObjectName)
	if err != nil {
		return nil, err
	}
	var parts, all []envVar
	for _, v := range variables {
		switch {
		case v.Secret:
			all = append(all, envVar{Name: v.Name, ValueFrom: r.setting(s, v)})
		case v.Need == "":
			all = append(all, envVar{Name: v.Name, Value: literal(v.Value)})
		default:
			own, needed := r.fromNeed(v)
			parts, all = append(parts, own...), append(all, needed)
		}
	}
	slices.SortFunc(parts, func(a, b envVar) int { return strings.Compare(a.Name, b.Name) })
	parts = slices.CompactFunc(parts, func(a, b envVar) bool { return a.Name == b.Name })
	return append(parts, all...), nil
}

// fromNeed is a variable with parts of a need. If it has several, each has a variable of its
// own.
func (r *renderer) fromNeed(v instance.Variable) (parts []envVar, needed envVar) {
	value := describe.Replace(v.Value, r.provided[v.Need].value)
	names := describe.Placeholders(value)
	switch {
	case len(names) == 0:
		return nil, envVar{Name: v.Name, Value: composed(v.Need, value)}
	case isOnePart(value):
		return nil, envVar{Name: v.Name, ValueFrom: r.part(v.Need, names[0])}
	}
	for _, part := range names {
		parts = append(parts, envVar{Name: instance.PartVariable(v.Need, part), ValueFrom: r.part(v.Need, part)})
	}
	return parts, envVar{Name: v.Name, Value: composed(v.Need, value)}
}

var onePart = regexp.MustCompile(`^\$\([^()]*\)$`)

func isOnePart(template string) bool { return onePart.MatchString(template) }

// composed is a template of a need's parts for Kubernetes to expand.
func composed(need, template string) string {
	const begin, end = "\x00", "\x01" // which no environment variable and no name has
	text := describe.Expand(template, func(part string) (string, bool) { return begin + instance.PartVariable(need, part) + end, true })
	return strings.NewReplacer(begin, "$(", end, ")").Replace(literal(text))
}

// literal is a value in which Kubernetes expands nothing:
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }

var reference = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_]*\)|\$`)

// args is a command in which Kubernetes expands the service's variables alone.
func args(command []string, env []envVar) (all []string) {
	for _, word := range command {
		all = append(all, reference.ReplaceAllStringFunc(word, func(match string) string {
			if slices.ContainsFunc(env, func(v envVar) bool { return match == "$("+v.Name+")" }) {
				return match
			}
			return literal(match)
		}))
	}
	return all
}
