//go:build interop

package router

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/testkit"
)

// A Caddy with the instance's Caddyfile answers as the handler does.
func TestInteropCaddyAnswersAsTheHandler(t *testing.T) {
	startRouter = startCaddy
	t.Cleanup(func() { startRouter = startHandler })
	for name, test := range map[string]func(*testing.T){
		"paths": TestPathsReachTheirServices, "no route": TestWithoutARouteItIsNotFound, "bodies": TestBodiesAreLimited, "headers": TestHeadersOfAnswers,
		"media": TestMediaIsAuthorizedAndThenAskedOfTheBucket, "no headers": TestHeadersThatTheServiceDoesNotAnswer, "refused": TestMediaIsRefused,
		"no object": TestPathsThatAreNoObject, "WebSockets": TestWebSocketsAreProxied, "idle": TestIdleWebSocketsEnd,
	} {
		t.Run(name, test)
	}
}

// startCaddy starts caddy with the instance's Caddyfile, on free ports.
func startCaddy(t *testing.T, h *house, i *instance.Instance) {
	t.Helper()
	caddyfile, err := Caddyfile(i, Options{
		Address: func(service string) string { return service + ".test" }, Replicas: func(service string) string { return service + ".replicas" },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.host = testkit.FreeAddress(t)
	health := testkit.FreeAddress(t)
	h.url = "http://" + h.host
	caddyfile = strings.Replace(caddyfile, ":8080", h.host[strings.Index(h.host, ":"):], 1)
	caddyfile = strings.Replace(caddyfile, ":8081", health[strings.Index(health, ":"):], 1)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	var hosts strings.Builder
	for name, all := range addresses {
		fmt.Fprintf(&hosts, "%s %s.test\n", all[0], name)
		for _, address := range all {
			fmt.Fprintf(&hosts, "%s %s.replicas\n", address, name)
		}
	}
	caddy := exec.Command(testkit.Caddy(t), "run", "--config", file, "--adapter", "caddyfile")
	caddy.Env = append(os.Environ(), "HOME="+t.TempDir(), "LIBRE_BUCKET_NAME=files", fmt.Sprintf("LIBRE_BUCKET_ENDPOINT=http://bucket.test:%d", h.port))
	testkit.Serve(t, h.url, testkit.WithHosts(t, caddy, hosts.String()))
	if response, err := http.Get("http://" + health + HealthPath); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("asking for its health: %+v, %v", response, err)
	}
}

// Requests of one room reach one replica, and rooms are spread over both. One replica takes
// over when the other is gone.
func TestInteropRoomsStayWithAReplica(t *testing.T) {
	startRouter = startCaddy
	t.Cleanup(func() { startRouter = startHandler })
	a := describetest.App(t, "docs")
	a.Spec.Routes["/cookie"] = describe.Route{Service: "y-provider", Sticky: &describe.Sticky{Cookie: "session"}}
	h := build(t, a, nil)
	for _, kind := range []string{"query", "cookie"} {
		of := map[string]string{}
		replicas := map[string]bool{}
		for range 3 {
			for i := range 20 {
				value := fmt.Sprintf("room %d", i)
				path, header := "/collaboration/api/get?x=1&room="+strings.ReplaceAll(value, " ", "%20"), http.Header{}
				if kind == "cookie" {
					value = fmt.Sprintf("s%d", i)
					path, header = "/cookie", http.Header{"Cookie": {"a=b; session=" + value + "; c=d"}, stickyHeader: {"from outside"}}
				}
				response, address, requests := h.ask(t, http.MethodGet, path, header, nil)
				if response.StatusCode != http.StatusOK || len(requests) != 1 {
					t.Fatalf("%s: %s", path, response.Status)
				}
				if before, known := of[value]; known && before != address {
					t.Errorf("%s %s reached %s after %s", kind, value, address, before)
				}
				of[value], replicas[address] = address, true
				if set := response.Header["Set-Cookie"]; set != nil || requests[0].header.Get(stickyHeader) != "" {
					t.Errorf("%s: the answer sets %q, and the request has %s %q", kind, set, stickyHeader, requests[0].header[stickyHeader])
				}
				if kind == "cookie" && requests[0].header.Get("Cookie") != header.Get("Cookie") {
					t.Errorf("the app got the cookies %q", requests[0].header["Cookie"])
				}
			}
		}
		if len(replicas) != 2 {
			t.Errorf("%s: all reached %v, want both replicas", kind, replicas)
		}
	}
	h.servers[addresses["y-provider"][0]].Close()
	for i := range 20 {
		response, address, _ := h.ask(t, http.MethodGet, fmt.Sprintf("/collaboration/api/?room=%d", i), nil, nil)
		if response.StatusCode != http.StatusOK || address != addresses["y-provider"][1] {
			t.Errorf("without its replica, room %d: %s of %q", i, response.Status, address)
		}
	}
}
