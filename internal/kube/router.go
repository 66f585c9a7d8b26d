package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/router"
)

// The names of the router and of its parts. routerComponent is the component of the catalogue's
// Caddy.
const (
	routerName      = "router"
	routerPort      = "http"
	routerReplicas  = 2
	routerComponent = "server"
	routerFolder    = "/etc/caddy"
)

// addRouter writes a router for routes that an Ingress cannot express: a Caddy with its
// configuration, and Services with the addresses of all replicas.
func (r *renderer) addRouter() error {
	reasons := router.Reasons(r.App.Spec.Routes)
	if len(reasons) == 0 {
		return nil
	}
	if r.o.Router == nil {
		return fmt.Errorf("the routes of %s need a router, for %s: give a Caddy", r.App.Metadata.Name, reasons[0])
	}
	if _, taken := r.Service(routerName); taken {
		return fmt.Errorf("%s has a service %s, which is what its router is called: name the service otherwise", r.App.Metadata.Name, routerName)
	}
	s, err := routerService(r.o.Router)
	if err != nil {
		return err
	}
	config, err := r.routerConfig()
	if err != nil {
		return err
	}
	template, err := r.routerTemplate(s, config.Metadata.Name)
	if err != nil {
		return err
	}
	spec := deploymentSpec{Replicas: s.Replicas, Selector: labelSelector{MatchLabels: r.selector(s.Name)}, Template: template}
	objects := []object{config}
	objects = append(objects, r.stickyServices()...)
	objects = append(objects, r.internalService(s), &deployment{r.header("apps/v1", "Deployment", s.Name), spec}, r.budget(s))
	for i, o := range objects {
		comment := ""
		if i == 0 {
			comment = "The routes that need it:\n  " + strings.Join(reasons, "\n  ")
		}
		if err := r.add(o, comment); err != nil {
			return err
		}
	}
	return nil
}

// routerService returns the catalogue's Caddy as a service that routes requests.
func routerService(caddy *describe.Application) (instance.Service, error) {
	component, known := caddy.Spec.Components[routerComponent]
	if !known {
		return instance.Service{}, fmt.Errorf("%s cannot be a router: it has no component %s", caddy.Metadata.Name, routerComponent)
	}
	component.Ports = map[string]describe.Port{
		routerPort: {Port: router.HTTPPort, Protocol: "tcp", Access: "internal"},
		"health":   {Port: router.HealthPort, Protocol: "tcp", Access: "internal"},
	}
	// The volumes stay empty: the Ingress has the certificates.
	component.Writable, component.Volumes = component.Volumes, nil
	return instance.Service{Name: routerName, ComponentName: routerName, Component: component, Service: describe.Service{
		Command: []string{"run", "--config", routerFolder + "/Caddyfile"}, Ports: []string{routerPort, "health"}, Replicas: routerReplicas,
		Health: &describe.Health{Path: router.HealthPath, Port: "health"},
	}}, nil
}

// routerConfig returns the Caddyfile in a ConfigMap. The name contains its hash, so a change
// starts new pods.
func (r *renderer) routerConfig() (*configMap, error) {
	text, err := router.Caddyfile(r.Instance, router.Options{
		Address: r.ObjectName, Replicas: func(service string) string { return r.ObjectName(service + "-replicas") },
	})
	if err != nil {
		return nil, err
	}
	o := &configMap{r.header("v1", "ConfigMap", routerName), map[string]string{"Caddyfile": text}}
	o.Metadata.Name += "-" + instance.ShortHash([]byte(text))
	return o, nil
}

func (r *renderer) routerTemplate(s instance.Service, config string) (podTemplate, error) {
	image, err := (&instance.Instance{App: r.o.Router}).Image(instance.Service{ComponentName: routerComponent, Component: s.Component})
	if err != nil {
		return podTemplate{}, err
	}
	var env []envVar
	for _, v := range router.Variables(r.Instance) {
		_, needed := r.fromNeed(v)
		env = append(env, needed)
	}
	template, err := r.podOf(s, image, env)
	if err != nil {
		return podTemplate{}, err
	}
	pod := &template.Spec
	pod.Volumes = append(pod.Volumes, volume{Name: "config", ConfigMap: &configMapSource{config}})
	c := &pod.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, volumeMount{Name: "config", MountPath: routerFolder, ReadOnly: true})
	return template, nil
}

// stickyServices returns Services for the targets of sticky routes. They resolve to the
// addresses of all replicas, instead of one address for all.
func (r *renderer) stickyServices() (all []object) {
	sticky := map[string]bool{}
	for _, route := range r.App.Spec.Routes {
		if _, used := r.Service(route.Service); used && route.Sticky != nil {
			sticky[route.Service] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sticky)) {
		s, _ := r.Service(name)
		o := r.internalService(s)
		o.header = r.header("v1", "Service", name+"-replicas")
		o.Spec.ClusterIP = "None"
		all = append(all, o)
	}
	return all
}
