package publishtest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// kinds are the registries that there are to get along with: with and without
// the referrers API, and what they check differs too.
var kinds = []string{"referrers", "no referrers", "libre serve", "docker-registry"}

// startRegistry starts an empty registry of a kind and gives its host.
func startRegistry(t testing.TB, kind string) string {
	t.Helper()
	switch kind {
	case "referrers", "no referrers":
		handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(kind == "referrers"))
		return serve(t, handler)
	case "libre serve":
		return libreServe(t)
	case "docker-registry":
		return dockerRegistry(t)
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

// libreServe runs the program itself as a registry that takes pushes.
func libreServe(t testing.TB) string {
	dir := t.TempDir()
	c := catalogue{dir: dir}
	host := freeAddress(t)
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
	startServer(t, host, c.command("serve", "--output", empty, "--writable", filepath.Join(dir, "pushed"), "--port", port))
	return host
}

// dockerRegistry starts Debian's registry, which lacks the referrers API.
func dockerRegistry(t testing.TB) string {
	requireTools(t, "docker-registry")
	host := freeAddress(t)
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", t.TempDir(), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("docker-registry", "serve", config)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	startServer(t, host, server)
	return host
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// startServer runs a registry until the test ends, and waits until it answers.
func startServer(t testing.TB, host string, server *exec.Cmd) {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = output, output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended
		output.Close()
	})
	for {
		response, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			response.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(output.Name())
			t.Fatalf("%s ended: %v\n%s", server.Path, err, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
