package release

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// Configure returns a function that applies a definition's configuration to an image's. An
// entrypoint without a command removes the image's command, as in Kubernetes and Compose,
// because that command belongs to the image's own entrypoint.
func Configure(c catalog.Config) func(*v1.Config) {
	return func(config *v1.Config) {
		if c.Entrypoint != nil {
			config.Entrypoint, config.Cmd = c.Entrypoint, nil
		}
		if c.Command != nil {
			config.Cmd = c.Command
		}
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			config.Env = setEnv(config.Env, name, c.Env[name])
		}
		if c.User != "" {
			config.User = c.User
		}
		if c.WorkingDir != "" {
			config.WorkingDir = c.WorkingDir
		}
		if c.StopSignal != "" {
			config.StopSignal = c.StopSignal
		}
		if ports := exposed(c); ports != nil {
			config.ExposedPorts = setOf(ports)
		}
		if c.Volumes != nil {
			config.Volumes = setOf(c.Volumes)
		}
		if c.Health != nil {
			config.Healthcheck = healthConfig(c.Health)
		}
	}
}

// exposed lists a definition's ports as NUMBER/PROTOCOL; nil if it has no ports attribute.
func exposed(c catalog.Config) []string {
	if c.Ports == nil && c.OtherPorts == nil {
		return nil
	}
	ports := []string{}
	for _, port := range c.Ports {
		ports = append(ports, strconv.Itoa(port)+"/tcp")
	}
	return append(ports, c.OtherPorts...)
}

func setOf(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	set := map[string]struct{}{}
	for _, name := range names {
		set[name] = struct{}{}
	}
	return set
}

// healthConfig converts a check with a command to Docker's format.
// https://docs.docker.com/reference/dockerfile/#healthcheck
func healthConfig(check *catalog.HealthCheck) *v1.HealthConfig {
	return &v1.HealthConfig{
		Test:     append([]string{"CMD"}, check.Command...),
		Interval: time.Duration(check.Interval) * time.Second, Timeout: time.Duration(check.Timeout) * time.Second,
		StartPeriod: time.Duration(check.StartPeriod) * time.Second, Retries: check.Retries,
	}
}

func setEnv(env []string, name, value string) []string {
	entry := name + "=" + value
	for i, existing := range env {
		if strings.HasPrefix(existing, name+"=") {
			env[i] = entry
			return env
		}
	}
	return append(env, entry)
}
