package testkit

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// bridge is the network interface that docker creates.
const bridge = "docker0"

// DockerDaemon is docker's daemon.
type DockerDaemon struct {
	dir     string
	process *Process
}

// Docker starts docker's daemon until the test ends. The daemon comes from a newer Debian
// release, uses this machine's runc, and has its own storage. `docker` finds it through the
// test's environment. imageStore turns on containerd's image store, without which the daemon
// exports no OCI layout. https://docs.docker.com/engine/storage/containerd/
func Docker(t testing.TB, imageStore bool) *DockerDaemon {
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
	d := &DockerDaemon{dir: dir}
	unlock, err := lock("/tmp/libre-test-docker.lock") // daemons share the bridge
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	_, noBridge := net.InterfaceByName(bridge)
	t.Cleanup(func() {
		_ = d.process.Cmd.Process.Signal(syscall.SIGTERM)
		<-d.process.Exited
		if noBridge != nil { // the daemon does not remove it
			if out, err := exec.Command("ip", "link", "delete", bridge).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
		unmountBelow(t, dir) // a killed daemon leaves mounts and containers
		if err := Eventually(func() error { return os.RemoveAll(dir) }); err != nil {
			t.Error(err)
		}
	})
	d.Start(t)
	return d
}

// Start starts the daemon, and waits until it answers.
func (d *DockerDaemon) Start(t testing.TB) {
	t.Helper()
	daemon := exec.Command("dockerd", "--config-file", d.dir+"/daemon.json", "--data-root", d.dir+"/data", "--exec-root", d.dir+"/run", "--pidfile", d.dir+"/pid",
		"--host", os.Getenv("DOCKER_HOST"), "--iptables=false", "--ip6tables=false", "--userland-proxy=false")
	var err error
	if d.process, err = Start(daemon); err != nil {
		t.Fatal(err)
	}
	err = Eventually(func() error {
		if err := d.process.Running(); err != nil {
			return err
		}
		return exec.Command("docker", "version").Run()
	})
	if err != nil {
		t.Fatalf("docker's daemon: %v\n%s", err, d.process.Log)
	}
}

// Kill kills the daemon, as a machine without memory does.
func (d *DockerDaemon) Kill() {
	_ = d.process.Cmd.Process.Kill()
	<-d.process.Exited
}

// unmountBelow unmounts everything that is mounted in a folder, the newest first.
func unmountBelow(t testing.TB, dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	for _, line := range slices.Backward(strings.Split(string(mounts), "\n")) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			if err := unix.Unmount(fields[1], unix.MNT_DETACH); err != nil {
				t.Errorf("unmounting %s: %v", fields[1], err)
			}
		}
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
