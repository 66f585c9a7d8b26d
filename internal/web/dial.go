package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/fault"
)

// Servers name other URLs: in redirects, as token servers, for uploads. A server at a public
// address must not make libre connect to an address that only this machine or its network can
// reach. A server at a private address may name any URL: it could connect there itself. libre
// checks the address that it dials. If a proxy dials, which the user chose, libre checks the
// text of the URL.

type leaderKey struct{}

// LedBy marks requests with the server that named their URL. Redirects need no mark.
func LedBy(ctx context.Context, server *url.URL) context.Context {
	return context.WithValue(ctx, leaderKey{}, server)
}

type publicKey struct{}

// PublicOnly marks requests for a URL that a stranger may have written, and requests that it
// leads to. They connect only to public addresses, and to one server that the user chose, if
// any.
func PublicOnly(ctx context.Context, chosen *url.URL) context.Context {
	return context.WithValue(ctx, publicKey{}, chosen)
}

// isPublicOnly reports whether a request may connect to public addresses only.
func isPublicOnly(request *http.Request) bool {
	chosen, marked := request.Context().Value(publicKey{}).(*url.URL)
	return marked && (chosen == nil || addressOf(chosen) != addressOf(request.URL))
}

// leader returns the server that named a request's URL: the first server of the chain, which
// the user chose. It returns false if the user chose the URL.
func leader(request *http.Request) (*url.URL, bool) {
	if server, ok := request.Context().Value(leaderKey{}).(*url.URL); ok {
		return server, true
	}
	first := request
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return first.URL, first != request
}

// addressOf returns a URL's host and port.
func addressOf(place *url.URL) string {
	port := place.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[place.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(place.Hostname()), port)
}

// leadsPrivately reports whether a server was reached at private addresses only. Behind a
// proxy, only the server's name is known.
func (t *Transport) leadsPrivately(server *url.URL) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	addresses := map[string]bool{}
	for _, scheme := range []string{"https", "http"} { // scheme may have changed since, when it was detected
		at := *server
		at.Scheme = scheme
		for address, private := range t.dialled[addressOf(&at)] {
			addresses[address] = private
		}
	}
	for _, private := range addresses {
		if !private {
			return false
		}
	}
	return len(addresses) > 0 || isPrivateName(server.Hostname())
}

// dial makes connections, and records their addresses.
func (t *Transport) dial(guarded bool) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: longestDial, KeepAlive: 30 * time.Second}
	if guarded {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			if err == nil && t.isPrivate(parseIP(host)) {
				err = &privateAddressError{host}
			}
			return err
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if host, _, err := net.SplitHostPort(connection.RemoteAddr().String()); err == nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			address = strings.ToLower(address)
			if t.dialled[address] == nil {
				t.dialled[address] = map[string]bool{}
			}
			t.dialled[address][host] = t.isPrivate(parseIP(host))
		}
		return newEarlyAnswers(connection.(*net.TCPConn)), nil
	}
}

// privateAddressError means that a connection to a private address was refused.
type privateAddressError struct{ address string }

func (e *privateAddressError) Error() string { return e.address + " is a private address" }

// ledAstrayError means that a public server named a private address.
type ledAstrayError struct{ leader, host, address string }

func (e *ledAstrayError) Error() string {
	where := "the private address " + e.host
	if !strings.Contains(e.host, e.address) {
		where = fmt.Sprintf("%s, which is at the private address %s", e.host, e.address)
	}
	return fmt.Sprintf("%s, a public server, redirects to %s: not followed", e.leader, where)
}

// ledAstray names both servers of a connection that was refused.
func ledAstray(request *http.Request, err error) error {
	var private *privateAddressError
	if !errors.As(err, &private) {
		return err
	}
	return refusePrivate(request, private.address)
}

// refusePrivate returns the error of a request to a private address.
func refusePrivate(request *http.Request, address string) error {
	if server, led := leader(request); led {
		return &ledAstrayError{server.Host, request.URL.Host, address}
	}
	return &fault.Fault{Err: fmt.Errorf("%s is at the private address %s", request.URL.Host, address), Fix: "download it yourself, and give the file"}
}

// parseIP parses a dialled address, without its zone.
func parseIP(host string) net.IP {
	host, _, _ = strings.Cut(host, "%")
	return net.ParseIP(host)
}

// special are networks that are not the public Internet, besides those that net.IP knows.
// https://www.iana.org/assignments/iana-ipv4-special-registry
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network: 0.0.0.0 is this machine
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by a provider's customers
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local translation to IPv4
	netip.MustParsePrefix("fec0::/10"),       // site-local, deprecated
	netip.MustParsePrefix("100::/64"),        // discarded
	netip.MustParsePrefix("2001:2::/48"),     // benchmarks
	netip.MustParsePrefix("::ffff:0:0:0/96"), // translated
}

// translated are prefixes of IPv6 addresses that contain an IPv4 address, from byte at on.
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // https://www.rfc-editor.org/rfc/rfc6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, deprecated
}

// IsPrivate reports whether only this machine or its network can reach an address: loopback,
// private, link-local, shared by a provider's customers, multicast, unspecified, reserved. An
// invalid address counts as private.
func IsPrivate(ip net.IP) bool {
	address, ok := netip.AddrFromSlice(ip)
	if !ok {
		return true
	}
	address = address.Unmap()
	if address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() {
		return true
	}
	for _, network := range special {
		if network.Contains(address) {
			return true
		}
	}
	for _, inside := range translated {
		if inside.prefix.Contains(address) {
			bytes := address.As16()
			return IsPrivate(net.IP(bytes[inside.at : inside.at+4]))
		}
	}
	return false
}

// isPrivateName reports, from its text, whether a host is private: a private address, in any
// form that some resolver accepts, or a name of this machine.
func isPrivateName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if ip := parseIP(host); ip != nil {
		return IsPrivate(ip)
	}
	if ip := parseOldIPv4(host); ip != nil {
		return IsPrivate(ip)
	}
	return false
}

// parseOldIPv4 parses the forms of inet_aton: 127.1, 2130706433, 0x7f.0.0.1.
func parseOldIPv4(host string) net.IP {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return nil
	}
	var address uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		value, err := strconv.ParseUint(part, 0, bits)
		if err != nil {
			return nil
		}
		address = address<<bits | value
	}
	return net.IPv4(byte(address>>24), byte(address>>16), byte(address>>8), byte(address))
}
