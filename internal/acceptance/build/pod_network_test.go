package build

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A podNetwork is a network namespace of its own, as a pod has one, with a loopback device.
// Two pods can listen on the same port.
type podNetwork struct {
	path  string // of the namespace
	calls chan func()
}

func newPodNetwork(t *testing.T) *podNetwork {
	t.Helper()
	n := &podNetwork{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = loopbackUp()
		}
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for call := range n.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.calls) })
	return n
}

// loopbackUp sets the flags of the device lo: man 7 netdevice.
func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request))); errno != 0 {
		return errno
	}
	return nil
}

// inside calls a function on a thread in the namespace.
func (n *podNetwork) inside(call func()) {
	done := make(chan struct{})
	n.calls <- func() { defer close(done); call() }
	<-done
}

// client sends requests to servers in the namespace.
func (n *podNetwork) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		n.inside(func() { conn, err = (&net.Dialer{}).DialContext(ctx, "tcp4", address) })
		return conn, err
	}}}
}

// forward listens on a port in the namespace, and passes connections on to an address
// outside.
func (n *podNetwork) forward(t *testing.T, port int, to string) {
	t.Helper()
	var listener net.Listener
	var err error
	n.inside(func() { listener, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				conn, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer conn.Close()
				go func() { _, _ = io.Copy(conn, from); conn.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(from, conn)
			}()
		}
	}()
}
