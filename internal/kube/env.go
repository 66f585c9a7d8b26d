package kube

import (
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/lazyregexp"
)

// env returns the environment of a service. Parts of needs come from the need's Secret. If a
// value contains several parts, each part comes first, in its own variable, and Kubernetes
// expands them in the value.
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

// fromNeed returns a variable that contains parts of a need. If there are several parts, each
// gets its own variable too.
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

var onePart = lazyregexp.New(`^\$\([^()]*\)$`)

func isOnePart(template string) bool { return onePart().MatchString(template) }

// composed returns a template of a need's parts in the form that Kubernetes expands.
func composed(need, template string) string {
	const begin, end = "\x00", "\x01" // no environment variable and no name contains them
	text := describe.Expand(template, func(part string) (string, bool) { return begin + instance.PartVariable(need, part) + end, true })
	return strings.NewReplacer(begin, "$(", end, ")").Replace(literal(text))
}

// literal returns a value in which Kubernetes expands nothing:
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }

var reference = lazyregexp.New(`\$\([A-Za-z_][A-Za-z0-9_]*\)|\$`)

// args returns a command in which Kubernetes expands only the service's variables.
func args(command []string, env []envVar) (all []string) {
	for _, word := range command {
		all = append(all, reference().ReplaceAllStringFunc(word, func(match string) string {
			if slices.ContainsFunc(env, func(v envVar) bool { return match == "$("+v.Name+")" }) {
				return match
			}
			return literal(match)
		}))
	}
	return all
}
