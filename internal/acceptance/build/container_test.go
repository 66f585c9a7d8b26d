package build

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/testkit"
)

// buildah returns the command line of buildah with the tests' own storage. vfs copies every
// layer, but works on every disk and leaves no mounts.
func buildah(args ...string) []string {
	dir := filepath.Join(libre.Dir, "containers")
	return append([]string{
		"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
	}, args...)
}

// rootfs unpacks an image with buildah, layer over layer as engines do. It returns the
// folder, which is removed after the test.
func rootfs(t *testing.T, c catalogue, reference string) string {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.Require(t, "buildah")
	// buildah turns the path into a name, and names are in lower case: it gets no absolute path.
	name := strings.TrimSpace(libre.ToolIn(t, c.dir, "buildah", buildah("from", "--quiet", "oci:dist:"+reference)...))
	t.Cleanup(func() {
		if _, stderr, err := testkit.Output(exec.Command("buildah", buildah("rm", name)...)); err != nil {
			t.Errorf("removing %s: %v\n%s", name, err, stderr)
		}
	})
	return strings.TrimSpace(libre.Tool(t, "buildah", buildah("mount", name)...))
}

// changes are the differences of a container from its image's configuration.
type changes struct {
	args        []string // replaces entrypoint and command
	command     []string // replaces the command
	env         []string // NAME=VALUE, added to the image's
	hostNetwork bool     // instead of a network with a loopback device only
	readOnly    bool     // the root file system cannot be written
	user        string   // UID:GID, instead of the image's
	network     string   // path of the network namespace to be in
	mounts      []string // folders that are empty and can be written
}

// A container is an image that runs with runc.
type container struct {
	*testkit.Process
	id     string
	root   string // root file system, on the host
	config *v1.ConfigFile
	pid    int // first process, on the host
}

// runContainer starts an image with user, environment, folder, entrypoint and command of
// its configuration, and no capabilities, as Kubernetes' level "restricted" requires. The
// container is removed after the test.
func runContainer(t *testing.T, c catalogue, reference string, with changes) *container {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	k := &container{
		id:     fmt.Sprintf("libre-e2e-%d-%d", os.Getpid(), time.Now().UnixNano()),
		root:   rootfs(t, c, reference),
		config: configOf(t, openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH)),
	}
	bundle := t.TempDir()
	k.writeSpec(t, bundle, with)
	pidFile := filepath.Join(bundle, "pid")
	var err error
	k.Process, err = testkit.Start(exec.Command("runc", runc("run", "--bundle", bundle, "--pid-file", pidFile, k.id)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("runc", runc("delete", "--force", k.id)...).Run()
		select {
		case <-k.Exited:
		case <-time.After(testkit.Patience):
			t.Errorf("%s: runc does not end", reference)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", reference, k.Log)
		}
	})
	err = testkit.Eventually(func() error {
		text, err := os.ReadFile(pidFile)
		if err == nil {
			k.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			if ended := k.Running(); ended != nil {
				return ended
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("starting %s: %v", reference, err)
	}
	return k
}

func runc(args ...string) []string {
	return append([]string{"--root", filepath.Join(libre.Dir, "runc")}, args...)
}

// writeSpec writes runc's default configuration and changes it to the image's.
func (k *container) writeSpec(t *testing.T, bundle string, with changes) {
	t.Helper()
	libre.Tool(t, "runc", "spec", "--bundle", bundle)
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	image := k.config.Config
	args := append(append([]string{}, image.Entrypoint...), image.Cmd...)
	if with.command != nil {
		args = append(append([]string{}, image.Entrypoint...), with.command...)
	}
	if with.args != nil {
		args = with.args
	}
	cwd := image.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	uid, gid := numericUser(t, cmp.Or(with.user, image.User))
	spec["process"] = map[string]any{
		"user": map[string]any{"uid": uid, "gid": gid}, "args": args, "cwd": cwd,
		"env":          append(append([]string{}, image.Env...), with.env...),
		"capabilities": map[string]any{}, "noNewPrivileges": true,
	}
	spec["root"] = map[string]any{"path": k.root, "readonly": with.readOnly}
	for _, folder := range with.mounts {
		spec["mounts"] = append(spec["mounts"].([]any), map[string]any{"destination": folder, "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=0777"}})
	}
	if with.network != "" {
		for _, one := range spec["linux"].(map[string]any)["namespaces"].([]any) {
			if namespace := one.(map[string]any); namespace["type"] == "network" {
				namespace["path"] = with.network
			}
		}
	}
	if with.hostNetwork {
		linux := spec["linux"].(map[string]any)
		var namespaces []any
		for _, one := range linux["namespaces"].([]any) {
			if one.(map[string]any)["type"] != "network" {
				namespaces = append(namespaces, one)
			}
		}
		linux["namespaces"] = namespaces
	}
	if text, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// numericUser parses "UID:GID", the only form that does not depend on the image's files.
func numericUser(t *testing.T, user string) (uid, gid int) {
	t.Helper()
	first, second, _ := strings.Cut(user, ":")
	uid, uidErr := strconv.Atoi(first)
	gid, gidErr := strconv.Atoi(second)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("the image's user is %q, want numbers", user)
	}
	return uid, gid
}

// wait waits for a container that ends by itself, with exit code 0, and returns its output.
func (k *container) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-k.Exited:
	case <-time.After(testkit.Patience):
		t.Fatalf("the container does not end\n%s", k.Log)
	}
	if k.Err != nil {
		t.Fatalf("the container: %v\n%s", k.Err, k.Log)
	}
	return k.Log.String()
}

// stop stops the first process, which must end with exit code 0.
func (k *container) stop(t *testing.T) {
	t.Helper()
	signal := k.config.Config.StopSignal
	if signal == "" {
		signal = "SIGTERM"
	}
	libre.Tool(t, "runc", runc("kill", k.id, signal)...)
	k.wait(t)
}

// exec runs a program in the container and returns its output.
func (k *container) exec(t *testing.T, args ...string) string {
	t.Helper()
	return libre.Tool(t, "runc", runc(append([]string{"exec", k.id}, args...)...)...)
}

// status returns one line of /proc/PID/status.
func (k *container) status(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("no %s in:\n%s", name, text)
	return ""
}

// listening waits until a server on the host's network with PORT=0 prints its address, and
// returns the URL.
func (k *container) listening(t *testing.T) string {
	t.Helper()
	url := ""
	err := testkit.Eventually(func() error {
		address, found := k.Log.After("listening on ")
		if !found {
			if err := k.Running(); err != nil {
				return err
			}
			return fmt.Errorf("no address in its output:\n%s", k.Log)
		}
		_, port, err := net.SplitHostPort(address)
		url = "http://127.0.0.1:" + port
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// client returns an HTTP client in the container's own network.
func (k *container) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			type result struct {
				conn net.Conn
				err  error
			}
			dialled := make(chan result)
			go func() {
				// Never unlocked: the thread stays in that network and ends with the
				// goroutine. The socket stays in that network, too, in every thread.
				runtime.LockOSThread()
				conn, err := dialIn(ctx, fmt.Sprintf("/proc/%d/ns/net", k.pid), network, address)
				dialled <- result{conn, err}
			}()
			r := <-dialled
			return r.conn, r.err
		},
	}}
}

// dialIn moves the calling thread into a network namespace and dials there. address is an
// IP address, because look-ups use other threads.
func dialIn(ctx context.Context, namespace, network, address string) (net.Conn, error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("entering %s: %w", namespace, err)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
