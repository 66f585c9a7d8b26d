// Package newapp looks at a source, and writes a first definition of an app from what it
// finds. There is one file for each thing that is read. What is read is from outside: it is
// limited, links in it are not followed, and it is written as strings only.
package newapp

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// Findings are facts and guesses about an app from its source.
type Findings struct {
	Found   []string // what is there, as sentences to show
	Guessed []string // what was concluded from it
	LookAt  []string // what somebody should look at

	// Files are those of a source that libre makes, by path, if there is nothing to build
	// but images: a Containerfile for each.
	Files map[string][]byte

	NeedsNixpkgs bool // by a builder that the host package set lacks

	name        string
	version     string
	description string
	homepage    string
	licence     string
	hashes      []string // names of hashes that packages need
	components  []component
	needs       map[string]*need
	settings    []variable
	routes      set
}

// component is a component to be, with the attributes of its definition.
type component struct {
	name       string
	attributes set
}

// Options limit what to look for.
type Options struct {
	Name           string // of the app
	Version        string
	Containerfiles []string // to build, instead of those that are found
	Image          *Image   // that exists already, nil for none
}

func newFindings(o Options) *Findings {
	return &Findings{name: o.Name, version: o.Version, needs: map[string]*need{}, Files: map[string][]byte{}}
}

func (f *Findings) found(format string, args ...any) {
	f.Found = append(f.Found, fmt.Sprintf(format, args...))
}

func (f *Findings) guessed(format string, args ...any) {
	f.Guessed = append(f.Guessed, fmt.Sprintf(format, args...))
}

func (f *Findings) lookAt(format string, args ...any) {
	f.LookAt = append(f.LookAt, fmt.Sprintf(format, args...))
}

// Look looks at the files of a source.
func Look(files fs.FS, o Options) (*Findings, error) {
	t, err := newTree(files)
	if err != nil {
		return nil, err
	}
	f := newFindings(o)
	if t.cut {
		f.lookAt("the source has more than %d files, the others were not looked at", mostNames)
	}
	f.readLicence(t)
	f.readPublicCode(t)
	services := f.readCompose(t)
	f.readCharts(t)
	if err := f.findComponents(t, o, services); err != nil {
		return nil, err
	}
	if len(f.components) == 0 {
		if err := f.rebuild(imagesOf(services), nil); err != nil {
			return nil, err
		}
	}
	f.addImage(o.Image)
	f.readReadme(t)
	f.readVariables(t, services)
	f.routes = f.routesSet()
	if len(f.components) == 0 {
		return nil, fmt.Errorf("the source has nothing that libre can build: no Containerfile, go.mod, package.json, pyproject.toml, Cargo.toml, composer.json or Compose file with an image")
	}
	return f, nil
}

// findComponents finds what to build: what the options say, a Go program, Containerfiles, a
// program of another language, the images of a Compose file.
func (f *Findings) findComponents(t *tree, o Options, services []service) error {
	if len(o.Containerfiles) > 0 {
		for _, name := range o.Containerfiles {
			if err := f.addContainerfile(t, containerUse{file: name}); err != nil {
				return err
			}
		}
		return nil
	}
	containers := f.containerUses(t, services)
	if f.readGo(t) {
		f.alsoFound(containers)
		return nil
	}
	for _, use := range containers {
		if err := f.addContainerfile(t, use); err != nil {
			f.lookAt("%s was left out: %v", text.Name(use.file), err)
		}
	}
	if len(f.components) > 0 {
		return nil
	}
	_ = f.readNode(t) || f.readPython(t) || f.readCargo(t) || f.readComposer(t)
	return nil
}

// alsoFound names Containerfiles that are not used.
func (f *Findings) alsoFound(uses []containerUse) {
	for _, use := range uses {
		f.lookAt("Nix builds the Go program; to build %s instead, give --containerfile %[1]s", text.Name(use.file))
	}
}

var notInNames = lazyregexp.New(`[^a-z0-9]+`)

// nameOf makes a name of a component, a service or a need out of a text.
func nameOf(outside, otherwise string) string {
	name := strings.Trim(notInNames().ReplaceAllString(strings.ToLower(text.Clip(outside, 100)), "-"), "-")
	if name = strings.Trim(text.Clip(name, 40), "-…"); name == "" {
		return otherwise
	}
	return name
}

// unused makes a component's name one that no other has.
func (f *Findings) unused(name string) string {
	for n, first := 2, name; ; n++ {
		if !slices.ContainsFunc(f.components, func(c component) bool { return c.name == name }) {
			return name
		}
		name = fmt.Sprintf("%s-%d", first, n)
	}
}

// addComponent adds a component.
func (f *Findings) addComponent(name string, attributes set) {
	f.components = append(f.components, component{f.unused(name), attributes})
}
