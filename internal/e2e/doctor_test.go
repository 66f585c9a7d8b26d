package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/testkit"
)

// Where repositories have to be created first, doctor tries one of the catalogue's.
func TestDoctorTriesARepositoryThatExists(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, apps(app("one", `package = pkgs.writeText "one" "1";`), app("two", `package = pkgs.writeText "two" "2";`)))
	for exists, want := range map[string]string{
		"one-default": "you may push", "one-debug": "you may push", "two-default": "you may push",
		"other": "create the repository",
	} {
		inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" || strings.HasPrefix(r.URL.Path, "/v2/apps/"+exists+"/") {
				inner.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`)
		}))
		t.Cleanup(server.Close)
		stdout, stderr, _ := testkit.Output(c.command("doctor", "--to", strings.TrimPrefix(server.URL, "http://")+"/apps"))
		if !strings.Contains(string(stdout), want) {
			t.Errorf("%s: expected %q in\n%s%s", exists, want, stdout, stderr)
		}
	}
}
