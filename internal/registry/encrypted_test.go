package registry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// An attacker in a private network answers instead of the registry, with plain HTTP, and
// asks for the password.
func TestNoPasswordGoesByPlainHTTP(t *testing.T) {
	home := homeless(t)
	var mu sync.Mutex
	var seen []string
	middle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.Host+" "+r.Header.Get("Authorization"))
		mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer middle.Close()
	allToTheMiddle := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, middle.Listener.Addr().String())
	}}
	for _, host := range []string{"10.0.0.5:5000", "172.20.1.1", "192.168.1.10:80", "registry.local", "registry.local:5000", "app.localhost:5000", "registry.example:80"} {
		writeAuths(t, filepath.Join(home, ".docker/config.json"), login(host, "publisher", "p"))
		seen = nil
		repository, err := name.NewRepository(host + "/coop/app")
		if err != nil {
			t.Fatal(err)
		}
		get := func(transport http.RoundTripper) error {
			_, err := remote.Get(repository.Tag("1"), remote.WithAuthFromKeychain(NewKeychain(nil)), remote.WithTransport(transport))
			return err
		}
		if err := get(&greeter{inner: &realms{inner: &encrypted{allToTheMiddle}}}); err == nil {
			t.Errorf("%s: no error", host)
		} else if repository.Scheme() == "http" && !strings.Contains(err.Error(), "plain HTTP") {
			t.Errorf("%s: %v", host, err)
		}
		if len(seen) > 0 {
			t.Errorf("%s: sent %q", host, seen)
		}
	}
	// Without the guard the password is sent: the test would fail.
	seen = nil
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login("10.0.0.5:5000", "publisher", "p"))
	repository, _ := name.NewRepository("10.0.0.5:5000/coop/app")
	_, _ = remote.Get(repository.Tag("1"), remote.WithAuthFromKeychain(NewKeychain(nil)), remote.WithTransport(allToTheMiddle))
	if !strings.Contains(strings.Join(seen, "\n"), "Basic ") {
		t.Errorf("the middle saw %q", seen)
	}
}

func TestLoopbackUsesPlainHTTP(t *testing.T) {
	inner := roundTripper(func(r *http.Request) (*http.Response, error) { return &http.Response{Request: r}, nil })
	for host, want := range map[string]bool{
		"localhost:5000": true, "127.0.0.1:5000": true, "127.9.9.9": true, "[::1]:5000": true, "LOCALHOST": true,
		"localhost.example:5000": false, "127.0.0.1.example": false, "x.localhost": false, "10.0.0.1:5000": false, "[fd00::1]:5000": false,
		"[::ffff:127.0.0.1]:5000": true, "[::ffff:7f00:1]": true, "[::ffff:10.0.0.1]:5000": false, "[::]:5000": false, "0.0.0.0:5000": false,
		"localhost.:5000": false, "127.1:5000": false, "2130706433": false, "0x7f000001": false, "[fe80::1%25lo]": false, "[::127.0.0.1]": false,
		"localhost.localdomain": false, "ip6-localhost": false, "128.0.0.1": false, "user@10.0.0.1": false, "localhost@10.0.0.1:80": false,
	} {
		request, err := http.NewRequest(http.MethodGet, "http://"+host+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&encrypted{inner}).RoundTrip(request); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
