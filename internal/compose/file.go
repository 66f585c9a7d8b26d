package compose

import "strings"

// project is the file, with the fields that are written, of
// https://github.com/compose-spec/compose-spec/blob/main/spec.md
type project struct {
	Name     string              `yaml:"name"`
	Services map[string]*service `yaml:"services"`
	Volumes  map[string]struct{} `yaml:"volumes,omitempty"`
}

type service struct {
	Image       string                `yaml:"image"`
	Profiles    []string              `yaml:"profiles,omitempty"`
	Entrypoint  []string              `yaml:"entrypoint,omitempty"`
	Command     []string              `yaml:"command,omitempty"`
	User        string                `yaml:"user,omitempty"`
	DependsOn   map[string]dependency `yaml:"depends_on,omitempty"`
	Environment map[string]string     `yaml:"environment,omitempty"`
	EnvFile     []envFile             `yaml:"env_file,omitempty"`
	Ports       []string              `yaml:"ports,omitempty"`
	Healthcheck *healthcheck          `yaml:"healthcheck,omitempty"`
	Restart     string                `yaml:"restart"`
	ReadOnly    bool                  `yaml:"read_only"`
	Tmpfs       []string              `yaml:"tmpfs,omitempty"`
	Volumes     []string              `yaml:"volumes,omitempty"`
	CapDrop     []string              `yaml:"cap_drop"`
	CapAdd      []string              `yaml:"cap_add,omitempty"`
	SecurityOpt []string              `yaml:"security_opt"`
	Deploy      *deploy               `yaml:"deploy,omitempty"`
}

type dependency struct {
	Condition string `yaml:"condition"`
}

// What a service may wait for in another.
const (
	started   = "service_started"
	healthy   = "service_healthy"
	completed = "service_completed_successfully"
)

// envFile has variables, one a line. Raw: nothing in them is replaced.
type envFile struct {
	Path   string `yaml:"path"`
	Format string `yaml:"format"`
}

type healthcheck struct {
	Test        []string `yaml:"test"`
	Interval    string   `yaml:"interval"`
	Timeout     string   `yaml:"timeout"`
	Retries     int      `yaml:"retries"`
	StartPeriod string   `yaml:"start_period,omitempty"`
}

type deploy struct {
	Resources resources `yaml:"resources"`
}

type resources struct {
	Limits limits `yaml:"limits"`
}

type limits struct {
	CPUs   string `yaml:"cpus,omitempty"`
	Memory string `yaml:"memory,omitempty"`
}

// newService is a container without rights: its root file system is read-only, and it has no
// capabilities.
func newService(image string) *service {
	return &service{Image: image, Restart: "unless-stopped", ReadOnly: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}}
}

// once makes a service a job.
func (s *service) once() *service {
	s.Restart = "no"
	return s
}

// checked adds a check: a program in the container.
func (s *service) checked(command ...string) *service {
	s.Healthcheck = &healthcheck{Test: append([]string{"CMD"}, command...), Interval: "5s", Timeout: "5s", Retries: 12}
	return s
}

// literal makes compose replace nothing in the values of a service.
func (s *service) literal() {
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
