package objects

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rclone/gofakes3"
)

// FuzzRequest asks the bucket by the S3 protocol. Whatever keys are named, files are in its
// folder only.
func FuzzRequest(f *testing.F) {
	above := f.TempDir()
	store, err := Open(filepath.Join(above, "bucket"), "files", true)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	server := gofakes3.New(store).Server()
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			return
		}
		server.ServeHTTP(httptest.NewRecorder(), r)
		if files, err := os.ReadDir(above); err != nil || len(files) != 1 {
			t.Errorf("%v, %v", files, err)
		}
	})
}
