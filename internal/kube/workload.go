package kube

import (
	"github.com/libresh/libre/internal/instance"
)

// addWorkloads writes a workload for each service that is not a job.
func (r *renderer) addWorkloads() error {
	for _, s := range r.Services {
		if s.Job != "" {
			continue
		}
		workload, err := r.workload(s)
		if err != nil {
			return err
		}
		if err := r.add(workload, s.Description); err != nil {
			return err
		}
	}
	return nil
}

// workload returns a Deployment, or a StatefulSet if at most one pod may run: a node that does
// not answer may still write to the volume.
func (r *renderer) workload(s instance.Service) (object, error) {
	template, err := r.podTemplate(s)
	if err != nil {
		return nil, err
	}
	alone, err := r.keepsData(s)
	if err != nil {
		return nil, err
	}
	selector := labelSelector{MatchLabels: r.selector(s.Name)}
	if alone {
		return &statefulSet{r.header("apps/v1", "StatefulSet", s.Name), statefulSetSpec{1, r.ObjectName(s.Name), selector, template}}, nil
	}
	spec := deploymentSpec{Replicas: max(s.Replicas, 1), Selector: selector, Template: template}
	if s.MaxReplicas == 1 {
		spec.Strategy = &typed{"Recreate"}
	}
	return &deployment{r.header("apps/v1", "Deployment", s.Name), spec}, nil
}

// podTemplate returns the template of a service's pods.
func (r *renderer) podTemplate(s instance.Service) (podTemplate, error) {
	image, err := r.Image(s)
	if err != nil {
		return podTemplate{}, err
	}
	env, err := r.env(s)
	if err != nil {
		return podTemplate{}, err
	}
	return r.podOf(s, image, env)
}

// podOf returns the template of pods with an image and an environment.
func (r *renderer) podOf(s instance.Service, image string, env []envVar) (podTemplate, error) {
	security, err := podSecurity(s.Component)
	if err != nil {
		return podTemplate{}, err
	}
	c := container{
		Name: instance.Shortened(instance.NamePart(s.Name), 63), Image: image, Args: args(s.Command, env), Env: env, Ports: containerPorts(s),
		Resources: resourcesOf(s.Resources), SecurityContext: containerSecurity,
	}
	r.addProbes(&c, s)
	pod := podSpec{ServiceAccountName: r.ObjectName(""), SecurityContext: security, Containers: []container{c}}
	r.addVolumes(&pod, s)
	return podTemplate{metadata{Labels: r.labels(s.Name)}, pod}, nil
}
