package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// Behind connects a handler to the services of the app.
type Behind struct {
	// Dial connects with HOST:PORT of a service or server.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Part is a part of a need of kind bucket: endpoint or name.
	Part func(need, part string) string
}

// Handler does in this process what Caddyfile configures, for an app of which each service
// runs once. It checks routes as Caddyfile does. The error names the route.
func Handler(i *instance.Instance, b Behind) (http.Handler, error) {
	paths, err := ordered(i.App.Spec.Routes)
	if err != nil {
		return nil, err
	}
	h := &handler{}
	for _, path := range paths {
		route := i.App.Spec.Routes[path]
		if !leads(i, route) {
			continue
		}
		r, err := newRoute(i, b, trimmed(path), route)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", path, err)
		}
		h.routes = append(h.routes, r)
	}
	return h, nil
}

// handler has routes, the longest path first.
type handler struct{ routes []*handledRoute }

// ServeHTTP answers by the first route whose path matches, by whole segments and without
// regard to case, as Caddy compares paths.
func (h *handler) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	asked := strings.ToLower(path.Clean("/" + request.URL.Path))
	for _, r := range h.routes {
		prefix := strings.ToLower(r.prefix)
		if asked == prefix || strings.HasPrefix(asked, prefix+"/") {
			r.serve(w, request)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

// handledRoute is a route of a handler.
type handledRoute struct {
	describe.Route
	i         *instance.Instance
	prefix    string // of paths, without a slash at the end
	most      int64  // bytes of a body; 0 is no limit
	transport *http.Transport
	upstream  *url.URL
	bucket    string   // its name; "" for a service
	asked     *url.URL // who authorizes; nil for none
}

func newRoute(i *instance.Instance, b Behind, prefix string, route describe.Route) (*handledRoute, error) {
	// What Caddy's configuration cannot have is refused, so that an app that runs here also
	// runs behind a Caddy.
	check := &renderer{&writer{}, i, Options{Address: func(service string) string { return service }, Replicas: func(service string) string { return service }}}
	if err := check.route(prefix+"/", route); err != nil {
		return nil, err
	}
	r := &handledRoute{Route: route, i: i, prefix: prefix, transport: &http.Transport{
		DialContext: b.limited(time.Duration(route.Timeout) * time.Second), ResponseHeaderTimeout: time.Duration(route.Timeout) * time.Second,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 16, DisableCompression: true,
	}}
	var err error
	if route.MaxBodySize != "" && route.MaxBodySize != "0" {
		if r.most, err = instance.Bytes(route.MaxBodySize); err != nil {
			return nil, err
		}
	}
	if route.Authorize != nil {
		address, err := check.upstream(route.Authorize.Service, route.Authorize.Port)
		if err != nil {
			return nil, err
		}
		r.asked = &url.URL{Scheme: "http", Host: address, Path: route.Authorize.Path}
	}
	if route.Bucket != "" {
		r.bucket = b.Part(route.Bucket, "name")
		r.upstream, err = url.Parse(b.Part(route.Bucket, "endpoint"))
		return r, err
	}
	address, err := check.upstream(route.Service, route.Port)
	r.upstream = &url.URL{Scheme: "http", Host: address}
	return r, err
}

// limited dials connections that end when they are without data for so long; 0 is no limit.
func (b Behind) limited(most time.Duration) func(context.Context, string, string) (net.Conn, error) {
	if most == 0 {
		return b.Dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := b.Dial(ctx, network, address)
		return &limitedConn{conn, most}, err
	}
}

type limitedConn struct {
	net.Conn
	most time.Duration
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.most)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *limitedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.most)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (r *handledRoute) serve(w http.ResponseWriter, request *http.Request) {
	original := request
	request = request.Clone(request.Context())
	if (r.bucket != "" || r.asked != nil) && dotSegment().MatchString(request.URL.Path) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.clean(request.Header)
	for name, value := range r.ResponseHeaders {
		w.Header().Set(name, value)
	}
	if r.most > 0 {
		if request.ContentLength > r.most {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		request.Body = http.MaxBytesReader(w, request.Body, r.most)
	}
	if r.asked != nil && !r.authorized(w, original, request) {
		return
	}
	if r.StripPrefix {
		strip(request.URL, r.prefix)
	}
	if r.bucket != "" {
		if request.URL.Path == "/" { // not a list of the objects
			w.WriteHeader(http.StatusNotFound)
			return
		}
		request.URL.Path, request.URL.RawPath, request.URL.RawQuery = "/"+r.bucket+request.URL.Path, "/"+r.bucket+request.URL.EscapedPath(), ""
	}
	r.proxy().ServeHTTP(w, request)
}

// clean takes headers away that the client should not send. Many programs read _ in a name as
// - , so no name has one.
func (r *handledRoute) clean(header http.Header) {
	for name := range header {
		if r.bucket != "" && strings.HasPrefix(name, "X-Amz-") || strings.Contains(name, "_") {
			delete(header, name)
		}
	}
	if !r.WebSocket {
		header.Del("Upgrade")
	}
}

// strip removes a prefix from a path, also from one that has escapes.
func strip(u *url.URL, prefix string) {
	if prefix == "" || len(u.Path) < len(prefix) || !strings.EqualFold(u.Path[:len(prefix)], prefix) {
		return
	}
	raw := u.EscapedPath()
	u.Path = "/" + strings.TrimPrefix(u.Path[len(prefix):], "/")
	u.RawPath = ""
	if len(raw) >= len(prefix) && strings.EqualFold(raw[:len(prefix)], prefix) {
		u.RawPath = "/" + strings.TrimPrefix(raw[len(prefix):], "/")
	}
}

// authorized asks whether a request may pass, and gives it headers of the answer. If it may
// not, the client gets the answer.
func (r *handledRoute) authorized(w http.ResponseWriter, original, request *http.Request) bool {
	a := r.Authorize
	question, err := http.NewRequestWithContext(request.Context(), http.MethodGet, r.asked.String(), nil)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return false
	}
	question.Host, question.Header = original.Host, request.Header.Clone()
	for name := range question.Header {
		if slices.Contains([]string{"Connection", "Upgrade", "Range", "Content-Length", "Transfer-Encoding", "Te", "Trailer"}, name) || strings.HasPrefix(name, "If-") {
			delete(question.Header, name)
		}
	}
	setForwarded(question.Header, original, r.i)
	for name, value := range map[string]string{a.URLHeader: r.i.URL() + original.URL.RequestURI(), a.MethodHeader: original.Method} {
		if name != "" {
			question.Header.Set(name, value)
		}
	}
	answer, err := r.transport.RoundTrip(question)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return false
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		for name, values := range answer.Header {
			if _, ours := r.ResponseHeaders[name]; !ours && name != "Connection" && name != "Transfer-Encoding" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
		return false
	}
	for _, name := range a.CopyHeaders {
		name = http.CanonicalHeaderKey(name)
		delete(request.Header, name)
		if values := answer.Header[name]; len(values) > 0 {
			request.Header[name] = values
		}
	}
	return true
}

// proxy passes requests on.
func (r *handledRoute) proxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: r.transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = r.upstream.Scheme, r.upstream.Host, p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			setForwarded(p.Out.Header, p.In, r.i)
			if r.bucket != "" {
				r.toBucket(p.Out)
			}
		},
		ModifyResponse: func(answer *http.Response) error {
			for name := range r.ResponseHeaders { // those of the route are there already
				answer.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status := http.StatusBadGateway
			timeout := net.Error(nil)
			switch {
			case errors.As(err, new(*http.MaxBytesError)):
				status = http.StatusRequestEntityTooLarge
			case errors.As(err, &timeout) && timeout.Timeout():
				status = http.StatusGatewayTimeout
			}
			w.WriteHeader(status)
		},
	}
}

// toBucket prepares a request for an S3 server. Who signed it signed the endpoint's host,
// without the port if it is the usual one.
func (r *handledRoute) toBucket(request *http.Request) {
	request.Host = r.upstream.Host
	if port := r.upstream.Port(); port == "80" || port == "443" {
		request.Host = r.upstream.Hostname()
	}
	request.Header.Del("Cookie")
	if r.Authorize == nil || !slices.ContainsFunc(r.Authorize.CopyHeaders, isAuthorization) {
		request.Header.Del("Authorization")
	}
}

// setForwarded says which request came from where. What the client says of it is not believed.
func setForwarded(header http.Header, original *http.Request, i *instance.Instance) {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		header.Del(name)
	}
	if client, _, err := net.SplitHostPort(original.RemoteAddr); err == nil {
		header.Set("X-Forwarded-For", client)
	}
	header.Set("X-Forwarded-Host", original.Host)
	header.Set("X-Forwarded-Proto", strings.SplitN(i.URL(), ":", 2)[0])
}
