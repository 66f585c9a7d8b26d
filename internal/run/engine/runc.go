package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// cgroups is the control group of all that runc runs here.
const cgroups = "libre-run"

// grace is the time that a container has to end after its signal.
const grace = 10 * time.Second

// runc runs containers by https://github.com/opencontainers/runc, as root.
type runc struct {
	o       Options
	path    string
	version string
	hub     *hub
	sockets []io.Closer

	names, provided []string // of containers, and of servers outside

	mu         sync.Mutex
	containers map[string]*started
	roots      map[string]string // unpacked images, by digest
}

func checkRunc() error {
	if os.Geteuid() != 0 {
		return &fault.Fault{Err: errors.New("only root can use runc"), Fix: "apt-get install podman"}
	}
	if _, err := lookPath("runc"); err != nil {
		return &fault.Fault{Err: err, Fix: "apt-get install runc"}
	}
	return nil
}

var runcVersion = lazyregexp.New(`^runc version (\S+)`)

func openRunc(ctx context.Context, o Options) (Engine, error) {
	r := &runc{o: o, containers: map[string]*started{}, roots: map[string]string{}}
	var err error
	if r.path, err = lookPath("runc"); err != nil {
		return nil, err
	}
	out, err := process.Command(ctx, r.path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("runc --version: %w", err)
	}
	if found := runcVersion().FindStringSubmatch(text.Line(string(out))); found != nil {
		r.version = found[1]
	}
	if err := r.clean(); err != nil {
		return nil, err
	}
	if err := private.Folder(o.Dir); err != nil {
		return nil, err
	}
	r.hub, err = openHub()
	return r, err
}

func (r *runc) Reach(context.Context, string) error {
	return errors.New("runc cannot fetch images; --engine podman can")
}

func (r *runc) Join(_ context.Context, containers, provided []string) error {
	r.names, r.provided = containers, provided
	return os.WriteFile(r.hosts(), r.hostsFile(), 0o644)
}

func (r *runc) String() string { return strings.TrimSpace("runc " + r.version) }

func (r *runc) hosts() string { return filepath.Join(r.o.Dir, "hosts") }

// address is a container's in the hub.
func (r *runc) address(name string) int { return slices.Index(r.names, name) + gateway + 1 }

func (r *runc) hostsFile() []byte {
	text := []byte("127.0.0.1 localhost\n")
	for _, name := range r.provided {
		text = fmt.Appendf(text, "%s %s\n", hubAddress(gateway), name)
	}
	for _, name := range r.names {
		text = fmt.Appendf(text, "%s %s\n", hubAddress(r.address(name)), name)
	}
	return text
}

// started is a container of runc.
type started struct {
	id   string
	done chan struct{}
	err  error
}

func (s *started) Done() <-chan struct{} { return s.done }
func (s *started) Err() error            { return s.err }

func (r *runc) Start(ctx context.Context, c Container) (Process, error) {
	bundle, err := r.bundle(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &started{id: c.Name, done: make(chan struct{})}
	cmd := r.command("run", "--bundle", bundle, s.id)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C does not reach it
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.Output, c.Output, time.Second
	if c.Input != nil {
		cmd.SysProcAttr, cmd.Stdin = nil, c.Input // its terminal is that of libre's process group
	}
	if err := r.hub.run(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	r.mu.Lock()
	r.containers[c.Name] = s
	r.mu.Unlock()
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// command is runc in the hub.
func (r *runc) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.path, append([]string{"--root", filepath.Join(r.o.Dir, "runc")}, args...)...)
	cmd.Env = process.Environment()
	return cmd
}

// bundle writes the OCI bundle of a container for runc.
func (r *runc) bundle(ctx context.Context, c Container) (dir string, err error) {
	_, config, err := c.Image.manifest()
	if err != nil {
		return "", err
	}
	root, err := r.root(ctx, c.Image)
	if err != nil {
		return "", err
	}
	network, err := r.hub.network(r.address(c.Name))
	if err != nil {
		return "", fmt.Errorf("making a network for %s: %w", c.Name, err)
	}
	spec, err := c.spec(root, network, r.hosts(), config.Config, func(m Mount) (string, error) { return r.volume(m, root, c, config.Config.User) })
	if err != nil {
		return "", err
	}
	spec.Linux.CgroupsPath = "/" + cgroups + "/" + r.group() + "-" + c.Name
	content, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(r.o.Dir, "bundles", c.Name)
	if err := private.Folder(dir); err != nil {
		return "", err
	}
	return dir, private.Replace(filepath.Join(dir, "config.json"), content)
}

// root is the unpacked image. Containers share it, since none can write to it.
func (r *runc) root(ctx context.Context, image Image) (string, error) {
	if root, known := r.roots[image.Digest]; known {
		return root, nil
	}
	_, hex, _ := strings.Cut(image.Digest, ":")
	root := filepath.Join(r.o.Dir, "roots", hex)
	if err := private.Folder(filepath.Dir(root)); err != nil {
		return "", err
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	if err := image.unpack(ctx, root); err != nil {
		return "", err
	}
	r.roots[image.Digest] = root
	return root, nil
}

// volume is the folder of a volume. A new one belongs to the container's user.
func (r *runc) volume(m Mount, root string, c Container, imageUser string) (string, error) {
	if m.Volume == "" {
		return m.File, nil
	}
	dir := filepath.Join(r.o.Data, m.Volume)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	name := c.User
	if name == "" {
		name = imageUser
	}
	if name == "" {
		name = "0"
	}
	user, err := findUser(root, name)
	if err != nil {
		return "", err
	}
	return dir, os.Chown(dir, int(user.UID), int(user.GID))
}

func (r *runc) Exec(ctx context.Context, container string, command []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(append([]string{"exec", container}, command...)...)
	capture := &process.Capture{Most: 4 << 10, End: true}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = capture, capture, time.Second
	if err := r.hub.run(cmd); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, text.Short(capture.String(), 200))
	}
	return nil
}

func (r *runc) Dial(ctx context.Context, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return r.hub.dial(ctx, net.JoinHostPort(hubAddress(r.address(name)), port))
}

func (r *runc) Provide(port int, socket string) error {
	listener, err := r.hub.listen(port)
	if err != nil {
		return err
	}
	r.sockets = append(r.sockets, listener)
	go relay(listener, func() (net.Conn, error) { return net.Dial("unix", filepath.Join(r.o.Sockets, socket)) })
	return nil
}

// Close asks all containers to end, all at once, and then ends the hub.
func (r *runc) Close() error {
	var ending sync.WaitGroup
	r.mu.Lock()
	for _, s := range r.containers {
		ending.Go(func() { r.end(s) })
	}
	r.mu.Unlock()
	ending.Wait()
	for _, listener := range r.sockets {
		listener.Close()
	}
	r.hub.close()
	return r.clean()
}

func (r *runc) end(s *started) {
	select {
	case <-s.done:
		return
	default:
	}
	ended := time.After(grace)
	kill := r.command("kill", s.id, "TERM")
	if err := r.hub.run(kill); err == nil {
		go func() { _ = kill.Wait() }() // it ends with the hub
	}
	select {
	case <-s.done:
	case <-ended:
	}
}

// group begins the names of control groups, which are the machine's: another run of an app with
// this name has another folder.
func (r *runc) group() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(r.o.Dir)))[:8] }

// clean removes what containers leave. Their processes, networks and mounts are gone with
// their hub.
func (r *runc) clean() error {
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		left, _ := filepath.Glob(pattern + cgroups + "/" + r.group() + "-*")
		for _, dir := range left {
			_ = os.Remove(dir)
		}
		parents, _ := filepath.Glob(pattern + cgroups)
		for _, dir := range parents {
			_ = os.Remove(dir) // others may run
		}
	}
	return os.RemoveAll(r.o.Dir)
}

// Remove has nothing to do: volumes are folders in Options.Data, of whoever opened the engine.
func (r *runc) Remove() error { return nil }
