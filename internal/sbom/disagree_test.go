package sbom

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The declared license of the application or a package is compared with the license of the same
// thing in the package set, a module's text or a package's own metadata, and with no other.
func TestDeclaredLicensesDisagree(t *testing.T) {
	program, requests := storePath("b", "docs-1.2.3"), storePath("c", "python3.12-typing-extensions-4.0")
	npm := func(name, version, license string) Component {
		return Component{ID: program + separator + name, Name: name, Version: version, Type: "npm", PURL: "pkg:npm/" + name + "@" + version, License: License{Expression: license}}
	}
	python := Component{ID: requests + separator + "x", Name: "typing_extensions", Version: "4.0", Type: "python", License: License{Expression: "PSF-2.0"}}
	paths := func(of, name, version, license string) map[string]Facts {
		return map[string]Facts{of: {Name: name, Version: version, License: license}}
	}
	app := Disagreement{"docs", "1.2.3", "MIT", "the definition", "", "its files"}
	found := func(of Disagreement, license, in string) []Disagreement {
		of.Found, of.In = license, in
		return []Disagreement{of}
	}
	for what, test := range map[string]struct {
		component Component
		paths     map[string]Facts
		modules   map[string]map[string]string
		want      []Disagreement
	}{
		"the package":            {Component{ID: program, Type: nixType}, paths(program, "docs", "1.2.3", "GPL-3.0-only"), nil, found(app, "GPL-3.0-only", "its package")},
		"the same package":       {Component{ID: program, Type: nixType}, paths(program, "docs", "1.2.3", "MIT"), nil, nil},
		"a package of unknown":   {Component{ID: program, Type: nixType}, nil, nil, nil},
		"another package":        {Component{ID: requests, Type: nixType}, paths(requests, "x", "1", "GPL-3.0-only"), nil, nil},
		"the main module":        {Component{ID: program + separator + "m", Name: "example.org/docs", Type: goModuleType}, nil, map[string]map[string]string{program: {"example.org/docs": "ISC"}}, found(app, "ISC", "its files")},
		"a module":               {Component{ID: program + separator + "m", Name: "example.org/mod", Version: "v1", Type: goModuleType, License: License{Expression: "ISC"}}, nil, nil, nil},
		"own files":              {npm("docs", "1.2.3", "AGPL-3.0-only"), nil, nil, found(app, "AGPL-3.0-only", "its files")},
		"a dependency":           {npm("left-pad", "1.2.3", "WTFPL"), nil, nil, nil},
		"own files, other one":   {npm("docs", "1.2.4", "AGPL-3.0-only"), nil, nil, nil},
		"unlisted":               {npm("docs", "1.2.3", "LicenseRef-npm-ours"), nil, nil, nil},
		"the files of a package": {python, paths(requests, "typing-extensions", "4.0", "Apache-2.0"), nil, []Disagreement{{"typing_extensions", "4.0", "Apache-2.0", "the package set", "PSF-2.0", "its files"}}},
		"files that agree":       {python, paths(requests, "typing-extensions", "4.0", "PSF-2.0"), nil, nil},
		"files of another one":   {python, paths(requests, "requests", "4.0", "Apache-2.0"), nil, nil},
	} {
		m := Metadata{
			Application: Application{Facts: Facts{Name: "docs", Version: "1.2.3", PURL: "pkg:generic/docs@1.2.3", License: "MIT"}, Program: program},
			Paths:       test.paths, Modules: test.modules,
		}
		d := &Document{Components: []Component{test.component}}
		if diff := cmp.Diff(test.want, d.Disagreements(m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
