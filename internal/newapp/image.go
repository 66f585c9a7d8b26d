package newapp

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// Image is an image that exists already.
type Image struct {
	Reference string
	Config    v1.Config
}

const label = "org.opencontainers.image."

// Source is the address of the image's source, as its labels say; "" if they do not.
func (i *Image) Source() string { return i.Config.Labels[label+"source"] }

// addImage takes what the image says of itself, where nothing else does.
func (f *Findings) addImage(image *Image) {
	if image == nil {
		return
	}
	config := &image.Config
	f.found("image %s", text.Name(image.Reference))
	f.describe(config.Labels[label+"description"])
	f.setHomepage(config.Labels[label+"url"])
	f.declared(config.Labels[label+"licenses"], "the labels of the image")
	if len(f.components) == 1 {
		a := &f.components[0].attributes
		if !a.has("ports") {
			for _, port := range portsOf(config) {
				a.addGuess("by the image", port.value(), "ports", port.name)
			}
		}
		if !a.has("volumes") {
			addRun(a, &v1.Config{Volumes: config.Volumes}, "")
		}
	}
}

// has reports whether a set has an attribute.
func (s set) has(name string) bool {
	for _, a := range s {
		if a.path[0] == name {
			return true
		}
	}
	return false
}

// imageReference matches references that need no escape in a Containerfile.
// https://github.com/distribution/reference/blob/main/reference.go
var imageReference = lazyregexp.New(`\A[0-9A-Za-z][0-9A-Za-z._:/@-]*\z`)

// Rebuilt are the findings of an app that is an image, without a source to build.
func Rebuilt(o Options) (*Findings, error) {
	f := newFindings(o)
	name, _ := ImageName(o.Image.Reference)
	if err := f.rebuild(map[string]string{name: o.Image.Reference}, o.Image); err != nil {
		return nil, err
	}
	f.addImage(o.Image)
	f.routes = f.routesSet()
	return f, nil
}

// imagesOf are the images of services, by service.
func imagesOf(services []service) map[string]string {
	images := map[string]string{}
	for _, s := range services {
		if s.image != "" {
			images[s.name] = s.image
		}
	}
	return images
}

// rebuild adds a component for each image, by name.
func (f *Findings) rebuild(images map[string]string, known *Image) error {
	for _, name := range slices.Sorted(maps.Keys(images)) {
		reference := images[name]
		if !imageReference().MatchString(reference) || len(reference) > 500 {
			return fmt.Errorf("image %s: expected REGISTRY/NAME:TAG", text.Name(reference))
		}
		component := f.unused(nameOf(name, "web"))
		file := path.Join(component, "Containerfile")
		f.Files[file] = []byte("FROM " + reference + "\n")
		var a set
		a.add(file, "containerfile")
		a.add(component, "context")
		if known != nil && known.Reference == reference {
			for _, port := range portsOf(&known.Config) {
				a.add(port.value(), "ports", port.name)
			}
			f.noteUser(known.Config.User, "the image")
		} else {
			f.lookAt("nothing says on which port %s listens: write ports.http, and health", component)
		}
		f.addComponent(component, a)
		f.guessed("%s is the image %s, as it is: to build it, say where its source is with --from", component, text.Name(reference))
	}
	return nil
}

// ImageName is the last part of an image's name, without tag and digest; version is its tag.
func ImageName(reference string) (name, version string) {
	reference, _, _ = strings.Cut(reference, "@")
	name, version, _ = strings.Cut(path.Base(reference), ":")
	return name, version
}
