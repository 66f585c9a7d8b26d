package publish

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/testkit"
)

// kinds lists the registries that libre must support: with and without the referrers API,
// and with different checks. The last is built by libre's own catalogue.
var kinds = []string{"referrers", "no referrers", "libre serve", "docker-registry", "registry image"}

// startRegistry starts an empty registry of a kind and returns its host.
func startRegistry(t testing.TB, kind string) string {
	t.Helper()
	switch kind {
	case "referrers", "no referrers":
		handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(kind == "referrers"))
		return serve(t, handler)
	case "libre serve":
		return libreServe(t)
	case "docker-registry":
		return testkit.DockerRegistry(t, t.TempDir())
	case "registry image":
		return registryImage(t)
	}
	t.Fatalf("no such registry: %s", kind)
	return ""
}

func serve(t testing.TB, handler http.Handler) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// libreServe runs libre serve as a registry that accepts pushes.
func libreServe(t testing.TB) string {
	dir := t.TempDir()
	c := catalogue{dir: dir}
	host := testkit.FreeAddress(t)
	_, port, _ := net.SplitHostPort(host)
	empty := filepath.Join(dir, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"schemaVersion":2,"manifests":[]}`} {
		if err := os.WriteFile(filepath.Join(empty, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Serve(t, "http://"+host+"/v2/", c.command("serve", "--output", empty, "--writable", filepath.Join(dir, "pushed"), "--port", port))
	return host
}
