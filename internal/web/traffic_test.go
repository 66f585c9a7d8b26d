package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A registry's first answers and a body that is sent again count too: they were on the wire.
func TestTrafficIsCounted(t *testing.T) {
	refused := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if !refused {
			refused = true
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, strings.Repeat("a", 300))
	}))
	defer server.Close()
	var traffic Traffic
	transport := NewTransport(Options{Traffic: &traffic})
	request, err := http.NewRequest(http.MethodPut, server.URL, strings.NewReader(strings.Repeat("b", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || len(body) != 300 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	if traffic.Sent() != 2000 || traffic.Received() != 300 {
		t.Errorf("sent %d, received %d", traffic.Sent(), traffic.Received())
	}
}
