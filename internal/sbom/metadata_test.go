package sbom

import (
	"slices"
	"strings"
	"testing"
)

// byName finds the only component of a name.
func byName(t *testing.T, d *Document, name, inside string) Component {
	t.Helper()
	var found []Component
	for _, c := range d.Components {
		if c.Name == name && strings.HasPrefix(c.ID, inside) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d components are %s in %q", len(found), name, inside)
	}
	return found[0]
}

// The main module of the application's program is the application. It has the application's
// version, which Go does not write, and its patches. No other component is made for it.
func TestApplicationIsTheMainModule(t *testing.T) {
	d := small(t)
	server := storePath("b", "my+server-1.2.3")
	main := byName(t, d, "example.org/main", server)
	if main.Version != "v1.2.3" || main.PURL != "pkg:golang/example.org/main@v1.2.3" || main.License != (License{Expression: "MIT"}) ||
		len(main.Patches) != 2 || len(main.CPEs) != 1 || main.Source.Hash != "sha256-AAAA" {
		t.Errorf("main module %+v", main)
	}
	if program := byName(t, d, "my+server", server); len(program.Patches) != 2 || program.CPEs != nil || program.License.Expression != "MIT" || program.Version != "1.2.3" {
		t.Errorf("program %+v", program)
	}
	if mod := byName(t, d, "example.org/mod", server); mod.License != (License{"MIT OR Apache-2.0", true}) || mod.Creator != "https://example.org/mod" || mod.Patches != nil {
		t.Errorf("module %+v", mod)
	}
	if mod := byName(t, d, "example.org/mod", storePath("a", "")[:44]); mod.License.Expression != "" {
		t.Errorf("the same module elsewhere %+v", mod)
	}
	if slices.ContainsFunc(d.Components, func(c Component) bool { return c.Type == applicationType }) {
		t.Error("the application is another component as well")
	}
	if libc := byName(t, d, "glibc", "/nix/store"); libc.Version != "2.40" || !strings.HasPrefix(libc.PURL, "pkg:nix/glibc@2.40?") || libc.Patches[0].Resolves[0] != "CVE-2026-3" {
		t.Errorf("glibc %+v", libc)
	}
}

// An application that is not a module of a program is a separate component.
func TestApplicationOfItsOwn(t *testing.T) {
	closure, root := smallClosure()
	nixImage := func() *Document {
		d, err := FromClosure(subject("docs"), closure, root)
		if err != nil {
			t.Fatal(err)
		}
		d.Tools = small(t).Tools
		return Merge(d, smallFindings(), nil)
	}
	containerfile := func() *Document {
		d := &Document{Subject: subject("docs"), Tools: small(t).Tools}
		rest := findings(Component{ID: "pkg:npm/left@1.0", Name: "left", PURL: "pkg:npm/left@1.0", Type: "npm", Where: []string{"/left"}},
			Component{ID: "pkg:golang/github.com/own/docs/cmd", Name: "github.com/own/docs/cmd", Type: goModuleType, PURL: "pkg:golang/github.com/own/docs/cmd", Where: []string{"/docs"}},
			Component{ID: "pkg:golang/github.com/own/docsify", Name: "github.com/own/docsify", Type: goModuleType, PURL: "pkg:golang/github.com/own/docsify", Where: []string{"/tool"}})
		return Merge(d, nil, rest)
	}
	app := Application{Facts: Facts{Name: "docs", Version: "5.4.1", PURL: "pkg:github/own/docs@v5.4.1", License: "MIT",
		Patches: []Patch{{Name: "x.patch", Resolves: []string{"CVE-2026-1"}}}}, Module: "github.com/own/docs", Release: "v5.4.1"}
	for name, d := range map[string]*Document{"nix": nixImage(), "containerfile": containerfile()} {
		app := app
		if name == "nix" {
			app.Program = storePath("b", "my+server-1.2.3")
		}
		described := d.Describe(Metadata{Application: app})
		own := byName(t, described, "docs", "pkg:github")
		if own.Version != "5.4.1" || own.Type != applicationType || len(own.Patches) != 1 || !slices.Contains(described.DependsOn, own.ID) {
			t.Errorf("%s: %+v, the image depends on %v", name, own, described.DependsOn)
		}
		if (len(own.DependsOn) == 1) != (name == "nix") {
			t.Errorf("%s: it depends on %v", name, own.DependsOn)
		}
		if name == "containerfile" {
			if main := byName(t, described, "github.com/own/docs/cmd", ""); main.PURL != "pkg:golang/github.com/own/docs/cmd@v5.4.1" || len(main.Patches) != 1 {
				t.Errorf("main module %+v", main)
			}
			if other := byName(t, described, "github.com/own/docsify", ""); other.Version != "" || other.Patches != nil {
				t.Errorf("a main module of somebody else %+v", other)
			}
			if left := byName(t, described, "left", ""); left.Creator != "https://www.npmjs.com/package/left" {
				t.Errorf("npm package %+v", left)
			}
		}
		encode(t, described)
		if again, err := described.CycloneDX(); err != nil {
			t.Error(err)
		} else if read, err := Read(again); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if found := read.Findings(d); name == "nix" && len(found) != 4 {
			t.Errorf("%d findings of the described image", len(found))
		}
	}
}

func TestStandardLibraryHasTheNamesOfDatabases(t *testing.T) {
	d := findings(Component{ID: "pkg:golang/stdlib@1.26.8", Name: "stdlib", Version: "go1.26.8", Type: goModuleType, PURL: "pkg:golang/stdlib@1.26.8", Where: []string{"/bin/x"}},
		Component{ID: "pkg:golang/stdlib@1.27.0-rc.1", Name: "stdlib", Version: "go1.27.0-rc.1+auto", Type: goModuleType, PURL: "pkg:golang/stdlib@1.27.0-rc.1", Where: []string{"/bin/y"}})
	got := d.Describe(Metadata{Application: Application{Facts: Facts{PURL: "pkg:generic/x@1"}}})
	for i, want := range []string{"", "cpe:2.3:a:golang:go:1.26.8:*:*:*:*:*:*:*", `cpe:2.3:a:golang:go:1.27.0-rc.1\+auto:*:*:*:*:*:*:*`} {
		if c := got.Components[i]; want != "" && (len(c.CPEs) != 1 || c.CPEs[0] != want || c.License.Expression != "BSD-3-Clause") {
			t.Errorf("%+v, expected %s", c, want)
		}
	}
}
