package run

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
)

// at is a listener at a port.
type at struct {
	net.Listener
	port int
}

func (l at) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.port} }

func runnerAt(t *testing.T, port int) *runner {
	t.Helper()
	i, err := instance.New(describetest.App(t, "docs"), instance.Options{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return &runner{Options: Options{Instance: i, Listener: at{port: port}}}
}

// The app's own name is answered by the app, a site's by its server, and no other.
func TestRequestsAreAnsweredByName(t *testing.T) {
	says := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("By", name) })
	}
	for _, c := range []struct {
		port     int
		host, by string
		status   int
	}{
		{8080, "127.0.0.1:8080", "app", 200},
		{8080, "localhost:8080", "app", 200},
		{8080, "oidc.localhost:8080", "oidc", 200},
		{8080, "oidc.localhost:8081", "", http.StatusMisdirectedRequest},
		{8080, "oidc.localhost", "", http.StatusMisdirectedRequest},
		{8080, "other.localhost:8080", "", http.StatusMisdirectedRequest},
		{8080, "127.0.0.1", "", http.StatusMisdirectedRequest},
		{8080, "evil.example:8080", "", http.StatusMisdirectedRequest},
		{8080, "", "", http.StatusMisdirectedRequest},
		{80, "127.0.0.1", "app", 200},
		{80, "oidc.localhost", "oidc", 200},
	} {
		r := runnerAt(t, c.port)
		r.sites = map[string]http.Handler{"oidc.localhost": says("oidc")}
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host = c.host
		answer := httptest.NewRecorder()
		r.bySite(r.known(says("app"))).ServeHTTP(answer, request)
		if answer.Code != c.status || answer.Header().Get("By") != c.by {
			t.Errorf("%q at port %d: %d by %q, want %d by %q", c.host, c.port, answer.Code, answer.Header().Get("By"), c.status, c.by)
		}
	}
}

// Containers reach servers and sites at one address, so no two may have a port.
func TestServersHaveOtherPortsThanTheApp(t *testing.T) {
	for port, want := range map[int][]int{8080: {7000, 7001, 7002}, 7000: {7001, 7002, 7003}, 7001: {7000, 7002, 7003}, 6999: {7000, 7001, 7002}} {
		r := runnerAt(t, port)
		for n := range want {
			if got := r.port(n); got != want[n] {
				t.Errorf("server %d of an app at port %d has the port %d, want %d", n, port, got, want[n])
			}
		}
	}
}

// A need without a server is refused before anything is started.
func TestNeedsWithoutAServerAreRefused(t *testing.T) {
	for want, need := range map[string]describe.Need{
		"the need sfu of kind livekit cannot be started here: there are servers for bucket, mysql, oidc, postgres, redis, smtp":                   {Kind: "livekit"},
		"the need sfu of kind llm cannot be started here: there are servers for bucket, mysql, oidc, postgres, redis, smtp; leave out --with sfu": {Kind: "llm", Optional: true},
	} {
		r := &runner{Options: Options{Instance: &instance.Instance{Needs: map[string]describe.Need{"sfu": need}}}}
		if err := r.chooseServers(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
