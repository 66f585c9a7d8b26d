package sbom

import (
	"cmp"
	"strings"

	"github.com/libresh/libre/internal/license"
)

// Disagreement is a component whose declared license differs from the license in its files.
// Licenses are SPDX expressions. Both are known.
type Disagreement struct {
	Name, Version string
	Declared, By  string // By: the definition, the package set
	Found, In     string // In: its package, its files
}

// Disagreements lists the components of a merged document whose declared license differs from
// the one that was found: for the application, the license of its package, its main module or
// its own files; for packages of the package set, the license of the package with the same name
// and version in their files.
func (d *Document) Disagreements(m Metadata) (all []Disagreement) {
	for _, c := range d.Components {
		found := m.found(&c)
		if found.Declared == "" || found.Found == "" || license.Agree(found.Declared, found.Found) {
			continue
		}
		found.Name, found.Version = cmp.Or(found.Name, c.Name), cmp.Or(found.Version, c.Version)
		all = append(all, found)
	}
	return all
}

// found returns the declared and the found license of a component. Either is "" if there is
// nothing to compare.
func (m Metadata) found(c *Component) Disagreement {
	owner := c.owner()
	facts := m.Paths[owner]
	for _, app := range m.applications() {
		declared := Disagreement{Name: app.Name, Version: app.Version, Declared: app.License, By: "the definition", In: "its files"}
		switch {
		case c.Type == nixType && app.Program == owner:
			declared.Found, declared.In = facts.License, "its package"
			return declared
		case c.Type == goModuleType && !c.hasRelease() && app.isMain(c.Name, owner):
			declared.Found = cmp.Or(c.License.Expression, m.Modules[owner][c.Name])
			return declared
		case c.Type != nixType && (c.PURL == app.PURL || c.is(app.Facts)):
			declared.Found = c.License.Expression
			return declared
		}
	}
	name, version := ParseStorePath(owner)
	if c.Type == nixType || !c.is(Facts{Name: cmp.Or(facts.Name, name), Version: cmp.Or(facts.Version, version)}) {
		return Disagreement{}
	}
	return Disagreement{Declared: facts.License, By: "the package set", Found: c.License.Expression, In: "its files"}
}

// is reports whether a package in files has a name and a version, as ecosystems write them:
// v1.0 is 1.0, and typing_extensions is typing-extensions.
func (c *Component) is(facts Facts) bool {
	return facts.Name != "" && spelled(c.Name) == spelled(facts.Name) && strings.TrimPrefix(c.Version, "v") == strings.TrimPrefix(facts.Version, "v")
}

func spelled(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
