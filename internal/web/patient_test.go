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
		gives  bool // up, and says until when
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
