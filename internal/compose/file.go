package compose

import "strings"

// Project is compose.yaml, with the fields that are written, of
// https://github.com/compose-spec/compose-spec/blob/main/spec.md
type Project struct {
	Name     string              `yaml:"name"`
	Services map[string]*Service `yaml:"services"`
	Volumes  map[string]struct{} `yaml:"volumes,omitempty"`

	Parts map[string]map[string]string `yaml:"-"` // of each need, by New
}

// Service is a container. Its names of files are relative to the folder of compose.yaml.
type Service struct {
	Image       string                `yaml:"image"`
	Profiles    []string              `yaml:"profiles,omitempty"`
	Entrypoint  []string              `yaml:"entrypoint,omitempty"`
	Command     []string              `yaml:"command,omitempty"`
	User        string                `yaml:"user,omitempty"`
	DependsOn   map[string]Dependency `yaml:"depends_on,omitempty"`
	Environment map[string]string     `yaml:"environment,omitempty"`
	EnvFile     []EnvFile             `yaml:"env_file,omitempty"`
	Ports       []string              `yaml:"ports,omitempty"`
	Healthcheck *Healthcheck          `yaml:"healthcheck,omitempty"`
	Restart     string                `yaml:"restart"`
	ReadOnly    bool                  `yaml:"read_only"`
	Tmpfs       []string              `yaml:"tmpfs,omitempty"`
	Volumes     []string              `yaml:"volumes,omitempty"`
	CapDrop     []string              `yaml:"cap_drop"`
	CapAdd      []string              `yaml:"cap_add,omitempty"`
	SecurityOpt []string              `yaml:"security_opt"`
	Deploy      *Deploy               `yaml:"deploy,omitempty"`
}

// Dependency is what a service waits for in another.
type Dependency struct {
	Condition string `yaml:"condition"`
}

// The conditions of dependencies.
const (
	Started   = "service_started"
	Healthy   = "service_healthy"
	Completed = "service_completed_successfully"
)

// EnvFile has variables, one a line. Raw: nothing in them is replaced.
type EnvFile struct {
	Path   string `yaml:"path"`
	Format string `yaml:"format"`
}

// Healthcheck is a program in the container that exits with 0 if the service is healthy. Its first
// argument is CMD; times are numbers of seconds, followed by s.
type Healthcheck struct {
	Test        []string `yaml:"test"`
	Interval    string   `yaml:"interval"`
	Timeout     string   `yaml:"timeout"`
	Retries     int      `yaml:"retries"`
	StartPeriod string   `yaml:"start_period,omitempty"`
}

// Deploy limits what a service uses.
type Deploy struct {
	Resources Resources `yaml:"resources"`
}

// Resources are those of Deploy.
type Resources struct {
	Limits Limits `yaml:"limits"`
}

// Limits are a number of cores, and one of bytes.
type Limits struct {
	CPUs   string `yaml:"cpus,omitempty"`
	Memory string `yaml:"memory,omitempty"`
}

// newService is a container without rights: its root file system is read-only, and it has no
// capabilities.
func newService(image string) *Service {
	return &Service{Image: image, Restart: "unless-stopped", ReadOnly: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}}
}

// once makes a service a job.
func (s *Service) once() *Service {
	s.Restart = "no"
	return s
}

// checked adds a check: a program in the container.
func (s *Service) checked(command ...string) *Service {
	s.Healthcheck = &Healthcheck{Test: append([]string{"CMD"}, command...), Interval: "5s", Timeout: "5s", Retries: 12}
	return s
}

// literal makes compose replace nothing in the values of a service.
func (s *Service) literal() {
	escape := func(texts []string) {
		for i, text := range texts {
			texts[i] = strings.ReplaceAll(text, "$", "$$")
		}
	}
	s.Command, s.Entrypoint = append([]string(nil), s.Command...), append([]string(nil), s.Entrypoint...)
	escape(s.Command)
	escape(s.Entrypoint)
	escape(s.Tmpfs)
	escape(s.Volumes)
	if s.Healthcheck != nil {
		escape(s.Healthcheck.Test)
	}
	for name, value := range s.Environment {
		s.Environment[name] = strings.ReplaceAll(value, "$", "$$")
	}
}
