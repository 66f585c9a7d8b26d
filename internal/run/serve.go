package run

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/router"
)

// sitesSocket is the socket of the sites, for containers. No server has a capital letter in
// its name.
const sitesSocket = "Sites"

// site returns the host name of a server that browsers and containers reach by the same
// address. Browsers resolve names that end in .localhost to this machine, at the port of
// the app:
// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
func (r *runner) site(host string) string { return host + ".localhost" }

// siteURL is the address of a site, without a slash at the end.
func (r *runner) siteURL(host string) string {
	return "http://" + net.JoinHostPort(r.site(host), strconv.Itoa(PortOf(r.Listener)))
}

// reached are the parts of needs that have the address of a server which browsers reach too.
var reached = map[string]string{"bucket": "endpoint", "oidc": "tokenEndpoint"}

// findSites finds the servers that browsers reach, by the names of their sites: those outside
// of the engine, and those from images.
func (r *runner) findSites() error {
	r.sites = map[string]http.Handler{}
	for n, s := range r.servers {
		if s.Site != nil {
			r.sites[r.site(r.hostName(r.outside[n]))] = s.Site
		}
	}
	for name, need := range r.Instance.Needs {
		part, is := reached[need.Kind]
		if !is || slices.Contains(r.outside, name) {
			continue
		}
		to, err := url.Parse(r.parts[name][part])
		if err != nil {
			return err
		}
		r.sites[r.site(r.hostName(name))] = r.passOn(to.Host)
	}
	return nil
}

// passOn sends requests unchanged to a container, HOST:PORT.
func (r *runner) passOn(address string) http.Handler {
	return &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: r.dial, IdleConnTimeout: time.Minute, DisableCompression: true}, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", address, p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
		},
	}
}

// openSites answers containers that ask for sites, before the app's services start.
func (r *runner) openSites() error {
	if len(r.sites) == 0 {
		return nil
	}
	listener, err := net.Listen("unix", r.home.path("s", sitesSocket))
	if err != nil {
		return err
	}
	r.inner = newServer(r.bySite(http.NotFoundHandler()))
	go func() { _ = r.inner.Serve(listener) }()
	return r.engine.Provide(PortOf(r.Listener), sitesSocket)
}

// bySite passes a request to the site that it names, or else to another handler.
func (r *runner) bySite(other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		host, port, _ := net.SplitHostPort(withPort(request.Host))
		if site := r.sites[host]; site != nil && port == strconv.Itoa(PortOf(r.Listener)) {
			site.ServeHTTP(w, request)
			return
		}
		other.ServeHTTP(w, request)
	})
}

// withPort returns the HOST:PORT of a Host header, which leaves out the usual port.
func withPort(host string) string {
	if !strings.Contains(host, ":") {
		return host + ":80"
	}
	return host
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
}

// serve answers requests at the one port until ctx ends.
func (r *runner) serve(ctx context.Context) error {
	handler, err := router.Handler(r.Instance, router.Behind{
		Dial: r.dial, Part: func(need, part string) string { return r.parts[need][part] },
	})
	if err != nil {
		return err
	}
	s := newServer(r.bySite(r.known(handler)))
	go func() { _ = s.Serve(r.Listener) }()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return nil
}

// known refuses requests for other host names, so that a web page of another name cannot
// reach the app by naming this machine:
// https://en.wikipedia.org/wiki/DNS_rebinding
func (r *runner) known(handler http.Handler) http.Handler {
	own := strings.TrimPrefix(r.Instance.URL(), "http://")
	names := []string{own, strings.Replace(own, instance.Loopback, "localhost", 1)}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !slices.Contains(names, withPort(request.Host)) {
			http.Error(w, "this is "+own, http.StatusMisdirectedRequest)
			return
		}
		handler.ServeHTTP(w, request)
	})
}
