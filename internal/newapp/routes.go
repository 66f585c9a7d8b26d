package newapp

import (
	"slices"

	"github.com/libresh/libre/internal/text"
)

// routesSet leads all requests to the component that people see: the only one with a port for
// HTTP, else the one that is called so.
func (f *Findings) routesSet() set {
	var open []string
	for _, c := range f.components {
		runs := c.attributes.has("containerfile") || c.attributes.has("entrypoint")
		if runs && c.attributes.hasPath("ports", "http") && !c.attributes.has("services") {
			open = append(open, c.name)
		}
	}
	for _, name := range []string{"frontend", "web", "app", "proxy", "nginx", f.name} {
		if len(open) > 1 && slices.Contains(open, name) {
			open = []string{name}
		}
	}
	if len(open) != 1 {
		return nil
	}
	f.guessed("all requests lead to %s", text.Name(open[0]))
	var s set
	s.addGuess("correct it if there are others", open[0], "routes", "/", "service")
	return s
}

// hasPath reports whether a set has an attribute with this path.
func (s set) hasPath(path ...string) bool {
	return slices.ContainsFunc(s, func(a attribute) bool { return slices.Equal(a.path, path) })
}
