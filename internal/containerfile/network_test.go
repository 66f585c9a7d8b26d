package containerfile

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// ADD fetches in the engine, which is in the same network as the steps.
func TestAddReachesNoLoopback(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		for _, host := range []string{"127.0.0.1", "localhost", "10.0.2.2", "0"} {
			files, got := p.build("FROM base\nADD http://"+host+":"+c.port+"/ /got\n", nil, nil)
			if got.Err == "" {
				t.Errorf("%s: %+v", host, files["/got"])
			}
		}
		c.untouched(t)
	})
}

// Steps get the configured proxy, and the image does not contain it.
func TestProxyForBuilds(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		files, got := p.build("FROM base\nRUN echo $https_proxy $HTTP_PROXY > /out\n", nil, func(o *order) { o.Proxy = "http://proxy.example:3128" }, "https_proxy=http://other.example")
		if want := "http://proxy.example:3128 http://proxy.example:3128\n"; got.Err != "" || files["/out"].content != want {
			t.Errorf("%s %q", got.Err, files["/out"].content)
		}
		if got.Err != "" {
			return
		}
		_, cf := built(t, Result{Layout: got.Layout})
		if said, _ := json.Marshal(cf); strings.Contains(string(said), "proxy.example") {
			t.Errorf("the image says it: %s", said)
		}
	})
}

// Steps and ADD can fetch, also by host name if the machine's resolver is on its loopback.
func TestStepsReachTheNetwork(t *testing.T) {
	address := machineAddress(t)
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "fetched ", r.Host) }))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	nameServer(t, "127.0.0.53:53", net.ParseIP(address))
	eachUser(t, func(t *testing.T, p *place) {
		p.resolv = p.write("resolv.conf", "nameserver 127.0.0.53\nsearch example\n", 0o644)
		files, got := p.build("FROM base\nADD http://packages.example:"+port+"/ /added\nRUN busybox wget -q -O /stepped http://packages.example:"+port+"/\n", nil, nil)
		want := "fetched packages.example:" + port
		if got.Err != "" || files["/added"].content != want || files["/stepped"].content != want || len(got.Warnings) > 0 {
			t.Errorf("%s %q %q %q", got.Err, files["/added"].content, files["/stepped"].content, got.Warnings)
		}
	})
}

// machineAddress returns an address of this machine that steps can reach, not loopback.
func machineAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	testkit.Needed(t, false, "a network")
	return ""
}

// nameServer answers every query with one address.
// https://www.rfc-editor.org/rfc/rfc1035#section-4
func nameServer(t *testing.T, at string, address net.IP) {
	t.Helper()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for {
			question := make([]byte, 512)
			n, from, err := c.ReadFrom(question)
			if err != nil {
				return
			}
			end := 12
			for end < n && question[end] != 0 {
				end += int(question[end]) + 1
			}
			end += 5 // the root, type and class
			if end > n {
				continue
			}
			answer := append([]byte{}, question[:end]...)
			answer[2], answer[3] = 0x81, 0x80
			copy(answer[6:12], []byte{0, 0, 0, 0, 0, 0})
			if question[end-3] == 1 { // A
				answer[7] = 1
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
				answer = append(answer, address.To4()...)
			}
			c.WriteTo(answer, from)
		}
	}()
}

// If no network is possible, a build continues without it, and a warning says why.
func TestMissingNetworkIsWarnedAbout(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		p.write("no-tun/slirp4netns", "#!/bin/sh\necho no tun here >&2\nexit 1\n", 0o755)
		files, got := p.build("FROM base\nRUN attack loopback="+c.port+" > /out\n", nil, nil, "PATH="+p.dir+"/no-tun:"+os.Getenv("PATH"))
		if got.Err != "" || files["/out"].content != "" {
			t.Errorf("%s %q", got.Err, files["/out"].content)
		}
		if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "its steps have no network: slirp4netns: no tun here") {
			t.Errorf("warnings %q", got.Warnings)
		}
		c.untouched(t)
	})
}
