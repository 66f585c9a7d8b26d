package kube

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/instance"
)

// addServices writes a Service for each service that listens on ports, and one that the
// internet reaches for its public ports.
func (r *renderer) addServices() error {
	for _, s := range r.Services {
		if s.Job != "" || len(s.Ports) == 0 {
			continue
		}
		internal := &service{header: r.header("v1", "Service", s.Name), Spec: serviceSpec{Selector: r.selector(s.Name)}}
		public := &service{header: r.header("v1", "Service", s.Name+"-public"), Spec: serviceSpec{Type: "LoadBalancer", Selector: r.selector(s.Name)}}
		for _, name := range s.Ports {
			port := s.Component.Ports[name]
			p := servicePort{Name: portName(name, port.Port), Port: port.Port, TargetPort: portName(name, port.Port), Protocol: strings.ToUpper(port.Protocol)}
			internal.Spec.Ports = append(internal.Spec.Ports, p)
			if port.Access == "public" {
				public.Spec.Ports = append(public.Spec.Ports, p)
			}
		}
		if err := r.add(internal, ""); err != nil {
			return err
		}
		if len(public.Spec.Ports) == 0 {
			continue
		}
		if err := r.add(public, "The public ports of "+s.Name+", besides its routes."); err != nil {
			return err
		}
	}
	return nil
}

// ianaName is a name that ports can have, of at most 15 characters with a letter: RFC 6335,
// section 5.1.
var ianaName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// portName is the name of a container's port.
func portName(name string, number int) string {
	if isPortName(name) {
		return name
	}
	return fmt.Sprintf("port-%d", number)
}

func isPortName(name string) bool {
	return len(name) <= 15 && ianaName.MatchString(name) && strings.Trim(name, "0123456789-") != ""
}

// containerPorts are the ports that a service's pods listen on.
func containerPorts(s instance.Service) (ports []containerPort) {
	for _, name := range s.Ports {
		port := s.Component.Ports[name]
		ports = append(ports, containerPort{Name: portName(name, port.Port), ContainerPort: port.Port, Protocol: strings.ToUpper(port.Protocol)})
	}
	return ports
}
