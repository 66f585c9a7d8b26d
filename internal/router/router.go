// Package router writes the Caddyfile that follows from an app's routes. A router is for
// what neither Ingress nor Gateway API says portably. The same input gives the same bytes.
// The Caddyfile is for Caddy 2.11: https://caddyserver.com/docs/caddyfile
// Handler does the same in this process, for an app that is tried.
package router

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// The ports that the router listens on. None needs a right of its own.
const (
	HTTPPort   = 8080
	HTTPSPort  = 8443 // only if Options.HTTPS is set
	HealthPort = 8081 // answers 200 at HealthPath; not for the outside
	HealthPath = "/healthz"
)

// Options say where the router runs.
type Options struct {
	// Address gives the host name by which the router reaches a service.
	Address func(service string) string
	// Replicas gives the host name that has the addresses of all replicas of a service.
	// It is asked for sticky routes.
	Replicas func(service string) string
	// HTTPS makes the router answer for the host name alone, with a certificate of Let's
	// Encrypt or, for names such as app.localhost, of its own authority. Otherwise it
	// speaks HTTP to an ingress, whose X-Forwarded- headers it passes on.
	HTTPS bool
}

// Reasons says why routes need a router, as "PATH: ATTRIBUTE", sorted. Without a reason an
// Ingress does.
func Reasons(routes map[string]describe.Route) []string {
	var reasons []string
	for _, path := range slices.Sorted(maps.Keys(routes)) {
		r := routes[path]
		for _, attribute := range []struct {
			name string
			used bool
		}{
			{"bucket", r.Bucket != ""},
			{"stripPrefix", r.StripPrefix},
			{"maxBodySize", r.MaxBodySize != ""},
			{"timeout", r.Timeout != 0},
			{"sticky", r.Sticky != nil},
			{"authorize", r.Authorize != nil},
			{"responseHeaders", len(r.ResponseHeaders) > 0},
		} {
			if attribute.used {
				reasons = append(reasons, path+": "+attribute.name)
			}
		}
	}
	return reasons
}

// Variables lists the environment variables that the router's Caddyfile reads: of each
// bucket its endpoint, a URL of scheme, host and port, and its name.
func Variables(i *instance.Instance) []instance.Variable {
	var all []instance.Variable
	for _, need := range usedBuckets(i) {
		for _, part := range []string{"endpoint", "name"} {
			all = append(all, instance.Variable{Name: instance.PartVariable(need, part), Value: "$(" + part + ")", Need: need})
		}
	}
	return all
}

// usedBuckets returns the names of the needs that routes lead to.
func usedBuckets(i *instance.Instance) []string {
	used := map[string]bool{}
	for _, route := range i.App.Spec.Routes {
		if _, chosen := i.Needs[route.Bucket]; chosen {
			used[route.Bucket] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// Caddyfile returns the configuration of the router. Routes to optional services and needs
// that are not used are left out. The error names the route.
func Caddyfile(i *instance.Instance, o Options) (string, error) {
	w := &writer{}
	w.global(o)
	w.health()
	site := fmt.Sprintf("http://:%d", HTTPPort)
	if o.HTTPS {
		site = i.Host
	}
	w.open(site)
	w.open("route")
	paths, err := ordered(i.App.Spec.Routes)
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		route := i.App.Spec.Routes[path]
		if !leads(i, route) {
			continue
		}
		if err := (&renderer{w, i, o}).route(path, route); err != nil {
			return "", fmt.Errorf("route %s: %w", path, err)
		}
	}
	w.line("respond 404")
	w.close()
	w.close()
	return w.String(), nil
}

// global are the options of the server. It has no API, and writes nothing but certificates.
func (w *writer) global(o Options) {
	w.open("")
	w.line("admin off")
	w.line("persist_config off")
	if o.HTTPS {
		w.line("http_port %d", HTTPPort)
		w.line("https_port %d", HTTPSPort)
	} else {
		w.line("auto_https off")
		w.open("servers")
		w.line("trusted_proxies static private_ranges")
		w.close()
	}
	w.close()
}

// health is the site that probes ask.
func (w *writer) health() {
	w.open(fmt.Sprintf("http://:%d", HealthPort))
	w.line("respond %s 200", HealthPath)
	w.line("respond 404")
	w.close()
}

// leads reports whether the target of a route is used.
func leads(i *instance.Instance, route describe.Route) bool {
	if route.Bucket != "" {
		_, used := i.Needs[route.Bucket]
		return used || !i.App.Spec.Needs[route.Bucket].Optional
	}
	if _, used := i.Service(route.Service); used {
		return true
	}
	for _, component := range i.App.Spec.Components {
		if service, known := component.Services[route.Service]; known {
			return !service.Optional
		}
	}
	return true
}

// ordered are the paths of routes, the longest first, so that the first that matches wins.
func ordered(routes map[string]describe.Route) ([]string, error) {
	paths := slices.SortedFunc(maps.Keys(routes), func(a, b string) int {
		if longer := len(trimmed(b)) - len(trimmed(a)); longer != 0 {
			return longer
		}
		return strings.Compare(a, b)
	})
	seen := map[string]string{}
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return nil, fmt.Errorf("route %q: %w", path, err)
		}
		// Caddy compares paths without regard to case.
		same := strings.ToLower(trimmed(path))
		if other, twice := seen[same]; twice {
			return nil, fmt.Errorf("routes %s and %s overlap: they match the same requests, keep one of them", other, path)
		}
		seen[same] = path
	}
	return paths, nil
}

// trimmed is a route's path without the slash at its end: /media/ matches as /media does.
func trimmed(path string) string { return strings.TrimSuffix(path, "/") }
