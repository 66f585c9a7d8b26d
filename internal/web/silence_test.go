package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that does not answer, or stops in the middle of an answer, is not waited for again
// and again.
func TestWaitsForASilentServerOnce(t *testing.T) {
	t.Parallel()
	const patience = 400 * time.Millisecond
	ended := make(chan struct{})
	for name, answer := range map[string]http.HandlerFunc{
		"no answer": func(http.ResponseWriter, *http.Request) { <-ended },
		"headers alone": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-ended
		},
		"drop by drop": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(patience / 10)
			}
		},
	} {
		var requests atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		transport := NewTransport(Options{Read: patience})
		transport.beginning = 3 * patience
		started := time.Now()
		for range 20 {
			_, err := (&http.Client{Transport: transport}).Get(server.URL)
			if !errors.As(err, new(*silenceError)) || !strings.Contains(err.Error(), " does not send a complete answer within ") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if took := time.Since(started); took > 20*patience || requests.Load() != mostSilences {
			t.Errorf("%s: %s, %d requests", name, took, requests.Load())
		}
	}
	close(ended)
}

// The rest of a long answer may take any time, as long as it does not pause.
func TestEndsAnAnswerThatPauses(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, mostAhead+10))
		for range 10 {
			time.Sleep(30 * time.Millisecond)
			_, _ = w.Write(make([]byte, 10))
			w.(http.Flusher).Flush()
		}
		if r.URL.Path == "/pauses" {
			<-ended
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	transport := NewTransport(Options{})
	transport.pause = 2 * time.Second
	for path, pauses := range map[string]bool{"/": false, "/pauses": true} {
		response, err := (&http.Client{Transport: transport}).Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if read != mostAhead+110 || pauses != (err != nil) {
			t.Errorf("%s: %d bytes, %v", path, read, err)
		}
	}
}
