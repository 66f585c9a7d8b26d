package kube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/lazyregexp"
)

// addServices writes a Service for each service that listens on ports. A service with public
// ports gets a second one, which the internet can reach.
func (r *renderer) addServices() error {
	for _, s := range r.Services {
		if s.Job != "" || len(s.Ports) == 0 {
			continue
		}
		if err := r.add(r.internalService(s), ""); err != nil {
			return err
		}
		public := s
		public.Ports = slices.DeleteFunc(slices.Clone(s.Ports), func(name string) bool { return s.Component.Ports[name].Access != "public" })
		if len(public.Ports) == 0 {
			continue
		}
		o := r.internalService(public)
		o.header = r.header("v1", "Service", s.Name+"-public")
		o.Spec.Type = "LoadBalancer"
		if err := r.add(o, "The public ports of "+s.Name+", besides its routes."); err != nil {
			return err
		}
	}
	return nil
}

// internalService returns the Service for a service's pods inside the cluster.
func (r *renderer) internalService(s instance.Service) *service {
	o := &service{header: r.header("v1", "Service", s.Name), Spec: serviceSpec{Selector: r.selector(s.Name)}}
	for _, name := range s.Ports {
		port := s.Component.Ports[name]
		o.Spec.Ports = append(o.Spec.Ports, servicePort{Name: portName(name, port.Port), Port: port.Port, TargetPort: portName(name, port.Port), Protocol: strings.ToUpper(port.Protocol)})
	}
	return o
}

// ianaName matches valid names of ports: at most 15 characters, and at least one letter (RFC
// 6335, section 5.1). The length and the letter are checked apart.
var ianaName = lazyregexp.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// portName returns the name of a container's port.
func portName(name string, number int) string {
	if isPortName(name) {
		return name
	}
	return fmt.Sprintf("port-%d", number)
}

func isPortName(name string) bool {
	return len(name) <= 15 && ianaName().MatchString(name) && strings.Trim(name, "0123456789-") != ""
}

// containerPorts returns the ports that a service's pods listen on.
func containerPorts(s instance.Service) (ports []containerPort) {
	for _, name := range s.Ports {
		port := s.Component.Ports[name]
		ports = append(ports, containerPort{Name: portName(name, port.Port), ContainerPort: port.Port, Protocol: strings.ToUpper(port.Protocol)})
	}
	return ports
}
