package web

import (
	"net"
	"net/netip"
	"strings"
)

// IsLoopback tells whether a host, with or without a port, names this machine's loopback
// interface. Names below localhost do not count: browsers do not ask DNS for them, but
// others do.
func IsLoopback(host string) bool {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && address.Unmap().IsLoopback()
}
