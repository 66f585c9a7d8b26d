package web

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server may answer before it has read all of a request, and close the connection at
// once. The answer arrives whether the body is in memory or a file, and with TLS or without.
func TestAnswerDuringAnUploadIsRead(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 8<<20)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	memory := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	for name, test := range map[string]struct {
		scheme string
		open   func() (io.ReadCloser, error)
	}{
		"memory": {"http", memory},
		"file":   {"http", func() (io.ReadCloser, error) { return os.Open(file) }},
		"TLS":    {"https", memory},
	} {
		t.Run(name, func(t *testing.T) {
			transport := NewTransport(Options{Insecure: true})
			place := test.scheme + "://" + earlyServer(t, test.scheme)
			for range 100 {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, place, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				request.ContentLength, request.GetBody = int64(len(content)), test.open
				if request.Body, err = test.open(); err != nil {
					t.Fatal(err)
				}
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				said, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || string(said) != "too large" {
					t.Fatalf("answer %d %q, %v", response.StatusCode, said, err)
				}
				response.Body.Close()
			}
		})
	}
}

// A connection that breaks without an answer is told at once.
func TestBrokenUploadFailsAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go serveEach(listener, func(net.Conn) {})
	begun := time.Now()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+listener.Addr().String(),
		bytes.NewReader(make([]byte, 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := NewTransport(Options{}).RoundTrip(request)
	if err == nil {
		response.Body.Close()
		t.Fatal("no error")
	}
	if !Temporary(err) {
		t.Errorf("%v is not temporary", err)
	}
	if long := time.Since(begun); long >= longestAfterwards {
		t.Errorf("%v after %v", err, long)
	}
}

// earlyServer refuses bodies without reading them, and returns its address.
func earlyServer(t *testing.T, scheme string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if scheme == "https" {
		known := httptest.NewTLSServer(nil)
		known.Close()
		listener = tls.NewListener(listener, known.TLS)
	}
	go serveEach(listener, func(connection net.Conn) {
		_, _ = io.WriteString(connection, "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large")
	})
	return listener.Addr().String()
}

// serveEach reads the head of each request, answers, and closes the connection with the rest
// unread.
func serveEach(listener net.Listener, answer func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		read := bufio.NewReaderSize(connection, 16<<10)
		for line := " "; strings.TrimRight(line, "\r\n") != "" && err == nil; {
			line, err = read.ReadString('\n')
		}
		answer(connection)
		connection.Close()
	}
}
