package router

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
)

// echoes accepts WebSockets, and sends the bytes that it gets: RFC 6455, section 4.2.2.
func echoes(address string, w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Upgrade") != "websocket" {
		return false
	}
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer connection.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nX-Address: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), address)
	_, _ = io.Copy(connection, buffered)
	return true
}

// dial asks for a WebSocket.
func (h *house) dial(t *testing.T, path string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	connection, err := net.Dial("tcp", h.host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: docs.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return connection, reader, response
}

// frame is a masked text frame: RFC 6455, section 5.
const frame = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"

// exchange sends a frame, and expects it back.
func exchange(connection net.Conn, reader *bufio.Reader) error {
	if _, err := io.WriteString(connection, frame); err != nil {
		return err
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != frame {
		return fmt.Errorf("got %q, %w", got, err)
	}
	return nil
}

// A room's WebSockets reach one replica. Where no route allows them, the request is a plain one.
func TestWebSocketsAreProxied(t *testing.T) {
	h := build(t, describetest.App(t, "docs"), echoes)
	of := map[string]string{}
	for round := range 2 {
		for room := range 10 {
			path := fmt.Sprintf("/collaboration/ws/?room=%d", room)
			connection, reader, response := h.dial(t, path)
			if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Fatalf("%s: %s %v", path, response.Status, response.Header)
			}
			for range 3 {
				if err := exchange(connection, reader); err != nil {
					t.Fatal(err)
				}
			}
			address := response.Header.Get("X-Address")
			if round > 0 && of[path] != address {
				t.Errorf("%s reached %s after %s", path, address, of[path])
			}
			of[path] = address
		}
	}
	for _, path := range []string{"/", "/api/x", "/collaboration/api/?room=1"} {
		if _, _, response := h.dial(t, path); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, want a plain answer", path, response.Status)
		}
	}
}

// A WebSocket ends once it was idle for as long as the route says, and not while it is used.
// A service that authorizes it gets a plain request.
func TestIdleWebSocketsEnd(t *testing.T) {
	a := describetest.App(t, "docs")
	a.Spec.Routes["/short"] = describe.Route{Service: "web", WebSocket: true, Timeout: 5, Authorize: &describe.Authorize{Service: "frontend", Path: "/auth"}}
	h := build(t, a, func(address string, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/short/slow" {
			time.Sleep(7 * time.Second)
		}
		return echoes(address, w, r)
	})
	connection, reader, response := h.dial(t, "/short")
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-Address") != addresses["web"][0] {
		t.Fatalf("%s of %s", response.Status, response.Header.Get("X-Address"))
	}
	for range 8 {
		if err := exchange(connection, reader); err != nil {
			t.Fatalf("it ended while it was used: %v", err)
		}
		time.Sleep(time.Second)
	}
	idle := time.Now()
	_ = connection.SetReadDeadline(idle.Add(time.Minute))
	if n, err := reader.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("idle, it read %d bytes, %v; want the end", n, err)
	}
	if after := time.Since(idle); after > 30*time.Second {
		t.Errorf("it ended after %s", after)
	}
	if response, _, _ := h.ask(t, http.MethodGet, "/short/slow", nil, nil); response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("an answer that is late: %s, want 504", response.Status)
	}
}
