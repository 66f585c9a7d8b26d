package router

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// stickyHeader carries the value of a cookie to Caddy's load balancer. Its own policy for
// cookies would set a cookie of the app anew.
const stickyHeader = "X-Libre-Sticky"

// renderer writes the routes of an instance.
type renderer struct {
	*writer
	i *instance.Instance
	o Options
}

// route writes what happens to requests of one route. Caddy's route keeps the order of what
// is in it.
func (r *renderer) route(path string, route describe.Route) error {
	prefix := trimmed(path)
	if prefix == "" {
		r.open("handle")
	} else {
		matcher := fmt.Sprintf("@route%d", r.matchers)
		r.matchers++
		r.line("%s path %s %s/*", matcher, prefix, prefix)
		r.open("handle " + matcher)
	}
	r.open("route")
	for _, write := range []func(string, describe.Route) error{
		r.refuse, r.limit, r.headers, r.authorize, r.rewrite, r.proxy,
	} {
		if err := write(prefix, route); err != nil {
			return err
		}
	}
	r.close()
	r.close()
	return nil
}

// refuse answers 400 to paths that whoever authorizes, and what follows, could read in two
// ways, and takes headers away that the client should not send.
func (r *renderer) refuse(_ string, route describe.Route) error {
	if route.Bucket != "" || route.Authorize != nil {
		r.line("@ambiguous%d vars_regexp {http.request.uri.path} `//|/\\.\\.?(/|$)`", r.matchers)
		r.line("respond @ambiguous%d 400", r.matchers)
		r.matchers++
	}
	if route.Bucket != "" {
		r.line("request_header -X-Amz-*")
	}
	if !route.WebSocket {
		r.line("request_header -Upgrade")
	}
	return nil
}

// limit refuses a body that is too large, with 413.
func (r *renderer) limit(_ string, route describe.Route) error {
	if route.MaxBodySize == "" || route.MaxBodySize == "0" { // no limit
		return nil
	}
	most, err := instance.Bytes(route.MaxBodySize)
	if err != nil {
		return fmt.Errorf("maxBodySize: %w", err)
	}
	r.open("request_body")
	r.line("max_size %d", most)
	r.close()
	return nil
}

// headers sets headers of the answer, in place of those that come from behind.
func (r *renderer) headers(_ string, route describe.Route) error {
	for _, name := range slices.Sorted(maps.Keys(route.ResponseHeaders)) {
		if err := checkHeader(name); err != nil {
			return err
		}
		value, err := quoted(route.ResponseHeaders[name])
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		r.line("header >%s %s", name, value)
	}
	return nil
}

// authorize asks a service whether the request may pass. Caddy takes the copied headers away
// from the request, and gives it those of the answer. The sub-request is a plain one: with
// the client's conditions, an answer could be 304, which is no 2xx.
func (r *renderer) authorize(_ string, route describe.Route) error {
	a := route.Authorize
	if a == nil {
		return nil
	}
	upstream, err := r.upstream(a.Service, a.Port)
	if err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	if err := checkPath(a.Path); err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	r.open("forward_auth " + upstream)
	r.line("uri %s?", a.Path) // without the arguments of the request
	for _, header := range []struct{ name, value string }{
		{a.URLHeader, "https://" + r.i.Host + "{http.request.orig_uri}"},
		{a.MethodHeader, "{http.request.orig_method}"},
	} {
		if header.name == "" {
			continue
		}
		if err := checkHeader(header.name); err != nil {
			return fmt.Errorf("authorize: %w", err)
		}
		r.line("header_up %s %s", header.name, header.value)
	}
	for _, name := range []string{"Connection", "Upgrade", "Range", "If-*"} {
		r.line("header_up -%s", name)
	}
	for _, name := range a.CopyHeaders {
		if err := checkHeader(name); err != nil {
			return fmt.Errorf("authorize: %w", err)
		}
		r.line("copy_headers %s", name)
	}
	r.close()
	return nil
}

// rewrite changes the path that the request is passed on with. A bucket's begins with the
// bucket's name, and has no arguments: these would ask for something else than the object.
func (r *renderer) rewrite(prefix string, route describe.Route) error {
	if route.StripPrefix && prefix != "" {
		r.line("uri strip_prefix %s", prefix)
	}
	if route.Bucket != "" {
		r.line("respond / 404") // not a list of the objects
		r.line("rewrite * /{env.%s}{http.request.uri.path}?", instance.PartVariable(route.Bucket, "name"))
	}
	return nil
}

// proxy passes the request on.
func (r *renderer) proxy(_ string, route describe.Route) error {
	if route.Bucket != "" {
		return r.bucket(route)
	}
	if route.Sticky != nil {
		return r.sticky(route)
	}
	upstream, err := r.upstream(route.Service, route.Port)
	if err != nil {
		return err
	}
	if route.Timeout == 0 {
		r.line("reverse_proxy %s", upstream)
		return nil
	}
	r.open("reverse_proxy " + upstream)
	r.timeouts(route)
	r.close()
	return nil
}

// bucket passes a request on to an S3 server. Who signed it signed the endpoint's host,
// without the port if it is the usual one.
func (r *renderer) bucket(route describe.Route) error {
	if need, known := r.i.Needs[route.Bucket]; !known || need.Kind != "bucket" {
		return fmt.Errorf("there is no need %q of kind bucket", route.Bucket)
	}
	if err := checkAddress(strings.ToLower(route.Bucket)); err != nil {
		return fmt.Errorf("the need %w", err)
	}
	host := fmt.Sprintf("bucket_host%d", r.matchers)
	r.matchers++
	r.open("map {http.reverse_proxy.upstream.port} {" + host + "}")
	for _, port := range []int{80, 443} {
		r.line("%d {http.reverse_proxy.upstream.host}", port)
	}
	r.line("default {http.reverse_proxy.upstream.hostport}")
	r.close()
	r.open("reverse_proxy {$" + instance.PartVariable(route.Bucket, "endpoint") + "}")
	r.line("header_up Host {%s}", host)
	r.line("header_up -Cookie")
	if route.Authorize == nil || !slices.ContainsFunc(route.Authorize.CopyHeaders, isAuthorization) {
		r.line("header_up -Authorization")
	}
	r.timeouts(route)
	r.close()
	return nil
}

// sticky passes requests that belong together on to the same replica: the one with the
// highest hash of its address and their value, while it answers.
func (r *renderer) sticky(route describe.Route) error {
	port, err := r.port(route.Service, route.Port)
	if err != nil {
		return err
	}
	host := r.o.Replicas(route.Service)
	if err := checkAddress(host); err != nil {
		return err
	}
	policy := "query " + route.Sticky.Query
	if err := checkArgument(route.Sticky.Query); route.Sticky.Cookie == "" && err != nil {
		return err
	}
	if cookie := route.Sticky.Cookie; cookie != "" {
		if err := checkCookie(cookie); err != nil {
			return err
		}
		r.line("request_header %s {http.request.cookie.%s}", stickyHeader, cookie)
		policy = "header " + stickyHeader
	}
	r.open("reverse_proxy")
	r.open("dynamic a")
	r.line("name %s", host)
	r.line("port %d", port)
	r.line("refresh 5s")
	r.close()
	r.line("lb_policy %s", policy)
	r.line("lb_try_duration 5s")
	r.line("fail_duration 10s")
	if route.Sticky.Cookie != "" {
		r.line("header_up -%s", stickyHeader)
	}
	r.timeouts(route)
	r.close()
	return nil
}

// timeouts limits how long a request may wait for its answer, and how long a connection may
// be without data, as nginx's proxy_read_timeout does.
func (r *renderer) timeouts(route describe.Route) {
	if route.Timeout == 0 {
		return
	}
	r.open("transport http")
	for _, name := range []string{"response_header_timeout", "read_timeout", "write_timeout"} {
		r.line("%s %ds", name, route.Timeout)
	}
	r.close()
}

// upstream is HOST:PORT of a service.
func (r *renderer) upstream(service, portName string) (string, error) {
	port, err := r.port(service, portName)
	if err != nil {
		return "", err
	}
	host := r.o.Address(service)
	return net.JoinHostPort(host, strconv.Itoa(port)), checkAddress(host)
}

func (r *renderer) port(service, name string) (int, error) {
	s, used := r.i.Service(service)
	if !used {
		return 0, fmt.Errorf("the service %q is not used: give --with %s, if the app has it", service, service)
	}
	return s.Port(name)
}
