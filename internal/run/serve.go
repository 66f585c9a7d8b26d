package run

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
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

// site is HOST:PORT of a server that browsers and containers reach by the same address.
// Browsers look for names that end in .localhost on this machine, at the port of the app:
// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
func (r *runner) site(need string) string {
	return net.JoinHostPort(r.hostName(need)+".localhost", strconv.Itoa(PortOf(r.Listener)))
}

// openSites answers containers that ask for sites, before the app's services start. It
// returns the names of the sites.
func (r *runner) openSites() ([]string, error) {
	var names []string
	for n, s := range r.servers {
		if s.Site != nil {
			names = append(names, r.hostName(r.outside[n])+".localhost")
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	listener, err := net.Listen("unix", r.home.path("s", sitesSocket))
	if err != nil {
		return nil, err
	}
	r.sites = newServer(r.bySite(http.NotFoundHandler()))
	go func() { _ = r.sites.Serve(listener) }()
	return names, nil
}

// bySite answers by the site that a request names, and all else by another handler.
func (r *runner) bySite(other http.Handler) http.Handler {
	sites := map[string]http.Handler{}
	for n, s := range r.servers {
		if s.Site != nil {
			sites[r.site(r.outside[n])] = s.Site
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if site := sites[withPort(request.Host)]; site != nil {
			site.ServeHTTP(w, request)
			return
		}
		other.ServeHTTP(w, request)
	})
}

// withPort is HOST:PORT of a Host header, which leaves out the usual port.
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

// known answers for the address alone, so that no page of another name reaches the app by
// naming this machine: https://en.wikipedia.org/wiki/DNS_rebinding
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
