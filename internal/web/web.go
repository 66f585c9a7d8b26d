// Package web sends HTTP requests to registries, forges, module proxies and Sigstore. It
// respects rate limits, repeats requests that may succeed later, refuses redirects to
// private addresses by the address that is dialled, and knows which certificate
// authorities to trust for each host.
package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// userAgent is the User-Agent of all requests.
const userAgent = "libre"

const (
	longestDial     = 15 * time.Second
	usualAnswer     = time.Minute // until an answer begins
	idleConnections = 128         // kept for the next requests: dozens of releases and apps are read at once
)

// Options configure a Transport.
type Options struct {
	Insecure    bool                       // accept any certificate
	Answer      time.Duration              // timeout until an answer begins; 0: a minute
	Read        time.Duration              // the same for requests that only read; 0: Answer
	FirstWait   time.Duration              // after a 429 without a time to wait; doubled each time; 0: a second
	Hint        func(*http.Request) string // how to raise the rate limit, "" if unknown; may be nil
	CertsDirs   bool                       // use docker's and podman's certificates for each host
	Authorities *Authorities               // trusted in addition to the system's; nil: none
	Traffic     *Traffic                   // counts what is sent and received; may be nil
}

// Transport sends requests. It is safe for concurrent use.
type Transport struct {
	options Options

	// Now and Wait are the clock; tests replace them.
	Now  func() time.Time
	Wait func(context.Context, time.Duration) error

	isPrivate        func(net.IP) bool
	beginning, pause time.Duration // longestBeginning and longestPause, except in tests

	mu      sync.Mutex
	closed  map[string]closure         // by quota or host
	pools   map[pool]*http.Transport   // by properties of their connections
	certs   map[string]*hostCerts      // by host
	dialled map[string]map[string]bool // host:port → dialled address → whether it is private
}

// pool identifies connections that may serve the same request.
type pool struct {
	host    string // "" for all hosts without their own certificates
	guarded bool   // dials public addresses only
}

// NewTransport makes a transport. It sends no request.
func NewTransport(options Options) *Transport {
	return &Transport{
		options: options, Now: time.Now, Wait: wait, isPrivate: IsPrivate,
		beginning: longestBeginning, pause: longestPause,
		closed: map[string]closure{}, pools: map[pool]*http.Transport{},
		certs: map[string]*hostCerts{}, dialled: map[string]map[string]bool{},
	}
}

func wait(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once sends a request once, over a connection from its pool.
func (t *Transport) once(request *http.Request) (*http.Response, error) {
	connections, err := t.connections(request)
	if err != nil {
		return nil, err
	}
	response, err := connections.RoundTrip(t.options.Traffic.request(request))
	if err != nil {
		return nil, t.explain(request, err)
	}
	t.options.Traffic.response(response)
	return response, nil
}

// connections returns the pool for a request, and makes it if needed.
func (t *Transport) connections(request *http.Request) (*http.Transport, error) {
	host := request.URL.Host
	origin, led := leader(request)
	guarded := led && addressOf(origin) != addressOf(request.URL) && !t.leadsPrivately(origin) || isPublicOnly(request)
	if guarded {
		proxy, err := http.ProxyFromEnvironment(request)
		if err != nil {
			return nil, err
		}
		if proxy != nil { // the proxy dials: only the host's text can be checked
			if isPrivateName(request.URL.Hostname()) {
				return nil, refusePrivate(request, request.URL.Hostname())
			}
			guarded = false
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	own, err := t.hostCerts(host)
	if err != nil {
		return nil, err
	}
	key := pool{guarded: guarded}
	if own != nil {
		key.host = host
	}
	if t.pools[key] == nil {
		t.pools[key] = t.newPool(key, own)
	}
	return t.pools[key], nil
}

func (t *Transport) newPool(key pool, own *hostCerts) *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = t.options.Answer
	if base.ResponseHeaderTimeout == 0 {
		base.ResponseHeaderTimeout = usualAnswer
	}
	base.MaxIdleConns, base.MaxIdleConnsPerHost = idleConnections, idleConnections
	base.DialContext = t.dial(key.guarded)
	if key.guarded {
		base.Proxy = nil
	}
	base.TLSClientConfig = t.tlsConfig(own)
	return base
}

// WithoutURL removes the request's URL from an error of http.Client. The URL is long and
// may contain a secret.
func WithoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
