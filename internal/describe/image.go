package describe

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// Built has what is only known about an image after it is built.
type Built struct {
	Digest    string            // of the index
	Platforms map[string]string // OCI platform → digest of its manifest

	// The image's own values, which count if the definition sets none.
	User         string
	Volumes      []string
	ExposedPorts []string // NUMBER/PROTOCOL
	Health       *catalog.HealthCheck
}

// AddImage adds the facts about a component's built image.
func (a *Application) AddImage(name string, image Built) {
	c := a.Spec.Components[name]
	if c.Image != nil {
		named := *c.Image
		named.Digest, named.Platforms = image.Digest, image.Platforms
		c.Image = &named
	}
	c.User = cmp.Or(c.User, image.User)
	if len(c.Volumes) == 0 {
		c.Volumes = slices.Clone(image.Volumes)
	}
	if len(c.Ports) == 0 {
		c.addPorts(image.ExposedPorts)
	}
	if c.Health == nil && image.Health != nil {
		health := healthOf(image.Health)
		c.Health = &health
		c.eachOwn(func(s *Service) {
			if s.Health == nil {
				s.Health = c.Health
			}
		})
	}
	a.Spec.Components[name] = c
}

// addPorts adds the ports that an image exposes, named by protocol and number.
func (c *Component) addPorts(exposed []string) {
	var names []string
	for _, port := range exposed {
		number, protocol, _ := strings.Cut(port, "/")
		protocol = cmp.Or(protocol, "tcp")
		n, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		name := fmt.Sprintf("%s-%d", protocol, n)
		if c.Ports == nil {
			c.Ports = map[string]Port{}
		}
		c.Ports[name] = Port{Port: n, Protocol: protocol, Access: "internal"}
		names = append(names, name)
	}
	c.eachOwn(func(s *Service) {
		if len(s.Ports) == 0 {
			s.Ports = names
		}
	})
}

// eachOwn changes the services that run the image's own command.
func (c *Component) eachOwn(change func(*Service)) {
	services := map[string]Service{}
	for name, service := range c.Services {
		if service.Command == nil && service.Job == "" {
			change(&service)
		}
		services[name] = service
	}
	if len(services) > 0 {
		c.Services = services
	}
}

func healthOf(check *catalog.HealthCheck) Health {
	return Health{
		Path: check.Path, Port: check.Port, Command: check.Command, TCP: check.TCP, GRPC: check.GRPC,
		Interval: check.Interval, Timeout: check.Timeout, StartPeriod: check.StartPeriod, Retries: check.Retries,
	}
}
