package router

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe/describetest"
)

// FuzzRequest sends any request to the routes of an app: it reaches services of the app only.
func FuzzRequest(f *testing.F) {
	var dialled []string
	h, err := Handler(resolve(f, describetest.App(f, "docs")), Behind{
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return nil, errors.New("nobody is there")
		},
		Part: func(_, part string) string {
			return map[string]string{"name": "files", "endpoint": "http://bucket.test:9000"}[part]
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			return
		}
		dialled = nil
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(t.Context()))
		for _, address := range dialled {
			name, _, _ := net.SplitHostPort(address)
			if addresses[strings.TrimSuffix(name, ".test")] == nil {
				t.Errorf("reached %s", address)
			}
		}
	})
}
