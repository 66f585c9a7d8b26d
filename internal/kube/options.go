package kube

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// dnsLabel and dnsSubdomain are names of objects:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var (
	dnsLabel     = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsSubdomain = lazyregexp.New(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// check returns an error if a name is not valid in Kubernetes.
func (o Options) check() error {
	for flag, namespace := range map[string]string{"--namespace": o.Namespace, "--ingress-namespace": o.IngressNamespace} {
		if namespace != "" && !dnsLabel().MatchString(namespace) {
			return usage("%s %q, expected the name of a namespace: lower-case letters, digits and hyphens", flag, namespace)
		}
	}
	namespace, name, both := strings.Cut(o.Gateway, "/")
	if o.Gateway != "" && (!both || !dnsLabel().MatchString(namespace) || !dnsSubdomain().MatchString(name)) {
		return usage("--gateway %q, expected NAMESPACE/NAME of a Gateway", o.Gateway)
	}
	if _, known := providers[o.Needs]; !known && o.Needs != "" {
		return usage("--needs %q, expected one of %s", o.Needs, strings.Join(Providers(), ", "))
	}
	return nil
}

func usage(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Usage, Err: fmt.Errorf(format, args...)}
}
