package kube

import (
	"github.com/libresh/libre/internal/instance"
)

// addWorkloads writes what runs the services that are no jobs.
func (r *renderer) addWorkloads() error {
	for _, s := range r.Services {
		if s.Job != "" {
			continue
		}
		template, err := r.podTemplate(s)
		if err != nil {
			return err
		}
		spec := deploymentSpec{Replicas: max(s.Replicas, 1), Selector: labelSelector{r.selector(s.Name)}, Template: template}
		if s.MaxReplicas == 1 {
			spec.Strategy = &typed{"Recreate"}
		}
		if err := r.add(&deployment{r.header("apps/v1", "Deployment", s.Name), spec}, ""); err != nil {
			return err
		}
	}
	return nil
}

// podTemplate is the template of a service's pods.
func (r *renderer) podTemplate(s instance.Service) (podTemplate, error) {
	image, err := r.Image(s)
	if err != nil {
		return podTemplate{}, err
	}
	env, err := r.env(s)
	if err != nil {
		return podTemplate{}, err
	}
	security, err := podSecurity(s.Component)
	if err != nil {
		return podTemplate{}, err
	}
	c := container{
		Name: r.containerName(s.Name), Image: image, Args: args(s.Command, env), Env: env, Ports: containerPorts(s),
		Resources: resourcesOf(s.Resources), SecurityContext: containerSecurity,
	}
	r.addProbes(&c, s)
	return podTemplate{
		Metadata: metadata{Labels: r.labels(s.Name)},
		Spec:     podSpec{SecurityContext: security, Containers: []container{c}},
	}, nil
}
