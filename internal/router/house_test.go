package router

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/testkit"
)

// Each service and the replicas of one have an address on the loopback network. The port is
// one for all, since replicas have the same.
var addresses = map[string][]string{
	"web": {"127.0.0.11"}, "frontend": {"127.0.0.12"}, "y-provider": {"127.0.0.13", "127.0.0.14"}, "bucket": {"127.0.0.15"},
}

// startRouter starts what is tested: a handler, or a Caddy. Both answer alike, so the same tests
// are for both.
var startRouter = startHandler

func startHandler(t *testing.T, h *house, i *instance.Instance) {
	t.Helper()
	handler, err := Handler(i, Behind{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			name, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(addresses[strings.TrimSuffix(name, ".test")][0], port))
		},
		Part: func(_, part string) string {
			return map[string]string{"name": "files", "endpoint": fmt.Sprintf("http://bucket.test:%d", h.port)}[part]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	h.url, h.host = server.URL, strings.TrimPrefix(server.URL, "http://")
}

// house is what the router leads to, and the router.
type house struct {
	url  string // of the router
	host string // HOST:PORT of the router
	port int    // of all that is behind

	servers map[string]*httptest.Server // by address

	mu       sync.Mutex
	requests []seen
}

// seen is a request as a server behind the router got it.
type seen struct {
	address, method, host, uri, body string
	header                           http.Header
}

// build starts servers at all addresses, and the router before them. answer answers for
// them; an answer of 200 with the address comes after it.
func build(t *testing.T, a *describe.Application, answer func(address string, w http.ResponseWriter, r *http.Request) bool) *house {
	t.Helper()
	h := &house{port: freePort(t), servers: map[string]*httptest.Server{}}
	for _, all := range addresses {
		for _, address := range all {
			h.serve(t, address, answer)
		}
	}
	for name, component := range a.Spec.Components {
		for port := range component.Ports {
			component.Ports[port] = describe.Port{Port: h.port, Protocol: "tcp"}
		}
		a.Spec.Components[name] = component
	}
	startRouter(t, h, resolve(t, a))
	return h
}

// freePort finds a port that is free at all of the addresses.
func freePort(t *testing.T) int {
	for {
		_, text, _ := net.SplitHostPort(testkit.FreeAddress(t))
		free := true
		for _, all := range addresses {
			for _, address := range all {
				listener, err := net.Listen("tcp", net.JoinHostPort(address, text))
				if free = free && err == nil; err == nil {
					listener.Close()
				}
			}
		}
		if port, err := strconv.Atoi(text); free && err == nil {
			return port
		}
	}
}

func (h *house) serve(t *testing.T, address string, answer func(string, http.ResponseWriter, *http.Request) bool) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(h.port)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.requests = append(h.requests, seen{address, r.Method, r.Host, r.RequestURI, string(body), r.Header.Clone()})
		h.mu.Unlock()
		if answer == nil || !answer(address, w, r) {
			fmt.Fprint(w, address)
		}
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	h.servers[address] = server
	t.Cleanup(server.Close)
}

// ask sends a request, and returns the answer, its body, and what was seen behind.
func (h *house) ask(t *testing.T, method, path string, header http.Header, body io.Reader) (*http.Response, string, []seen) {
	t.Helper()
	h.mu.Lock()
	h.requests = nil
	h.mu.Unlock()
	request, err := http.NewRequest(method, h.url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = path // as it is written
	request.Host = "docs.example.org"
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return response, string(text), h.requests
}
