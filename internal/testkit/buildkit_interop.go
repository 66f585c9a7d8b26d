//go:build interop

package testkit

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// buildKitVersion is that of go.mod.
const buildKitVersion = "v0.34.2"

// plugins has the network plugins of Debian's containernetworking-plugins.
const plugins = "/usr/lib/cni"

// loopbackOnly is a network configuration for build steps.
const loopbackOnly = `{"cniVersion": "1.0.0", "name": "steps", "plugins": [{"type": "loopback"}]}`

// BuildKitDaemon is BuildKit's daemon.
type BuildKitDaemon struct {
	Host string // its address: unix:///tmp/buildkit1/socket

	dir     string
	args    []string
	process *Process
}

// BuildKit starts BuildKit's daemon until the test ends. It is built from its Go module, uses
// this machine's runc, and has its own storage. Steps have their own loopback, and no other network. arguments are added to its
// command line, and may change that.
func BuildKit(t testing.TB, arguments ...string) *BuildKitDaemon {
	t.Helper()
	RequireRoot(t)
	Require(t, "runc", plugins+"/loopback")
	dir, err := os.MkdirTemp("/tmp", "buildkit") // the paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("[worker.oci]\nnetworkMode = %q\ncniConfigPath = %q\ncniBinaryPath = %q\n", "cni", dir+"/net.conflist", plugins)
	for name, text := range map[string]string{"net.conflist": loopbackOnly, "buildkitd.toml": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &BuildKitDaemon{Host: "unix://" + dir + "/socket", dir: dir}
	d.args = append([]string{"--config", dir + "/buildkitd.toml", "--root", dir + "/data", "--addr", d.Host, "--containerd-worker=false"}, arguments...)
	t.Cleanup(func() {
		_ = d.process.Cmd.Process.Signal(syscall.SIGTERM)
		<-d.process.Exited
		unmountBelow(t, dir) // a killed daemon leaves mounts and containers
		if err := Eventually(func() error { return os.RemoveAll(dir) }); err != nil {
			t.Error(err)
		}
	})
	d.Start(t)
	return d
}

// Start starts the daemon, and waits until it listens.
func (d *BuildKitDaemon) Start(t testing.TB) {
	t.Helper()
	daemon := exec.Command(buildKitProgram(t), d.args...)
	daemon.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "TMPDIR="+d.dir) // a killed daemon leaves folders there
	var err error
	if d.process, err = Start(daemon); err != nil {
		t.Fatal(err)
	}
	err = Eventually(func() error {
		if err := d.process.Running(); err != nil {
			return err
		}
		c, err := net.Dial("unix", d.dir+"/socket")
		if err == nil {
			c.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("BuildKit's daemon: %v\n%s", err, d.process.Log)
	}
}

// Kill kills the daemon, as a machine without memory does.
func (d *BuildKitDaemon) Kill() {
	_ = d.process.Cmd.Process.Kill()
	<-d.process.Exited
}

// buildKitProgram compiles the daemon in the folder of its module: go install refuses modules that
// replace or exclude others.
func buildKitProgram(t testing.TB) string {
	t.Helper()
	const module = "github.com/moby/buildkit"
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path, err := goTool(filepath.Join(cache, "libre-tools"), module+"/cmd/buildkitd", buildKitVersion, func(work string) *exec.Cmd {
		build := exec.Command("go", "build", "-mod=readonly", "-o", work+"/buildkitd",
			"-ldflags=-X "+module+"/version.Version="+buildKitVersion, "./cmd/buildkitd")
		build.Dir = moduleFolder(t, module, buildKitVersion)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		return build
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// moduleFolder downloads a Go module and returns its folder.
func moduleFolder(t testing.TB, module, version string) string {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", module+"@"+version)
	download.Dir = t.TempDir() // not in this module
	out, err := download.Output()
	var found struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("downloading %s: %v\n%s", module, err, out)
	}
	return found.Dir
}
