// Package web is HTTP as libre speaks it: to registries, forges, module proxies and
// Sigstore. It waits as servers ask it to, tries again what may succeed a little
// later, decides on the address that is dialled whether a server may lead there, and
// knows which authorities sign which server's certificate.
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

// userAgent is what servers see of libre.
const userAgent = "libre"

const (
	longestDial     = 15 * time.Second
	usualAnswer     = time.Minute // for the beginning of an answer
	idleConnections = 128         // kept for the next requests: releases and apps are looked at by the dozen
)

// Options are what differs between servers.
type Options struct {
	Insecure    bool                       // take any certificate
	Answer      time.Duration              // how long a server may think before its answer begins; 0 is a minute
	Read        time.Duration              // the same for what only reads; 0 is Answer
	FirstWait   time.Duration              // after a 429 that does not say how long; doubled each time; 0 is a second
	Hint        func(*http.Request) string // what would allow more requests, "" nothing known; nil knows nothing
	CertsDirs   bool                       // use docker's and podman's certificates for each host
	Authorities *Authorities               // trusted beside the system's; nil is none
}

// Transport sends requests. It is safe for concurrent use.
type Transport struct {
	options Options

	// Now and Wait are how time passes; tests have a time of their own.
	Now  func() time.Time
	Wait func(context.Context, time.Duration) error

	isPrivate        func(net.IP) bool
	beginning, pause time.Duration // longestBeginning and longestPause, but for tests

	mu      sync.Mutex
	closed  map[string]closure         // host, or its quota
	pools   map[pool]*http.Transport   // by what their connections have in common
	certs   map[string]*hostCerts      // by host
	dialled map[string]map[string]bool // host:port → addresses that were dialled → whether they are private
}

// pool is what connections have in common that may be used for the same request.
type pool struct {
	host    string // "" of all hosts without certificates of their own
	guarded bool   // only public addresses are dialled
}

// NewTransport makes a transport; it asks nobody yet.
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

// once sends a request one time, by the connections that it may use.
func (t *Transport) once(request *http.Request) (*http.Response, error) {
	connections, err := t.connections(request)
	if err != nil {
		return nil, err
	}
	response, err := connections.RoundTrip(request)
	if err != nil {
		return nil, t.explain(request, err)
	}
	return response, nil
}

// connections finds the pool for a request, and makes it.
func (t *Transport) connections(request *http.Request) (*http.Transport, error) {
	host := request.URL.Host
	origin, led := leader(request)
	guarded := led && addressOf(origin) != addressOf(request.URL) && !t.leadsPrivately(origin)
	if guarded {
		proxy, err := http.ProxyFromEnvironment(request)
		if err != nil {
			return nil, err
		}
		if proxy != nil { // the proxy dials: only the text can be looked at
			if isPrivateName(request.URL.Hostname()) {
				return nil, &ledAstrayError{origin.Host, host, request.URL.Hostname()}
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

// WithoutURL drops the request's URL, which the errors of http.Client begin with: it
// may hold a secret, and is long.
func WithoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
