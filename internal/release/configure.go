package release

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// configure puts a definition's configuration over what an image has. An entrypoint
// without a command runs alone, as in Kubernetes and Compose: the image's command was
// meant for the image's entrypoint.
func configure(c catalog.Config) func(*v1.Config) {
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
		for _, port := range c.Ports {
			if config.ExposedPorts == nil {
				config.ExposedPorts = map[string]struct{}{}
			}
			config.ExposedPorts[strconv.Itoa(port)+"/tcp"] = struct{}{}
		}
		for _, volume := range c.Volumes {
			if config.Volumes == nil {
				config.Volumes = map[string]struct{}{}
			}
			config.Volumes[volume] = struct{}{}
		}
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
