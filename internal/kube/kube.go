// Package kube writes the Kubernetes objects of an app from its application document. It is
// pure, and the same input gives the same bytes. Its types have only the fields that it writes,
// of https://kubernetes.io/docs/reference/kubernetes-api/. The tests decode them strictly into
// Kubernetes' own types.
package kube

import (
	"path"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

// Options say what to write.
type Options struct {
	Namespace        string // "" leaves it to whoever applies the objects
	UpgradeFrom      string // the app version that runs; "" is the first installation
	IngressNamespace string // the namespace of the ingress controller; "" allows all
	Gateway          string // NAMESPACE/NAME of a Gateway; "" writes an Ingress
	Needs            string // one of Providers, which provides the needs that it can; "" lists Secrets that must exist

	// Router is the document of the catalogue's Caddy, for routes that an Ingress cannot
	// express. Other apps do not need it.
	Router *describe.Application
}

// Plain returns the objects of an app that need no operator, in the order to create them. A
// list of the Secrets that must exist comes first. The jobs of upgrades and of the first
// installation are in their own folders.
func Plain(i *instance.Instance, o Options) ([]kit.File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := newRenderer(i, o)
	for _, add := range []func() error{
		r.addAccount, r.addNeeds, r.addClaims, r.addServices, r.addWorkloads, r.addSchedules, r.addBudgets, r.addRouter, r.addRoutes, r.addPolicies, r.addJobs,
	} {
		if err := add(); err != nil {
			return nil, err
		}
	}
	return append(r.secretsFile(), r.files...), nil
}

// renderer collects the files of an instance.
type renderer struct {
	*instance.Instance
	o       Options
	files   []kit.File
	secrets map[string]map[string]secretKey // by name of the Secret and of the key

	provided map[string]provision // by name of the need
}

func newRenderer(i *instance.Instance, o Options) *renderer {
	return &renderer{Instance: i, o: o, secrets: map[string]map[string]secretKey{}, provided: map[string]provision{}}
}

// add writes an object into its own file, below a comment.
func (r *renderer) add(o object, comment string) error {
	head := o.head()
	return r.addTo("", strings.ToLower(head.Kind)+"-"+head.Metadata.Name, o, comment)
}

// addTo writes an object into a file of a folder.
func (r *renderer) addTo(folder, name string, o object, comment string) error {
	if comment != "" {
		comment += "\n"
	}
	file, err := kit.YAML(path.Join(folder, name+".yaml"), comment, o)
	r.files = append(r.files, file)
	return err
}

// header returns the header of an object. The object's name consists of the instance's name and
// of.
func (r *renderer) header(apiVersion, kind, of string) header {
	return header{APIVersion: apiVersion, Kind: kind, Metadata: metadata{Name: r.ObjectName(of), Namespace: r.o.Namespace, Labels: r.labels(of)}}
}

// labels returns the labels that Kubernetes recommends:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func (r *renderer) labels(of string) map[string]string {
	labels := r.selector(of)
	labels["app.kubernetes.io/version"] = r.App.Spec.Version
	labels["app.kubernetes.io/managed-by"] = "libre"
	return labels
}

// selector returns the labels that select a service's pods, or all pods of the instance. They
// never change, because selectors cannot change.
func (r *renderer) selector(service string) map[string]string {
	labels := map[string]string{"app.kubernetes.io/name": r.App.Metadata.Name, "app.kubernetes.io/instance": r.Name}
	if service != "" {
		labels["app.kubernetes.io/component"] = service
	}
	return labels
}

// addAccount writes the account of the pods, which gives them no access to Kubernetes.
func (r *renderer) addAccount() error {
	return r.add(&serviceAccount{header: r.header("v1", "ServiceAccount", "")}, "")
}
