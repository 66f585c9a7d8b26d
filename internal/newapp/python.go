package newapp

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// pyproject has the fields of a pyproject.toml that libre reads.
// https://packaging.python.org/en/latest/specifications/pyproject-toml/
type pyproject struct {
	BuildSystem struct {
		Requires []string `toml:"requires"`
	} `toml:"build-system"`
	Project struct {
		Description  string            `toml:"description"`
		License      any               `toml:"license"`
		Dependencies []string          `toml:"dependencies"`
		Scripts      map[string]string `toml:"scripts"`
		URLs         map[string]string `toml:"urls"`
	} `toml:"project"`
}

// readPython finds a Python program at the top of the source.
func (f *Findings) readPython(t *tree) bool {
	var p pyproject
	content := t.read("pyproject.toml")
	if content == nil || toml.Unmarshal(content, &p) != nil {
		return false
	}
	f.found("pyproject.toml: buildPythonApplication")
	f.describe(p.Project.Description)
	f.setHomepage(cmp.Or(p.Project.URLs["Homepage"], p.Project.URLs["homepage"]))
	if expression, isText := p.Project.License.(string); isText {
		f.declared(expression, "pyproject.toml")
	}
	build := distributions(p.BuildSystem.Requires)
	if len(build) == 0 {
		build = []string{"setuptools"} // https://peps.python.org/pep-0517/#source-trees
	}
	arguments := set{{path: []string{"pname"}, value: f.name}}
	arguments.add(true, "pyproject")
	arguments.add(ofNixpkgs(build), "build-system")
	arguments.add(ofNixpkgs(distributions(p.Project.Dependencies)), "dependencies")
	arguments.addGuess("nixpkgs has one version of each", true, "pythonRelaxDeps")
	var a set
	a.add(f.packageOf("", "pkgs.python3Packages.buildPythonApplication", arguments), "package")
	if programs := slices.Sorted(maps.Keys(p.Project.Scripts)); len(programs) > 0 {
		a.add([]string{"bin/" + programs[0]}, "entrypoint")
	} else {
		f.lookAt("pyproject.toml names no program: write entrypoint")
	}
	for _, lock := range []string{"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"} {
		if t.has(lock) {
			f.lookAt("nixpkgs builds with its own versions of dependencies, and not with those of %s", lock)
		}
	}
	f.lookAt("dependencies has what nixpkgs has of the project's; the build names those that are missing")
	f.lookAt("nothing says on which port it listens: write ports.http, and health")
	f.addComponent("web", a)
	return true
}

var distribution = lazyregexp.New(`\A[0-9A-Za-z][0-9A-Za-z._-]*`)

// distributions are the names in requirements, as nixpkgs writes them.
// https://packaging.python.org/en/latest/specifications/name-normalization/
func distributions(requirements []string) []string {
	var names []string
	for _, requirement := range requirements[:min(len(requirements), 200)] {
		name := strings.Trim(regexp.MustCompile(`[-_.]+`).ReplaceAllString(strings.ToLower(distribution().FindString(requirement)), "-"), "-")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ofNixpkgs are the Python packages of these names that nixpkgs has.
func ofNixpkgs(names []string) code {
	if len(names) == 0 {
		return "[ ]"
	}
	var wanted []string
	for _, name := range names {
		wanted = append(wanted, key([]string{text.Clip(name, 100)})+" = null;")
	}
	return code("builtins.attrValues (builtins.intersectAttrs { " + strings.Join(wanted, " ") + " } pkgs.python3Packages)")
}
