package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// addServices adds the app's services and jobs. Jobs before an upgrade run before the
// others; compose runs the rest of the jobs only if somebody asks for them.
func (r *renderer) addServices() error {
	for _, s := range r.Services {
		added, err := r.service(s)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		r.project.Services[s.Name] = added
	}
	return nil
}

func (r *renderer) service(s instance.Service) (*Service, error) {
	image, err := r.Image(s)
	if err != nil {
		return nil, err
	}
	added := newService(image)
	added.Command, added.User = s.Command, s.Component.User
	if s.Job != "" {
		added.once()
	}
	if s.Job != "" && s.Job != "before-upgrade" {
		added.Profiles = []string{s.Job}
	}
	added.DependsOn = r.dependencies(s)
	r.addVolumes(added, s)
	added.Healthcheck = check(s.Health)
	if added.Deploy, err = limited(s.Resources); err != nil {
		return nil, err
	}
	return added, r.addEnvironment(added, s)
}

// dependencies returns what a service waits for: the servers of its needs, and the jobs.
func (r *renderer) dependencies(s instance.Service) map[string]Dependency {
	all := map[string]Dependency{}
	for name, need := range r.Needs {
		if instance.Uses(need.Components, s.ComponentName) {
			maps.Copy(all, r.needs[name])
		}
	}
	for _, job := range r.Services {
		if job.Job == "before-upgrade" && s.Job != "before-upgrade" {
			all[job.Name] = Dependency{Completed}
		}
	}
	return all
}

// addVolumes mounts the folders that a component may write to: volumes are kept where a
// need says so, and all else is lost with the container.
func (r *renderer) addVolumes(added *Service, s instance.Service) {
	kept := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.Needs)) {
		need := r.Needs[name]
		if need.Kind != "volume" || !instance.Uses(need.Components, s.ComponentName) {
			continue
		}
		mount := r.volume(name) + ":" + need.Path
		if need.Access == "ReadOnlyMany" {
			mount += ":ro"
		}
		added.Volumes = append(added.Volumes, mount)
		kept[need.Path] = true
	}
	for _, path := range slices.Concat(s.Component.Volumes, s.Component.Writable) {
		if !kept[path] && !slices.Contains(added.Tmpfs, path) {
			added.Tmpfs = append(added.Tmpfs, path)
		}
	}
}

// check is a service's check. Compose knows only programs in the container, which an image
// need not have for paths and ports.
func check(h *describe.Health) *Healthcheck {
	if h == nil || len(h.Command) == 0 {
		return nil
	}
	seconds := func(n, usual int) string { return strconv.Itoa(cmp.Or(n, usual)) + "s" }
	return &Healthcheck{
		Test: append([]string{"CMD"}, h.Command...), Interval: seconds(h.Interval, 10), Timeout: seconds(h.Timeout, 5),
		Retries: cmp.Or(h.Retries, 3), StartPeriod: seconds(h.StartPeriod, 120),
	}
}

func limited(r *describe.Resources) (*Deploy, error) {
	if r == nil || r.Limits == nil {
		return nil, nil
	}
	var l Limits
	if r.Limits.CPU != "" {
		cores, err := instance.Number(r.Limits.CPU)
		if err != nil {
			return nil, err
		}
		l.CPUs = cores.FloatString(3)
	}
	if r.Limits.Memory != "" {
		memory, err := instance.Bytes(r.Limits.Memory)
		if err != nil {
			return nil, err
		}
		l.Memory = strconv.FormatInt(memory, 10)
	}
	return &Deploy{Resources{l}}, nil
}

// addEnvironment adds the variables of a service: what is secret from a file.
func (r *renderer) addEnvironment(added *Service, s instance.Service) error {
	variables, err := r.Variables(s, func(service string) string { return service })
	if err != nil {
		return err
	}
	added.Environment = map[string]string{}
	secret := map[string]string{}
	hasSecrets := false
	for _, v := range variables {
		hasSecrets = hasSecrets || v.Secret
		switch {
		case v.Secret:
			setting := r.Settings(s)[v.Name]
			value, known := r.secrets.known[v.Name]
			if !known && setting.Generate {
				value, known = r.secret(v.Name), true
			}
			if !known && setting.Required {
				return fmt.Errorf("it needs the secret %s: write %s=VALUE into %s, and render again", v.Name, v.Name, SecretsFile)
			}
			if known {
				secret[v.Name] = value
			}
		case v.Need != "":
			value, isSecret := r.expand(v)
			if isSecret {
				secret[v.Name], hasSecrets = value, true
			} else {
				added.Environment[v.Name] = value
			}
		default:
			added.Environment[v.Name] = v.Value
		}
	}
	if !hasSecrets {
		return nil
	}
	return r.addSecretEnv(s.Name, added, secret)
}

// expand is the value of a variable of a need, and whether it has a secret part.
func (r *renderer) expand(v instance.Variable) (value string, secret bool) {
	kind := describe.Parts[r.Needs[v.Need].Kind]
	value = describe.Expand(v.Value, func(name string) (string, bool) {
		secret = secret || slices.Contains(kind, describe.Part{Name: name, Secret: true})
		return r.parts[v.Need][name], true
	})
	return value, secret
}
