package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// label marks objects that a run has made, with the instance's name.
const label = "sh.libre.run"

// clientVariables lists the variables that podman and docker read, in addition to those
// that all programs get.
var clientVariables = []string{"CONTAINERS_*", "CONTAINER_HOST", "CONTAINER_CONNECTION", "REGISTRY_AUTH_FILE", "STORAGE_DRIVER", "STORAGE_OPTS", "DOCKER_*", "_CONTAINERS_*"}

// client runs containers by podman or docker, in a network of their own. A container more, the
// gate, connects them with libre.
type client struct {
	o                   Options
	name                string // podman or docker
	version             string
	gate                string   // folder of its sockets
	provided            []string // PORT=SOCKET
	containers, outside []string // names of containers, and of servers outside
	first               netip.Addr

	mu        sync.Mutex
	opened    bool
	processes []*started
	relays    []io.Closer
	loaded    map[string]string // names of images, by digest
}

func checkClient(ctx context.Context, name string) error {
	_, err := ClientVersion(ctx, name)
	return err
}

// ClientVersion returns the version of podman, or of docker's daemon.
func ClientVersion(ctx context.Context, name string) (string, error) {
	if _, err := exec.LookPath(name); err != nil {
		return "", &fault.Fault{Err: fmt.Errorf("%s is not installed", name), Fix: "install it, or give another --engine"}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	format := map[string]string{"podman": "{{.Client.Version}}", "docker": "{{.Server.Version}}"}[name]
	out, err := (&client{name: name}).do(ctx, nil, "version", "--format", format)
	if err != nil {
		return "", fmt.Errorf("%s does not work: %w", name, err)
	}
	return strings.TrimSpace(out), nil
}

func openClient(ctx context.Context, name string, o Options) (Engine, error) {
	version, err := ClientVersion(ctx, name)
	if err != nil {
		return nil, err
	}
	c := &client{o: o, name: name, version: version, gate: filepath.Join(o.Sockets, "gate"), loaded: map[string]string{}}
	c.clean(ctx)
	return c, errors.Join(private.Folder(o.Dir), private.Folder(c.gate))
}

func (c *client) Reach(ctx context.Context, image string) error {
	if _, err := c.do(ctx, nil, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	_, err := c.do(ctx, nil, "pull", "--quiet", image)
	return err
}

func (c *client) Join(ctx context.Context, containers, provided []string) error {
	c.containers, c.outside = containers, provided
	if _, err := c.do(ctx, nil, "network", "create", "--label", label+"="+c.o.Name, c.object("")); err != nil {
		return fmt.Errorf("making a network: %w", err)
	}
	return c.findAddresses(ctx)
}

// findAddresses finds the network's addresses for podman, which has names in networks only
// with a program of its own. docker always has them.
func (c *client) findAddresses(ctx context.Context) error {
	if c.name != "podman" {
		return nil
	}
	out, err := c.do(ctx, nil, "network", "inspect", "--format", "{{range .Subnets}}{{.Subnet}} {{end}}", c.object(""))
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(out) {
		if subnet, err := netip.ParsePrefix(word); err == nil && subnet.Addr().Is4() {
			c.first = subnet.Addr()
			for range 10 { // after the network's own
				c.first = c.first.Next()
			}
			return nil
		}
	}
	return fmt.Errorf("podman's network has no addresses: %s", text.Short(out, 100))
}

func (c *client) String() string { return c.name + " " + c.version }

// object returns the name of an object of the instance. "" names its network.
func (c *client) object(of string) string {
	return strings.TrimSuffix("libre-"+c.o.Name+"-"+of, "-")
}

// command prepares the program.
func (c *client) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := process.Command(ctx, c.name, args...)
	cmd.Env = process.Environment(clientVariables...)
	return cmd
}

// do runs the program to its end, and returns its output. The error has its last line.
func (c *client) do(ctx context.Context, input io.Reader, args ...string) (string, error) {
	cmd := c.command(ctx, args...)
	var out bytes.Buffer
	failure := &process.Capture{Most: 16 << 10, End: true}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &out, failure
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", fmt.Errorf("%s %s does not end: %w", c.name, args[0], ctx.Err())
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		lines := strings.Split(strings.TrimSpace(failure.String()), "\n")
		return "", errors.New(text.Short(strings.TrimPrefix(lines[len(lines)-1], "Error: "), 300))
	}
	return out.String(), nil
}

// confined are the flags of every container: it has no rights.
func (c *client) confined(name string, n int) []string {
	flags := []string{
		"--rm", "--name", c.object(name), "--hostname", name, "--label", label + "=" + c.o.Name, "--pull", "missing",
		"--network", c.object(""), "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
	}
	if c.name != "podman" {
		return append(flags, "--network-alias", name)
	}
	flags = append(append(flags, limits()...), "--read-only-tmpfs=false", "--ip", c.address(n))
	for _, provided := range c.outside {
		flags = append(flags, "--add-host", provided+":"+c.address(0))
	}
	for i, other := range c.containers {
		flags = append(flags, "--add-host", other+":"+c.address(i+1))
	}
	return flags
}

// limits are low enough for everybody: podman's are more than some users, and root in
// containers, may set.
func limits() []string {
	var flags []string
	for name, limit := range map[string]struct {
		number int
		most   uint64
	}{"nofile": {unix.RLIMIT_NOFILE, 1 << 16}, "nproc": {unix.RLIMIT_NPROC, 1 << 15}} {
		var own unix.Rlimit
		if unix.Getrlimit(limit.number, &own) == nil {
			most := min(own.Max, limit.most)
			flags = append(flags, "--ulimit", fmt.Sprintf("%s=%d:%d", name, most, most))
		}
	}
	return flags
}

// address returns the address of the gate, 0, or of a container.
func (c *client) address(n int) string {
	address := c.first
	for range n {
		address = address.Next()
	}
	return address.String()
}

func (c *client) Start(ctx context.Context, k Container) (Process, error) {
	if len(c.outside) > 0 {
		if err := c.openGate(ctx); err != nil {
			return nil, err
		}
	}
	if k.Image.Layout != nil {
		_, config, err := k.Image.manifest()
		if err != nil {
			return nil, err
		}
		if _, err := k.args(config.Config); err != nil {
			return nil, err
		}
	}
	image, err := c.load(ctx, k.Image)
	if err != nil {
		return nil, err
	}
	args := append([]string{"run"}, c.confined(k.Name, slices.Index(c.containers, k.Name)+1)...)
	args = append(append(args, c.flags(k)...), image)
	if len(k.Entrypoint) > 1 {
		args = append(args, k.Entrypoint[1:]...)
	}
	return c.start(k, append(args, k.Command...))
}

// flags returns the flags for one container.
func (c *client) flags(k Container) []string {
	var flags []string
	add := func(flag, value string) {
		if value != "" {
			flags = append(flags, flag, value)
		}
	}
	add("--user", k.User)
	add("--env-file", k.Secrets)
	add("--cpus", k.CPUs)
	for _, name := range slices.Sorted(maps.Keys(k.Environment)) {
		add("--env", name+"="+k.Environment[name])
	}
	for _, target := range k.Tmpfs {
		add("--tmpfs", target+":rw,nosuid,nodev,mode=1777")
	}
	for _, m := range k.Mounts {
		source, options := m.File, ":ro,z"
		if m.Volume != "" {
			source, options = c.object(m.Volume), map[bool]string{true: ":ro"}[m.ReadOnly]
		}
		add("--volume", source+":"+m.Target+options)
	}
	if k.Memory > 0 {
		add("--memory", fmt.Sprint(k.Memory))
	}
	if len(k.Entrypoint) > 0 {
		add("--entrypoint", k.Entrypoint[0])
	}
	if k.Input != nil {
		flags = append(flags, "--interactive")
	}
	if k.Terminal {
		flags = append(flags, "--tty")
	}
	return flags
}

// start runs the program beside libre. It ends with the container.
func (c *client) start(k Container, args []string) (Process, error) {
	cmd := c.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = k.Output, k.Output, time.Second
	if k.Input != nil {
		cmd.SysProcAttr, cmd.Stdin = nil, k.Input // its terminal is that of libre's process group
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &started{id: c.object(k.Name), done: make(chan struct{})}
	c.mu.Lock()
	c.processes = append(c.processes, s)
	c.mu.Unlock()
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// load puts an image into the engine's storage, unless it is there.
func (c *client) load(ctx context.Context, image Image) (string, error) {
	if image.Layout == nil {
		return image.Name, nil
	}
	if name, known := c.loaded[image.Digest]; known {
		return name, nil
	}
	manifest, _, err := image.manifest()
	if err != nil {
		return "", err
	}
	spec := layout.ArchiveSpec{RefNames: []string{image.Name}, Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}
	name := image.Name
	if c.name == "podman" {
		spec.Registry, name = "localhost", "localhost/"+image.Name
	}
	c.loaded[image.Digest] = name
	id, err := c.do(ctx, nil, "image", "inspect", "--format", "{{.Id}}", name)
	if err == nil && strings.TrimPrefix(strings.TrimSpace(id), "sha256:") == manifest.Config.Digest.Hex {
		return name, nil
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(image.Layout.WriteArchive(ctx, spec, writer)) }()
	defer reader.Close()
	if _, err := c.do(ctx, reader, "load", "--quiet"); err != nil {
		return "", fmt.Errorf("loading %s into %s: %w", image.Name, c.name, err)
	}
	return name, nil
}

func (c *client) Exec(ctx context.Context, container string, command []string) error {
	_, err := c.do(ctx, nil, append([]string{"exec", c.object(container)}, command...)...)
	return err
}

// Close ends the containers, all at once, and then the gate and the network.
func (c *client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var running []string
	for _, s := range c.processes {
		select {
		case <-s.done:
		default:
			running = append(running, s.id)
		}
	}
	var err error
	if len(running) > 0 {
		_, err = c.do(ctx, nil, append([]string{"stop", "--time", "10"}, running...)...)
	}
	for _, s := range c.processes {
		select {
		case <-s.done:
		case <-ctx.Done():
		}
	}
	for _, relay := range c.relays {
		relay.Close()
	}
	c.clean(ctx)
	return errors.Join(err, os.RemoveAll(c.o.Dir))
}

// clean removes containers and the network, also of a run that was killed.
func (c *client) clean(ctx context.Context) {
	if out, err := c.do(ctx, nil, "ps", "--all", "--quiet", "--filter", "label="+label+"="+c.o.Name); err == nil && out != "" {
		_, _ = c.do(ctx, nil, append([]string{"rm", "--force"}, strings.Fields(out)...)...)
	}
	_, _ = c.do(ctx, nil, "network", "rm", c.object("")) // it need not be there
}

// Remove removes the volumes.
func (c *client) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := c.do(ctx, nil, "volume", "ls", "--quiet", "--filter", "name="+c.object("")+"-")
	if err != nil || strings.TrimSpace(out) == "" {
		return err
	}
	var ours []string
	for _, name := range strings.Fields(out) {
		if strings.HasPrefix(name, c.object("")+"-") {
			ours = append(ours, name)
		}
	}
	_, err = c.do(ctx, nil, append([]string{"volume", "rm"}, ours...)...)
	return err
}
