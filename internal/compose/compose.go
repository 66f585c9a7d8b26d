// Package compose writes what runs an app on one machine with podman or docker compose: its
// services and jobs, a router, and servers for what it needs, for trying. It is pure but for
// the random secrets that it is given. The same input gives the same compose.yaml.
package compose

import (
	"fmt"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/router"
)

// SecretsFile has the secrets, NAME=VALUE, one a line. All others are made from it.
const SecretsFile = "secrets.env"

// Router is the key of the router's image in Options.
const Router = "router"

// DefaultImages are the images of the servers, by the kind of need, and of the router.
var DefaultImages = map[string]string{
	Router:     "docker.io/library/caddy:2.11",
	"postgres": "docker.io/library/postgres:17",
	"mysql":    "docker.io/library/mariadb:11.4",
	"redis":    "docker.io/valkey/valkey:8",
	"bucket":   "quay.io/minio/minio:RELEASE.2025-04-22T22-12-26Z",
	"oidc":     "ghcr.io/dexidp/dex:v2.41.1",
	"smtp":     "docker.io/axllent/mailpit:v1.21",
}

// Options describe the files to write.
type Options struct {
	Images  map[string]string // in place of DefaultImages
	Secrets []byte            // the content of SecretsFile, if it is there
	Random  func() string     // a new secret: letters and digits

	// Provided are the parts of needs that something else provides: they get no server.
	Provided map[string]map[string]string
	// Site is the address, without a slash at the end, at which browsers reach a server for a
	// need, by its host name; nil: they reach it below the app's address.
	Site func(host string) string
}

// Files returns compose.yaml, the files that it names, and SecretsFile, to which the secrets
// are added that it lacks. Those with secrets are private.
func Files(i *instance.Instance, o Options) ([]kit.File, error) {
	r, err := newRenderer(i, o)
	if err != nil {
		return nil, err
	}
	if err := r.addRouter(); err != nil {
		return nil, err
	}
	for _, s := range r.project.Services {
		s.literal()
	}
	comment := fmt.Sprintf("%s %s, for one machine: podman compose up, or docker compose up.\nIt answers at %s. The servers of its needs are for trying.\n", i.App.Metadata.Name, i.App.Spec.Version, i.URL())
	file, err := kit.YAML("compose.yaml", comment, r.project)
	if err != nil {
		return nil, err
	}
	return append([]kit.File{file, r.secretsFile()}, r.files...), nil
}

// New returns the project that Files writes, for running it: without a router, and with
// unescaped values. The files are those that services name, and SecretsFile.
func New(i *instance.Instance, o Options) (*Project, []kit.File, error) {
	r, err := newRenderer(i, o)
	if err != nil {
		return nil, nil, err
	}
	r.project.Parts = r.parts
	return &r.project, append([]kit.File{r.secretsFile()}, r.files...), nil
}

// newRenderer collects the servers of needs, and the services.
func newRenderer(i *instance.Instance, o Options) (*renderer, error) {
	known, err := readSecrets(o.Secrets)
	if err != nil {
		return nil, err
	}
	r := &renderer{
		Instance: i, o: o, secrets: known, parts: map[string]map[string]string{}, needs: map[string]map[string]Dependency{},
		project: Project{Name: i.Name, Services: map[string]*Service{}, Volumes: map[string]struct{}{}},
	}
	if err := r.addNeeds(); err != nil {
		return nil, err
	}
	return r, r.addServices()
}

func (r *renderer) secretsFile() kit.File {
	return kit.File{Name: SecretsFile, Content: r.secrets.content, Private: true}
}

// renderer collects the services and secrets of an instance.
type renderer struct {
	*instance.Instance
	o       Options
	project Project
	secrets *secrets
	files   []kit.File
	parts   map[string]map[string]string     // of each need
	needs   map[string]map[string]Dependency // what to wait for before a need can be used
}

// image is the image for a kind of need, or for the router.
func (r *renderer) image(kind string) string {
	if image := r.o.Images[kind]; image != "" {
		return image
	}
	return DefaultImages[kind]
}

// name returns a name for a service that no service of the app has.
func (r *renderer) name(of string) string {
	if _, taken := r.Service(of); taken {
		return "libre-" + of
	}
	return of
}

// addSecretEnv adds a file with variables to a service. The file is there even if it is
// empty, so that compose.yaml does not depend on secrets.
func (r *renderer) addSecretEnv(name string, s *Service, variables map[string]string) error {
	var content []byte
	for _, variable := range slices.Sorted(maps.Keys(variables)) {
		if err := checkSecret(variable, variables[variable]); err != nil {
			return err
		}
		content = fmt.Appendf(content, "%s=%s\n", variable, variables[variable])
	}
	file := "secrets/" + name + ".env"
	s.EnvFile = []EnvFile{{Path: file, Format: "raw"}}
	r.files = append(r.files, kit.File{Name: file, Content: content, Private: true})
	return nil
}

// addRouter adds the router, which alone is reached from outside.
func (r *renderer) addRouter() error {
	address := func(service string) string { return service }
	routed := r.withProvider()
	text, err := router.Caddyfile(routed, router.Options{Address: address, Replicas: address, HTTPS: true})
	if err != nil {
		return err
	}
	s := newService(r.image(Router))
	// The program of some images has the right to ports below 1024, and would not start
	// without it.
	s.CapAdd = []string{"NET_BIND_SERVICE"}
	s.Ports = []string{fmt.Sprintf("80:%d", router.HTTPPort), fmt.Sprintf("443:%d", router.HTTPSPort)}
	s.Volumes = []string{"./Caddyfile:/etc/caddy/Caddyfile:ro,z", r.volume("router-data") + ":/data"}
	s.Tmpfs = []string{"/config", "/tmp"}
	s.Environment, s.DependsOn = map[string]string{}, map[string]Dependency{}
	for _, v := range router.Variables(r.Instance) {
		s.Environment[v.Name], _ = r.expand(v)
	}
	for _, service := range r.Services {
		if service.Job == "" {
			s.DependsOn[service.Name] = Dependency{Started}
		}
	}
	r.project.Services[r.name(Router)] = s
	r.files = append(r.files, kit.File{Name: "Caddyfile", Content: []byte(text)})
	return nil
}

// volume adds a named volume, which is kept.
func (r *renderer) volume(name string) string {
	r.project.Volumes[name] = struct{}{}
	return name
}

// RouterImage is the image of the catalogue's Caddy, pinned by its digest.
func RouterImage(caddy *describe.Application) (string, error) {
	const component = "server"
	return (&instance.Instance{App: caddy}).Image(instance.Service{ComponentName: component, Component: caddy.Spec.Components[component]})
}
