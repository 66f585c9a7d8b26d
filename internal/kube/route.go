package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/router"
)

// backend is a port of a Service that requests from outside reach.
type backend struct {
	path    string // without a slash at its end, except for "/" itself
	service string // of the app
	port    string // its name in Kubernetes
	number  int
}

// backends lists the ports that requests from outside reach, sorted by path: the router's port
// or, without a router, the ports that routes lead to. It omits routes to services that are not
// used.
func (r *renderer) backends() ([]backend, error) {
	if len(router.Reasons(r.App.Spec.Routes)) > 0 {
		return []backend{{"/", routerName, routerPort, router.HTTPPort}}, nil
	}
	var all []backend
	for _, path := range slices.Sorted(maps.Keys(r.App.Spec.Routes)) {
		route := r.App.Spec.Routes[path]
		s, used := r.Service(route.Service)
		if !used {
			continue
		}
		name := route.Port
		if name == "" && len(s.Ports) == 1 {
			name = s.Ports[0]
		}
		number, err := s.Port(name)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", path, err)
		}
		all = append(all, backend{"/" + strings.Trim(path, "/"), s.Name, portName(name, number), number})
	}
	return all, nil
}

// addRoutes writes an Ingress, or an HTTPRoute of a Gateway, for requests from outside.
func (r *renderer) addRoutes() error {
	backends, err := r.backends()
	if err != nil || len(backends) == 0 {
		return err
	}
	if r.o.Gateway != "" {
		return r.addHTTPRoute(backends)
	}
	o := &ingress{header: r.header("networking.k8s.io/v1", "Ingress", "")}
	o.Metadata.Annotations = r.ingressLimits()
	o.Spec.TLS = []ingressTLS{{[]string{r.Host}, r.ObjectName("tls")}}
	rule := ingressRule{Host: r.Host}
	for _, b := range backends {
		path := ingressPath{Path: b.path, PathType: "Prefix"}
		path.Backend.Service = ingressService{r.ObjectName(b.service), portRef{b.port}}
		rule.HTTP.Paths = append(rule.HTTP.Paths, path)
	}
	o.Spec.Rules = []ingressRule{rule}
	return r.add(o, "The certificate is in the Secret "+r.ObjectName("tls")+", which must exist, or which\nan annotation for cert-manager makes.")
}

// ingressLimits returns annotations for ingress-nginx. Without them, ingress-nginx refuses
// bodies of more than 1 MB, and ends WebSockets that are idle for a minute. The router has the
// routes' own limits:
// https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
func (r *renderer) ingressLimits() map[string]string {
	if len(router.Reasons(r.App.Spec.Routes)) == 0 {
		return nil
	}
	const prefix = "nginx.ingress.kubernetes.io/"
	limits := map[string]string{prefix + "proxy-body-size": "0"}
	longest := 0
	for _, route := range r.App.Spec.Routes {
		longest = max(longest, route.Timeout)
	}
	if longest > 0 {
		limits[prefix+"proxy-read-timeout"] = fmt.Sprint(longest)
		limits[prefix+"proxy-send-timeout"] = fmt.Sprint(longest)
	}
	return limits
}

// addHTTPRoute writes a route of a Gateway. The Gateway's listener has the certificate.
func (r *renderer) addHTTPRoute(backends []backend) error {
	namespace, name, _ := strings.Cut(r.o.Gateway, "/")
	o := &httpRoute{header: r.header("gateway.networking.k8s.io/v1", "HTTPRoute", "")}
	o.Spec.ParentRefs = []parentRef{{name, namespace}}
	o.Spec.Hostnames = []string{r.Host}
	for _, b := range backends {
		var rule httpRouteRule
		rule.Matches = []httpRouteMatch{{pathMatch{"PathPrefix", b.path}}}
		rule.BackendRefs = []backendRef{{r.ObjectName(b.service), b.number}}
		o.Spec.Rules = append(o.Spec.Rules, rule)
	}
	return r.add(o, "The Gateway has the certificate.")
}
