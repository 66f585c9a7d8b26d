package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWaitsAsLongAsTheServerAsksUpToAMinute(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		header string
		waits  []time.Duration
		gives  bool // whether it gives up and says until when
	}{
		{"", []time.Duration{time.Second}, false},
		{"0", []time.Duration{0}, false},
		{"7", []time.Duration{7 * time.Second}, false},
		{"-5", []time.Duration{time.Second}, false},
		{"soon", []time.Duration{time.Second}, false},
		{"Fri, 31 Dec 1999 23:59:59 GMT", []time.Duration{0}, false},
		{"86400", nil, true},
		{"Fri, 31 Dec 2999 23:59:59 GMT", nil, true},
	} {
		limited := true
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if limited {
				limited = false
				w.Header().Set("Retry-After", test.header)
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}))
		transport := NewTransport(Options{})
		var waited []time.Duration
		transport.Now = func() time.Time { return now }
		transport.Wait = func(_ context.Context, long time.Duration) error {
			waited = append(waited, long)
			return nil
		}
		response, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		server.Close()
		if limit := (*LimitError)(nil); errors.As(err, &limit) != test.gives || !test.gives && err != nil {
			t.Errorf("Retry-After %q: %v", test.header, err)
		}
		if len(waited) != len(test.waits) || len(waited) == 1 && waited[0] != test.waits[0] {
			t.Errorf("Retry-After %q: waited %s, want %s", test.header, waited, test.waits)
		}
	}
}

// A server that refuses every request gets no more requests for a while. So the total wait does
// not grow with the number of requests.
func TestWaitsForALimitedServerOnce(t *testing.T) {
	for header, most := range map[string]time.Duration{"": time.Minute, "2": time.Minute, "50": time.Minute, "59": time.Minute, "61": 0} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		transport := NewTransport(Options{})
		now, waited := time.Now(), time.Duration(0)
		transport.Now = func() time.Time { return now.Add(waited) }
		transport.Wait = func(_ context.Context, long time.Duration) error {
			waited += long
			return nil
		}
		for range 100 {
			if response, err := (&http.Client{Transport: transport}).Get(server.URL); err == nil {
				response.Body.Close()
			}
		}
		server.Close()
		if waited > most || requests > MostAttempts {
			t.Errorf("Retry-After %q: waited %s, %d requests", header, waited, requests)
		}
	}
}
