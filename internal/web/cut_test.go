package web

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A refusal that is cut off, or never ends, is a refusal all the same: nothing is sent again.
func TestRefusalsThatAreCutOff(t *testing.T) {
	for name, rest := range map[string]string{
		"shorter than it says": "Content-Length: 100\r\n\r\ntoo large",
		"without last chunk":   "Transfer-Encoding: chunked\r\n\r\n9\r\ntoo large\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			var answers atomic.Int64
			go serveEach(listener, func(connection net.Conn) {
				answers.Add(1)
				_, _ = io.WriteString(connection, "HTTP/1.1 413 Request Entity Too Large\r\n"+rest)
			})
			checkTooLarge(t, NewTransport(Options{}), "http://"+listener.Addr().String())
			if answers.Load() != 1 {
				t.Errorf("sent %d times", answers.Load())
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		over := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "too large")
			w.(http.Flusher).Flush()
			<-over
		}))
		t.Cleanup(func() { close(over); server.Close() })
		transport := NewTransport(Options{})
		transport.beginning = 50 * time.Millisecond
		checkTooLarge(t, transport, server.URL)
	})
}

func checkTooLarge(t *testing.T, transport *Transport, place string) {
	t.Helper()
	response, err := transport.RoundTrip(put(t, place))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || string(said) != "too large" {
		t.Errorf("%d %q, %v", response.StatusCode, said, err)
	}
}

func put(t *testing.T, place string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, place, strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// A server ends a request over HTTP/2: a read is repeated, and a write may be.
func TestStreamsThatAreReset(t *testing.T) {
	resets := 2
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || resets > 0 {
			resets--
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := NewTransport(Options{Insecure: true})
	response, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, err := io.ReadAll(response.Body); err != nil || string(said) != "HTTP/2.0" {
		t.Errorf("%q, %v", said, err)
	}
	if response, err := transport.RoundTrip(put(t, server.URL)); err == nil || !Temporary(err) {
		t.Errorf("%v, %v, want a temporary error", response, err)
	}
}

// What is copied comes from a host that does not answer. The host that it goes to answers.
func TestSilenceOfAnotherHost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(server.Close)
	silence := &silenceError{"elsewhere.example", time.Minute}
	for name, open := range map[string]func() (io.ReadCloser, error){
		"at the beginning": func() (io.ReadCloser, error) { return nil, &net.OpError{Op: "read", Err: silence} },
		"in the middle":    func() (io.ReadCloser, error) { return io.NopCloser(&failing{strings.NewReader("cont"), silence}), nil },
	} {
		t.Run(name, func(t *testing.T) {
			transport := NewTransport(Options{})
			request := put(t, server.URL)
			request.GetBody = open
			if response, err := transport.RoundTrip(request); !errors.Is(err, silence) {
				t.Fatalf("%v, %v", response, err)
			}
			response, err := transport.RoundTrip(put(t, server.URL))
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			response.Body.Close()
		})
	}
}

// failing reads what there is, and then fails.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(into []byte) (int, error) {
	n, err := f.Reader.Read(into)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// A token server repeats the request that it refuses. The refresh token in it is not printed.
func TestRefreshTokensAreRemovedFromRefusals(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(form)
		_, _ = io.WriteString(w, " se/cret")
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: NewTransport(Options{})}
	response, err := client.PostForm(server.URL, url.Values{"refresh_token": {"se/cret"}, "service": {"it"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, err := io.ReadAll(response.Body); err != nil || string(said) != "refresh_token=…&service=it …" {
		t.Errorf("%q, %v", said, err)
	}
}
