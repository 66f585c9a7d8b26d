package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestIsPrivate(t *testing.T) {
	for _, private := range []string{
		"127.0.0.1", "127.255.0.3", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "0.1.2.3",
		"100.64.0.1", "100.127.255.254", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.0.8",
		"::1", "::", "fe80::1", "fd00:ec2::254", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
		"64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "::10.0.0.1",
	} {
		if !IsPrivate(net.ParseIP(private)) {
			t.Errorf("%s is taken for public", private)
		}
	}
	for _, public := range []string{"8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "203.0.113.7"} {
		if IsPrivate(net.ParseIP(public)) {
			t.Errorf("%s is taken for private", public)
		}
	}
	if !IsPrivate(nil) {
		t.Error("no address is taken for a public one")
	}
}

func TestIsPrivateName(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "LOCALHOST.": true, "a.localhost": true, "127.0.0.1": true, "127.1": true, "0x7f000001": true, "2130706433": true,
		"0177.0.0.1": true, "2852039166": true, "::1": true, "fe80::1%eth0": true, "::ffff:10.0.0.1": true,
		"registry.example": false, "8.8.8.8": false, "3132109884": false, "1.2.3.4.5": false, "localhost.example": false, "0x": false,
	} {
		if got := isPrivateName(name); got != want {
			t.Errorf("%s: private %v, want %v", name, got, want)
		}
	}
}

// at serves on an address of the loopback network. This machine has all of these addresses.
func at(t *testing.T, address string, handler http.HandlerFunc) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	place, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// named returns a transport that takes 127.0.0.2 for a public address.
func named() *Transport {
	transport := NewTransport(Options{})
	transport.isPrivate = func(ip net.IP) bool { return ip.String() != "127.0.0.2" }
	return transport
}

func TestPublicServerLeadsToNoPrivateAddress(t *testing.T) {
	reached := 0
	inside := at(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) { reached++ })
	elsewhere := at(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) { reached++ })
	name := "localhost:" + inside.Port() // a name that resolves to a private address
	for _, test := range []struct {
		from, to string
		followed bool
	}{
		{"127.0.0.2", inside.Host, false},
		{"127.0.0.2", name, false},
		{"127.0.0.2", elsewhere.Host, true},
		{"127.0.0.1", elsewhere.Host, true},
		{"127.0.0.1", inside.Host, true},
		{"127.0.0.3", name, true},
	} {
		registry := at(t, test.from, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/redirect" {
				http.Redirect(w, r, "http://"+test.to+"/cdn", http.StatusTemporaryRedirect)
			}
		})
		transport := named()
		client := &http.Client{Transport: transport}
		check := func(how string, err error) {
			t.Helper()
			if (err == nil) != test.followed || (reached > 0) != test.followed {
				t.Errorf("%s from %s to %s: %v, reached %d times", how, test.from, test.to, err, reached)
			}
			if err != nil && !strings.Contains(err.Error(), "redirects to") {
				t.Errorf("%v", err)
			}
			reached = 0
		}
		// An open connection must not be used, either.
		if response, err := client.Get("http://" + test.to); err == nil {
			response.Body.Close()
		}
		reached = 0
		response, err := client.Get(registry.String() + "/redirect")
		if err == nil {
			response.Body.Close()
		}
		check("redirect", err)
		request, err := http.NewRequestWithContext(LedBy(context.Background(), registry), http.MethodPut, "http://"+test.to+"/upload", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response, err = client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		check("upload", err)
	}
}

func TestPublicOnlyConnectsToPublicAddressesAndToTheChosenServer(t *testing.T) {
	reached := 0
	serve := func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		reached++
	}
	inside, forge, public := at(t, "127.0.0.1", serve), at(t, "127.0.0.3", serve), at(t, "127.0.0.2", serve)
	for _, test := range []struct {
		place string
		want  string // "" if the request reaches it
	}{
		{public.String(), ""},
		{forge.String(), ""},
		{inside.String(), inside.Host + " is at the private address 127.0.0.1; download it yourself, and give the file"},
		{"http://localhost:" + inside.Port(), "localhost:" + inside.Port() + " is at the private address 127.0.0.1; download it yourself, and give the file"},
		{public.String() + "?to=" + inside.String(), public.Host + ", a public server, redirects to the private address " + inside.Host + ": not followed"},
		{forge.String() + "?to=" + inside.String(), forge.Host + ", a public server, redirects to the private address " + inside.Host + ": not followed"},
		{forge.String() + "?to=" + public.String(), ""},
	} {
		request, err := http.NewRequestWithContext(PublicOnly(context.Background(), forge), http.MethodGet, test.place, nil)
		if err != nil {
			t.Fatal(err)
		}
		reached = 0
		got := ""
		response, err := (&http.Client{Transport: named()}).Do(request)
		if err == nil {
			response.Body.Close()
		} else {
			got = WithoutURL(err).Error()
		}
		if got != test.want || (reached > 0) != (test.want == "") {
			t.Errorf("%s: %q, reached %d times, want %q", test.place, got, reached, test.want)
		}
	}
}
