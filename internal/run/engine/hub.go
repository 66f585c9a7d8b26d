package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/process"
)

// A hub is where runc's containers are: namespaces for processes, mounts and the network.
// The kernel ends all of it with its first process, the keeper, which ends with libre, also
// when libre is killed. No device or address of it is seen from outside.
type hub struct {
	keeper *exec.Cmd
	calls  chan func()
	link   *netlink.Handle
	bridge netlink.Link
	net    netns.NsHandle
	pipes  []io.Closer // their ends end the holders of networks
}

// The addresses in the network of a hub. No other network is reached from it.
func hubAddress(n int) string { return fmt.Sprintf("10.0.0.%d", n) }

const gateway = 1

// The keeper is the first process, and needs a /proc of its processes for runc.
const keep = "mount -t proc proc /proc && echo ready && exec cat"

func openHub() (*hub, error) {
	h := &hub{calls: make(chan func()), net: netns.None()}
	opened := make(chan error)
	go func() {
		// The thread is never unlocked: it ends with the goroutine, and what it started
		// gets its signal for the parent's death then. https://go.dev/issue/27505
		runtime.LockOSThread()
		err := h.start()
		opened <- err
		if err != nil {
			return
		}
		for call := range h.calls {
			call()
		}
	}()
	if err := <-opened; err != nil {
		h.kill()
		return nil, fmt.Errorf("making namespaces for containers: %w", err)
	}
	return h, nil
}

func (h *hub) start() error {
	h.keeper = exec.Command("sh", "-c", keep)
	h.keeper.Env = process.Environment()
	h.keeper.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig: syscall.SIGKILL, Setpgid: true,
	}
	var errors strings.Builder
	h.keeper.Stderr = &errors
	input, err := h.keeper.StdinPipe()
	if err != nil {
		return err
	}
	h.pipes = append(h.pipes, input)
	output, err := h.keeper.StdoutPipe()
	if err != nil {
		return err
	}
	if err := h.keeper.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(output, make([]byte, len("ready\n"))); err != nil {
		_ = h.keeper.Wait()
		return fmt.Errorf("mounting /proc: %s", strings.TrimSpace(errors.String()))
	}
	if h.net, err = netns.GetFromPid(h.keeper.Process.Pid); err != nil {
		return err
	}
	if err := enter(h.keeper.Process.Pid); err != nil {
		return err
	}
	return h.addBridge()
}

// enter moves the thread, and the processes that it starts, into a process's namespaces.
func enter(pid int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads share a root, which setns refuses
		return err
	}
	var opened []*os.File
	for _, name := range []string{"pid", "net", "mnt"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if err != nil {
			return err
		}
		defer file.Close()
		opened = append(opened, file)
	}
	for _, file := range opened {
		if err := unix.Setns(int(file.Fd()), 0); err != nil {
			return fmt.Errorf("entering %s: %w", file.Name(), err)
		}
	}
	return nil
}

func (h *hub) addBridge() error {
	link, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	h.link = link
	if err := up(link, "lo"); err != nil {
		return err
	}
	h.bridge = &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
	if err := link.LinkAdd(h.bridge); err != nil {
		return err
	}
	return configure(link, "bridge", gateway)
}

// configure gives a device an address, and turns it on.
func configure(link *netlink.Handle, name string, address int) error {
	device, err := link.LinkByName(name)
	if err != nil {
		return err
	}
	parsed, err := netlink.ParseAddr(hubAddress(address) + "/24")
	if err != nil {
		return err
	}
	if err := link.AddrAdd(device, parsed); err != nil {
		return err
	}
	return link.LinkSetUp(device)
}

func up(link *netlink.Handle, name string) error {
	device, err := link.LinkByName(name)
	if err != nil {
		return err
	}
	return link.LinkSetUp(device)
}

// inside calls a function on the thread in the hub. Others wait meanwhile.
func (h *hub) inside(call func()) {
	done := make(chan struct{})
	h.calls <- func() { defer close(done); call() }
	<-done
}

// run starts a program in the hub. It needs no signal for the parent's death, since it ends
// with the keeper.
func (h *hub) run(cmd *exec.Cmd) (err error) {
	h.inside(func() { err = cmd.Start() })
	return err
}

// network makes a network with an address, for a container, and returns its path as seen in
// the hub. A process holds it as long as the hub is there.
func (h *hub) network(n int) (path string, err error) {
	holder := exec.Command("cat")
	holder.Env = process.Environment()
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true}
	pipe, err := holder.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := h.run(holder); err != nil {
		return "", err
	}
	h.pipes = append(h.pipes, pipe)
	go func() { _ = holder.Wait() }()
	network, err := netns.GetFromPid(holder.Process.Pid)
	if err != nil {
		return "", err
	}
	defer network.Close()
	if err := h.join(network, n); err != nil {
		return "", err
	}
	inner, err := innerPid(holder.Process.Pid)
	return fmt.Sprintf("/proc/%d/ns/net", inner), err
}

// join connects a network with the bridge. The handle of a network reaches it from anywhere;
// to make one needs the /proc of outside.
func (h *hub) join(network netns.NsHandle, n int) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("to%d", n), MasterIndex: h.bridge.Attrs().Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(network))}
	if err := h.link.LinkAdd(veth); err != nil {
		return err
	}
	if err := up(h.link, veth.Name); err != nil {
		return err
	}
	there, err := netlink.NewHandleAt(network, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := up(there, "lo"); err != nil {
		return err
	}
	return configure(there, "eth0", n)
}

// innerPid is the number that a process has in its own namespace: man 5 proc_pid_status.
func innerPid(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, line, found := strings.Cut(string(status), "\nNSpid:")
	line, _, _ = strings.Cut(line, "\n")
	fields := strings.Fields(line)
	if !found || len(fields) == 0 {
		return 0, errors.New("/proc does not say which process is which")
	}
	var inner int
	_, err = fmt.Sscan(fields[len(fields)-1], &inner)
	return inner, err
}

// dial connects with an address in the hub. A container may take its time: each connection is
// made by a thread of its own, which is never unlocked and ends with its goroutine.
func (h *hub) dial(ctx context.Context, address string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(h.net), unix.CLONE_NEWNET)
		if err != nil {
			done <- dialled{err: fmt.Errorf("entering the network of containers: %w", err)}
			return
		}
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp4", address)
		done <- dialled{conn, err}
	}()
	d := <-done
	return d.conn, d.err
}

// listen listens at the hub's own address.
func (h *hub) listen(port int) (listener net.Listener, err error) {
	h.inside(func() { listener, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", hubAddress(gateway), port)) })
	return listener, err
}

// kill ends the first process, and with it all others. It returns when they are gone.
func (h *hub) kill() {
	if h.keeper == nil || h.keeper.Process == nil {
		return
	}
	_ = h.keeper.Process.Kill()
	_ = h.keeper.Wait()
	for _, pipe := range h.pipes {
		pipe.Close()
	}
	if h.link != nil {
		h.link.Close()
	}
	if h.net.IsOpen() {
		_ = h.net.Close()
	}
}

// close kills, and ends the thread. Nothing of the hub may be used after it.
func (h *hub) close() {
	h.kill()
	close(h.calls)
}
