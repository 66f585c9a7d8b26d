// Package instance has an app as somebody runs it: the application document, a host name
// and settings, resolved to services with environment variables. Kubernetes objects and
// other ways to run an app are made from it. It is pure.
package instance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
)

// Options say how an app is run.
type Options struct {
	Name     string            // of the instance; "" is the app's
	Host     string            // DNS name
	Port     int               // in place of Host: the app is tried at this port of Loopback, by HTTP
	Settings map[string]string // by environment variable
	With     []string          // names of optional needs and services to use
}

// Instance is an app with what it needs to run.
type Instance struct {
	App      *describe.Application
	Name     string // a DNS label
	Host     string // DNS name, lower case, or Loopback
	Needs    map[string]describe.Need
	Services []Service // sorted by name
	With     []string  // the names of optional needs and services that are used, sorted

	port     int // of Loopback; 0 if the app has a host name of its own
	settings map[string]string
}

// Loopback is where an app answers that is tried.
const Loopback = "127.0.0.1"

// Service is a service of the app that is used.
type Service struct {
	describe.Service
	Name          string
	ComponentName string
	Component     describe.Component
}

// New resolves an app. The error is one line, and says what to give.
func New(app *describe.Application, o Options) (*Instance, error) {
	if err := CheckDocument(app); err != nil {
		return nil, err
	}
	i := &Instance{App: app, Name: o.Name, Host: strings.ToLower(o.Host), Needs: map[string]describe.Need{}, port: o.Port, settings: o.Settings}
	i.With = slices.Compact(slices.Sorted(slices.Values(o.With)))
	if i.Name == "" {
		i.Name = label(app.Metadata.Name)
	}
	if err := checkLabel(i.Name); err != nil {
		return nil, err
	}
	if i.port != 0 {
		i.Host = Loopback
	} else if err := checkHost(i.Host); err != nil {
		return nil, err
	}
	if err := i.choose(o.With); err != nil {
		return nil, err
	}
	return i, i.checkSettings()
}

// choose selects the required services and needs, and the optional ones that are asked for.
func (i *Instance) choose(with []string) error {
	optional := map[string]bool{}
	used := func(name string, isOptional bool) bool {
		optional[name] = optional[name] || isOptional
		return !isOptional || slices.Contains(with, name)
	}
	for name, need := range i.App.Spec.Needs {
		if used(name, need.Optional) {
			i.Needs[name] = need
		}
	}
	for _, componentName := range slices.Sorted(maps.Keys(i.App.Spec.Components)) {
		component := i.App.Spec.Components[componentName]
		for name, service := range component.Services {
			if used(name, service.Optional) {
				i.Services = append(i.Services, Service{service, name, componentName, component})
			}
		}
	}
	slices.SortFunc(i.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range with {
		if !optional[name] {
			names := slices.Sorted(maps.Keys(optional))
			names = slices.DeleteFunc(names, func(name string) bool { return !optional[name] })
			return fmt.Errorf("%s has nothing optional with the name %s%s", i.App.Metadata.Name, name, expected(names))
		}
	}
	if len(i.Services) == 0 {
		return fmt.Errorf("%s has nothing to run: none of its images has a service, set services or an entrypoint in its definition", i.App.Metadata.Name)
	}
	return nil
}

// Service returns the service with a name.
func (i *Instance) Service(name string) (Service, bool) {
	for _, s := range i.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// Image returns the reference of a service's image, pinned by its digest.
func (i *Instance) Image(s Service) (string, error) {
	image := s.Component.Image
	if image == nil || image.Digest == "" {
		return "", fmt.Errorf("the image of %s/%s has no digest: build it first, by libre build %s", i.App.Metadata.Name, s.ComponentName, i.App.Metadata.Name)
	}
	return i.App.Spec.Registry + "/" + image.Reference + "@" + image.Digest, nil
}

// Port returns the number of one of a service's ports, which may be without a name if the
// service has one.
func (s Service) Port(name string) (int, error) {
	if name == "" && len(s.Ports) == 1 {
		name = s.Ports[0]
	}
	port, known := s.Component.Ports[name]
	switch {
	case known:
		return port.Port, nil
	case name == "":
		return 0, fmt.Errorf("service %s has %d ports: name one of them", s.Name, len(s.Ports))
	}
	return 0, fmt.Errorf("service %s has no port %s%s", s.Name, name, expected(s.Ports))
}

// Uses reports whether a component is one of those that a need or setting lists; an empty
// list is all.
func Uses(components []string, component string) bool {
	return len(components) == 0 || slices.Contains(components, component)
}

// expected ends an error with the names that there are.
func expected(names []string) string {
	switch len(names) {
	case 0:
		return ": it has none"
	case 1:
		return ", only " + names[0]
	}
	return ", expected one of " + strings.Join(names, ", ")
}
