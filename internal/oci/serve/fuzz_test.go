package serve

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest answers any request with a status, and writes nothing outside its folder.
func FuzzRequest(f *testing.F) {
	s, err := New("", f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	s.Limit = 1 << 20
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusInsufficientStorage {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
