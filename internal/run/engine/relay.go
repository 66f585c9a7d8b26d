package engine

import (
	"io"
	"net"
)

// relay passes connections on until the listener is closed.
func relay(listener net.Listener, dial func() (net.Conn, error)) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := dial()
			if err != nil {
				return
			}
			defer to.Close()
			join(from, to)
		}()
	}
}

// join copies both ways, until both sides have ended.
func join(a, b net.Conn) {
	done := make(chan struct{})
	copyTo := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		if half, can := to.(interface{ CloseWrite() error }); can {
			_ = half.CloseWrite()
		}
	}
	go func() { defer close(done); copyTo(a, b) }()
	copyTo(b, a)
	<-done
}
