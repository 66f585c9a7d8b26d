package newapp

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mattn/go-shellwords"
	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/text"
)

// service is a service of a Compose file that is part of the app, and not something that it
// needs.
type service struct {
	name          string
	image         string // "" if it is built
	containerfile string // in the source; "" if it is not built
	context       string
	target        string
	command       []string
	environment   map[string]string
}

// composeFile has the fields of a Compose file that libre reads.
// https://github.com/compose-spec/compose-spec/blob/main/spec.md
type composeFile struct {
	Services map[string]struct {
		Image       string
		Build       composeBuild
		Command     words
		Environment environment
	}
}

type composeBuild struct {
	Context, Dockerfile, Target string
}

// UnmarshalYAML reads the short form, which is the context alone.
func (b *composeBuild) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&b.Context)
	}
	type long composeBuild
	return node.Decode((*long)(b))
}

// words are a command, as a list or as a shell splits it.
type words []string

func (w *words) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		split, err := shellwords.Parse(node.Value)
		*w = split
		return err
	}
	return node.Decode((*[]string)(w))
}

// environment is a map, or a list of NAME=VALUE.
type environment map[string]string

func (e *environment) UnmarshalYAML(node *yaml.Node) error {
	*e = environment{}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			(*e)[node.Content[i].Value] = node.Content[i+1].Value
		}
	case yaml.SequenceNode:
		for _, one := range node.Content {
			name, value, _ := strings.Cut(one.Value, "=")
			(*e)[name] = value
		}
	}
	return nil
}

// composeNames are those of production first.
var composeNames = []string{
	"compose.prod.yaml", "compose.prod.yml", "docker-compose.prod.yml", "compose.production.yaml", "docker-compose.production.yml",
	"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml",
}

// readCompose reads the Compose file at the top of the source: services that others provide
// become needs, the rest are the app's.
func (f *Findings) readCompose(t *tree) []service {
	for _, name := range composeNames {
		content := t.read(name)
		if content == nil {
			continue
		}
		var file composeFile
		if err := yaml.Unmarshal(content, &file); err != nil {
			f.lookAt("%s cannot be read", name)
			continue
		}
		f.found("%s with %d services", name, len(file.Services))
		return f.composeServices(name, &file)
	}
	return nil
}

func (f *Findings) composeServices(where string, file *composeFile) []service {
	var services []service
	for _, name := range slices.Sorted(maps.Keys(file.Services)) {
		s := file.Services[name]
		one := service{name: name, image: s.Image, command: s.Command, environment: s.Environment}
		if s.Build != (composeBuild{}) {
			one.image, one.target = "", s.Build.Target
			one.context = path.Clean(strings.TrimPrefix(path.Clean("/"+s.Build.Context), "/"))
			one.containerfile = path.Join(one.context, "Dockerfile")
			if s.Build.Dockerfile != "" {
				one.containerfile = path.Join(one.context, s.Build.Dockerfile)
			}
		} else if kind := kindOfImage(s.Image); kind != "" {
			f.need(kind, fmt.Sprintf("%s has a service %s", where, text.Name(name)))
			continue
		}
		services = append(services, one)
	}
	return services
}

// images are parts of the names of images that provide a need, by its kind.
var images = []struct {
	kind  string
	parts []string
}{
	{"postgres", []string{"postgres", "postgis", "pgvector", "timescaledb"}},
	{"mysql", []string{"mysql", "mariadb", "percona"}},
	{"redis", []string{"redis", "valkey", "keydb", "dragonfly"}},
	{"bucket", []string{"minio", "garage", "rustfs", "seaweedfs", "localstack"}},
	{"oidc", []string{"keycloak", "authentik", "zitadel", "dex"}},
	{"smtp", []string{"mailpit", "mailhog", "maildev", "mailcatcher"}},
	{"search", []string{"opensearch", "elasticsearch", "meilisearch"}},
	{"livekit", []string{"livekit-server"}},
}

// kindOfImage returns the kind of need that an image provides, or "" for none.
func kindOfImage(image string) string {
	name, _, _ := strings.Cut(path.Base(strings.ToLower(image)), ":")
	for _, one := range images {
		for _, part := range one.parts {
			if strings.Contains(name, part) {
				return one.kind
			}
		}
	}
	return ""
}
