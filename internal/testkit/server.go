package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// FreeAddress returns a loopback address, HOST:PORT, on which nothing listens. A server of
// another program begins to listen there later, so the port is none of those that Linux gives to
// connections, by default 32768 to 60999.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatal("no port between 10000 and 32000 is free")
	return ""
}

// Serve runs a server until the test ends, and waits until it answers at a URL.
func Serve(t testing.TB, url string, server *exec.Cmd) {
	t.Helper()
	p, err := Start(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-p.Exited
	})
	err = Eventually(func() error {
		response, err := http.Get(url)
		if err == nil {
			return response.Body.Close()
		}
		if ended := p.Running(); ended != nil {
			return ended
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Say listens until the test ends, and answers the first bytes of each connection with the
// given text. It returns its address.
func Say(t testing.TB, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Read(make([]byte, 4096))
			_, _ = connection.Write([]byte(answer))
			connection.Close()
		}
	}()
	return listener.Addr().String()
}

// DockerRegistry starts Debian's registry, which has no referrers API and does not delete.
// storage is the folder for its files. It returns HOST:PORT.
func DockerRegistry(t testing.TB, storage string) string {
	t.Helper()
	return dockerRegistry(t, storage, false)
}

// DeletingRegistry is like DockerRegistry, but the registry deletes.
func DeletingRegistry(t testing.TB, storage string) string {
	t.Helper()
	return dockerRegistry(t, storage, true)
}

func dockerRegistry(t testing.TB, storage string, deletes bool) string {
	t.Helper()
	Require(t, "docker-registry")
	host := FreeAddress(t)
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: %t}}\nhttp: {addr: %q}\n", storage, deletes, host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	Serve(t, "http://"+host+"/v2/", exec.Command("docker-registry", "serve", config))
	return host
}
