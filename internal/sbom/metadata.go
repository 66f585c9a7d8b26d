package sbom

import (
	"cmp"
	"path"
	"strings"

	"github.com/anchore/packageurl-go"
)

// Metadata is what is known about an image from other sources than its files.
type Metadata struct {
	Application Application
	Bases       []Application                // the catalogue's images that an engine built the image on
	Paths       map[string]Facts             // by store path
	Modules     map[string]map[string]string // store path → Go module that is linked into it → SPDX expression, concluded
}

// Application is an image's program, as its definition describes it.
type Application struct {
	Facts
	Program string // store path of its package; empty for an image that an engine built
	Module  string // path of its Go module, or of the modules in its repository; may be empty
	Release string // version of this module: v1.2.3
}

// Facts are what is known about a component. Empty fields are unknown.
type Facts struct {
	Name, Version string
	PURL          string
	CPEs          []string
	Creator       string // URL, or email address
	License       string // SPDX expression, declared
	Source        Source
	Patches       []Patch
}

// Types of components, in syft's words, except that of the application.
const (
	applicationType = "application"
	goModuleType    = "go-module"
	binaryType      = "binary"
	stdlib          = "stdlib" // module that is Go's standard library
)

// Describe adds facts to the components of a merged document. If no component is the
// application, it adds one for it.
func (d *Document) Describe(m Metadata) *Document {
	described := *d
	described.License = License{Expression: m.Application.License}
	components := map[string]*Component{}
	for _, c := range d.Components {
		m.describe(&c)
		components[c.ID] = &c
	}
	if app := m.Application.component(components); app != nil {
		components[app.ID] = app
		described.DependsOn = unique(append(described.DependsOn, app.ID))
	}
	described.Components = sorted(components)
	return &described
}

// component returns a component for the application, or nil if a component of the document is
// the application.
func (a Application) component(components map[string]*Component) *Component {
	for _, c := range components {
		if c.PURL == a.PURL {
			return nil
		}
	}
	app := &Component{ID: a.PURL, Type: applicationType}
	a.Facts.apply(app)
	if components[a.Program] != nil {
		app.DependsOn = []string{a.Program}
	}
	return app
}

func (m Metadata) describe(c *Component) {
	owner := c.owner()
	switch {
	case c.Type == nixType:
		facts := m.Paths[owner]
		for _, app := range m.applications() {
			if app.Program == owner {
				facts = facts.over(app.Facts)
			}
		}
		name, version, purl := c.Name, c.Version, facts.PURL
		facts.apply(c)
		if purl == "" && (c.Name != name || c.Version != version) {
			hash, _, _ := strings.Cut(path.Base(owner), "-")
			c.PURL = nixPURL(c.Name, c.Version, hash, c.NarHash)
		}
	case c.Type == goModuleType:
		m.describeModule(c, owner)
	case c.Type == binaryType && owner != "":
		facts := m.Paths[owner]
		if name, _ := ParseStorePath(owner); c.Name == cmp.Or(facts.Name, name) {
			c.License, c.Creator = License{Expression: facts.License}, facts.Creator // the package, found once more
		}
	}
	if c.Creator == "" {
		c.Creator = home(c)
	}
}

func (m Metadata) applications() []Application {
	return append([]Application{m.Application}, m.Bases...)
}

// owner returns the store path that a component is, or is in, or "" if there is none. In an
// image that an engine built, only the component's place shows it.
func (c *Component) owner() string {
	if owner, _, _ := strings.Cut(c.ID, separator); strings.HasPrefix(owner, storePrefix) {
		return owner
	}
	for _, where := range c.Where {
		if inside, ok := strings.CutPrefix(where, storePrefix); ok {
			name, _, _ := strings.Cut(inside, "/")
			return storePrefix + name
		}
	}
	return ""
}

const storePrefix = "/nix/store/"

// over adds the facts about the application to the facts about its package. The package keeps
// its own names, because a scanner would otherwise find the application twice.
func (f Facts) over(app Facts) Facts {
	f.Creator, f.License = cmp.Or(app.Creator, f.Creator), cmp.Or(app.License, f.License)
	f.Source = cmp.Or(app.Source, f.Source)
	f.Patches = append(app.Patches[:len(app.Patches):len(app.Patches)], f.Patches...)
	return f
}

func (f Facts) apply(c *Component) {
	c.Name, c.Version, c.PURL = cmp.Or(f.Name, c.Name), cmp.Or(f.Version, c.Version), cmp.Or(f.PURL, c.PURL)
	c.Creator = cmp.Or(f.Creator, c.Creator)
	if f.License != "" {
		c.License = License{Expression: f.License}
	}
	if len(f.CPEs) > 0 {
		c.CPEs = f.CPEs
	}
	c.Source = cmp.Or(f.Source, c.Source)
	if len(f.Patches) > 0 {
		c.Patches = f.Patches
	}
}

// describeModule describes a Go module that is linked into a program. The main module of the
// application's own program is the application, because Go does not record the main module's
// version.
func (m Metadata) describeModule(c *Component, owner string) {
	if c.Name == stdlib {
		c.License = License{"BSD-3-Clause", true} // https://go.dev/LICENSE
		c.Creator = "https://go.dev"
		version := strings.TrimPrefix(c.Version, "go")
		c.CPEs = []string{"cpe:2.3:a:golang:go:" + escapeCPE(version) + ":*:*:*:*:*:*:*"}
		return
	}
	if !c.hasRelease() {
		for _, app := range m.applications() {
			if app.isMain(c.Name, owner) {
				app.applyToMain(c)
				return
			}
		}
	}
	if expression := m.Modules[owner][c.Name]; expression != "" && c.License.Expression == "" {
		c.License = License{expression, true}
	}
}

// hasRelease reports whether the version of a module is known. Go does not record the main
// module's version.
func (c *Component) hasRelease() bool { return c.Version != "" && c.Version != "(devel)" }

// isMain reports whether a main module is the application's.
func (a Application) isMain(module, owner string) bool {
	return owner != "" && owner == a.Program || a.Module != "" && (module == a.Module || strings.HasPrefix(module, a.Module+"/"))
}

func (a Application) applyToMain(c *Component) {
	facts := a.Facts
	facts.Name, facts.Version, facts.PURL = c.Name, a.Release, GoPURL(c.Name, a.Release)
	if facts.PURL != a.PURL {
		facts.CPEs = nil
	}
	facts.apply(c)
}

// GoPURL returns the package URL of a Go module.
// https://github.com/package-url/purl-spec/blob/main/types/golang-definition.json
func GoPURL(module, version string) string {
	namespace, name := path.Split(module)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), name, version, nil, "").ToString()
}

// escapeCPE escapes special characters in a component of a CPE name.
// https://nvlpubs.nist.gov/nistpubs/Legacy/IR/nistir7695.pdf
func escapeCPE(text string) string {
	var escaped strings.Builder
	for _, r := range text {
		if !isLetter(byte(r)) && (r < '0' || '9' < r) && r != '.' && r != '-' && r != '_' {
			escaped.WriteByte('\\')
		}
		escaped.WriteRune(r)
	}
	return escaped.String()
}

// home returns the home page of a component, if its ecosystem defines one.
func home(c *Component) string {
	purl, err := packageurl.FromString(c.PURL)
	if err != nil {
		return ""
	}
	full := strings.TrimPrefix(purl.Namespace+"/"+purl.Name, "/")
	switch purl.Type {
	case packageurl.TypeGolang:
		if strings.Contains(c.Name, ".") {
			return "https://" + c.Name // a module's path is its location: https://go.dev/ref/mod#module-path
		}
	case packageurl.TypeNPM:
		return "https://www.npmjs.com/package/" + full
	case packageurl.TypePyPi:
		return "https://pypi.org/project/" + full + "/"
	case packageurl.TypeCargo:
		return "https://crates.io/crates/" + full
	case packageurl.TypeGem:
		return "https://rubygems.org/gems/" + full
	case packageurl.TypeComposer:
		return "https://packagist.org/packages/" + full
	case packageurl.TypeGithub:
		return "https://github.com/" + full
	case packageurl.TypeDebian:
		return "https://packages.debian.org/" + purl.Name
	case packageurl.TypeAlpine:
		return "https://pkgs.alpinelinux.org/packages?name=" + purl.Name
	}
	return ""
}

// LinkedModules lists the store paths that have programs with linked Go modules.
func (d *Document) LinkedModules() []string {
	var owners []string
	for _, c := range d.Components {
		if owner := c.owner(); owner != "" && c.Type == goModuleType && c.Name != stdlib {
			owners = append(owners, owner)
		}
	}
	return unique(owners)
}

// StorePaths lists the store paths whose files are in the image, sorted.
func (d *Document) StorePaths() []string {
	var paths []string
	for _, c := range d.Components {
		if owner := c.owner(); c.Type == nixType && owner != "" {
			paths = append(paths, owner)
		}
	}
	return unique(paths)
}
