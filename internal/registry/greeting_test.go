package registry

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/web"
)

// A host that breaks each connection is tried once, not again for each repository.
func TestHostThatFailsIsTriedOnce(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var connections atomic.Int32
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			connection.Close()
		}
	}()
	client, err := NewClient(listener.Addr().String()+"/coop", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"a", "b", "c", "d", "e", "f"} {
		tag, err := client.Tag(catalog.Ref{Repository: repository, Tag: "1-1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get(t.Context(), tag); !fault.Is(err, fault.Unreachable) {
			t.Errorf("%s: %v", repository, err)
		}
	}
	if got := connections.Load(); got > 2*web.MostAttempts { // with HTTPS and with HTTP
		t.Errorf("%d connections", got)
	}
}

// The error about a server that is not a registry says once which protocol the server uses.
func TestErrorNamesTheServersProtocol(t *testing.T) {
	for name, test := range map[string]struct {
		answer, want string
	}{
		"no HTTP":     {"SSH-2.0-OpenSSH_9.2\r\n", "malformed HTTP response"},
		"no greeting": {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "is not a registry"},
		"TLS alone":   {"\x15\x03\x03\x00\x02\x02\x28", "tls: handshake failure"},
	} {
		client, err := NewClient(testkit.Say(t, test.answer)+"/coop", Options{})
		if err != nil {
			t.Fatal(err)
		}
		tag, err := client.Tag(catalog.ParseRef("a:1-1"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Get(t.Context(), tag)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "http://") || strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
