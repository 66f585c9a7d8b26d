// Package operator writes an app for Kubernetes operators: one custom resource per instance,
// one per need, and the CustomResourceDefinitions of both. The needs are provider-neutral:
// whatever provides a need fills the Secret that the need's resource names. The package is
// pure, and the same input gives the same bytes.
package operator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

// The API groups and the version of the resources.
const (
	AppsGroup  = "apps.libre.sh"
	NeedsGroup = "needs.libre.sh"
	Version    = "v1alpha1"
)

// Options say what to write.
type Options struct {
	Namespace string // "" leaves it to whoever applies the resources
}

// Resources returns the resources of an instance: first its needs, then the instance itself.
func Resources(i *instance.Instance, o Options) ([]kit.File, error) {
	var files []kit.File
	for _, name := range slices.Sorted(maps.Keys(i.Needs)) {
		need := i.Needs[name]
		provided := needKinds[need.Kind]
		r := newResource(i, o, NeedsGroup, provided.kind, i.ObjectName(name))
		r.Spec = provided.spec(i, need, r.Metadata.Name)
		file, err := r.file(needComment(need, r.Metadata.Name))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	spec, err := newInstanceSpec(i)
	if err != nil {
		return nil, err
	}
	kind, err := appKind(i.App.Metadata.Name)
	if err != nil {
		return nil, err
	}
	r := newResource(i, o, AppsGroup, kind, i.Name)
	r.Spec = spec
	file, err := r.file(secretComment(i))
	return append(files, file), err
}

// A resource is a custom resource.
type resource struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name      string            `yaml:"name"`
	Namespace string            `yaml:"namespace,omitempty"`
	Labels    map[string]string `yaml:"labels,omitempty"`
}

// newResource returns a resource without a spec. It has the labels that Kubernetes recommends:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func newResource(i *instance.Instance, o Options, group, kind, name string) resource {
	return resource{APIVersion: group + "/" + Version, Kind: kind, Metadata: metadata{
		Name: name, Namespace: o.Namespace,
		Labels: map[string]string{
			"app.kubernetes.io/name":       i.App.Metadata.Name,
			"app.kubernetes.io/instance":   i.Name,
			"app.kubernetes.io/version":    i.App.Spec.Version,
			"app.kubernetes.io/managed-by": "libre",
		},
	}}
}

func (r resource) file(comment string) (kit.File, error) {
	return kit.YAML(strings.ToLower(r.Kind)+"-"+r.Metadata.Name+".yaml", comment, r)
}

// instanceSpec is the spec of an instance's resource.
type instanceSpec struct {
	Host           string             `yaml:"host"`
	Version        string             `yaml:"version"`
	PackageVersion int                `yaml:"packageVersion"`
	Variant        string             `yaml:"variant"`
	Images         map[string]string  `yaml:"images"`             // by component: REGISTRY/NAME:TAG@DIGEST
	With           []string           `yaml:"with,omitempty"`     // sorted
	Settings       map[string]string  `yaml:"settings,omitempty"` // the settings that have a value
	Needs          map[string]needRef `yaml:"needs,omitempty"`
	EnvFrom        []envFrom          `yaml:"envFrom,omitempty"`
}

// needRef says where to find a need. Exactly one field is set.
type needRef struct {
	SecretName string `yaml:"secretName,omitempty"` // its keys are the need's parts
	ClaimName  string `yaml:"claimName,omitempty"`  // of a PersistentVolumeClaim
}

// envFrom has the fields of Kubernetes' EnvFromSource.
type envFrom struct {
	SecretRef secretRef `yaml:"secretRef"`
}

type secretRef struct {
	Name     string `yaml:"name"`
	Optional bool   `yaml:"optional,omitempty"`
}

func newInstanceSpec(i *instance.Instance) (instanceSpec, error) {
	spec := instanceSpec{
		Host: i.Host, Version: i.App.Spec.Version, PackageVersion: i.App.Spec.PackageVersion, Variant: i.App.Spec.Variant,
		Images: map[string]string{}, With: i.With, Settings: i.Given(), Needs: map[string]needRef{},
	}
	for _, s := range i.Services {
		image, err := i.Image(s)
		if err != nil {
			return spec, err
		}
		spec.Images[s.ComponentName] = image
	}
	for name, need := range i.Needs {
		if need.Kind == "volume" {
			spec.Needs[name] = needRef{ClaimName: i.ObjectName(name)}
		} else {
			spec.Needs[name] = needRef{SecretName: i.ObjectName(name)}
		}
	}
	if required, optional := secrets(i); len(required)+len(optional) > 0 {
		spec.EnvFrom = []envFrom{{secretRef{Name: i.Name, Optional: len(required) == 0}}}
	}
	return spec, nil
}

// secrets lists the secret settings of an instance, by environment variable: those that must
// exist, and those that may exist. Both lists are sorted.
func secrets(i *instance.Instance) (required, optional []string) {
	all := map[string]describe.Setting{}
	for _, s := range i.Services {
		maps.Copy(all, i.Settings(s))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch setting := all[name]; {
		case !setting.Secret:
		case setting.Required || setting.Generate:
			required = append(required, name)
		default:
			optional = append(optional, name)
		}
	}
	return required, optional
}

// secretComment returns a comment about the keys of an instance's Secret.
func secretComment(i *instance.Instance) string {
	required, optional := secrets(i)
	text := ""
	if len(required) > 0 {
		text += fmt.Sprintf("The Secret %s must have the keys: %s\n", i.Name, strings.Join(required, ", "))
	}
	if len(optional) > 0 {
		text += fmt.Sprintf("The Secret %s may have the keys: %s\n", i.Name, strings.Join(optional, ", "))
	}
	return text
}

// needComment returns a comment about what the provider of a need's resource makes.
func needComment(need describe.Need, name string) string {
	if need.Kind == "volume" {
		return fmt.Sprintf("Makes the PersistentVolumeClaim %s.\n", name)
	}
	return fmt.Sprintf("Fills the Secret %s with the keys: %s\n", name, strings.Join(parts(need.Kind), ", "))
}

// parts returns the keys of the Secret for a kind of need.
func parts(kind string) (names []string) {
	for _, part := range describe.Parts[kind] {
		names = append(names, part.Name)
	}
	return names
}
