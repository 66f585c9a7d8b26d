package testkit

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// bridge is the network interface that docker makes.
const bridge = "docker0"

// Docker starts docker's daemon until the test ends. It comes from a newer Debian release,
// uses this machine's runc, and has its own storage. The test's environment makes `docker`
// find it. imageStore turns on containerd's image store: without it, the daemon exports no
// OCI layout. https://docs.docker.com/engine/storage/containerd/
func Docker(t testing.TB, imageStore bool) {
	t.Helper()
	RequireRoot(t)
	Require(t, "runc", "ip")
	bin := debianPrograms(t, "docker-trixie", "trixie", "docker.io docker-cli docker-buildx containerd", linkDocker)
	dir, err := os.MkdirTemp("/tmp", "docker") // the paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]any{
		"config.json": map[string]any{"cliPluginsExtraDirs": []string{bin}},
		"daemon.json": map[string]any{"features": map[string]bool{"containerd-snapshotter": imageStore}},
	} {
		text, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/sbin:/sbin:"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_HOST", "unix://"+dir+"/docker.sock")
	daemon := exec.Command("dockerd", "--config-file", dir+"/daemon.json", "--data-root", dir+"/data", "--exec-root", dir+"/run", "--pidfile", dir+"/pid",
		"--host", os.Getenv("DOCKER_HOST"), "--iptables=false", "--ip6tables=false", "--userland-proxy=false")
	_, noBridge := net.InterfaceByName(bridge)
	p, err := Start(daemon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		<-p.Exited
		if noBridge != nil { // the daemon leaves it
			if out, err := exec.Command("ip", "link", "delete", bridge).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	err = Eventually(func() error {
		if err := p.Running(); err != nil {
			return err
		}
		return exec.Command("docker", "version").Run()
	})
	if err != nil {
		t.Fatalf("docker's daemon: %v\n%s", err, p.Log)
	}
}

// linkDocker links the programs. dockerd looks for other programs beside itself. A runc of
// another release would need that release's libraries.
func linkDocker(bin, root string) error {
	work, err := os.MkdirTemp(filepath.Dir(bin), ".bin-")
	if err != nil {
		return err
	}
	for _, program := range []string{"sbin/dockerd", "bin/docker", "bin/containerd", "bin/containerd-shim-runc-v2", "libexec/docker/cli-plugins/docker-buildx"} {
		if err := os.Symlink(filepath.Join(root, "usr", program), filepath.Join(work, filepath.Base(program))); err != nil {
			return err
		}
	}
	return os.Rename(work, bin)
}
