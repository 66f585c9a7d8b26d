package web

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// longestAfterwards is the timeout for reading an answer after the server closed the
// connection.
const longestAfterwards = 5 * time.Second

// earlyAnswers is a connection to a server that may answer and close before it has read all
// of a request, such as one that refuses a large body. Sending then fails, and
// http.Transport returns that error unless it has read the answer before. So sending fails
// only once the transport, which reads meanwhile, has closed its end.
// https://github.com/golang/go/issues/51109
type earlyAnswers struct {
	*net.TCPConn
	close  sync.Once
	closed chan struct{}
}

func newEarlyAnswers(connection *net.TCPConn) *earlyAnswers {
	return &earlyAnswers{TCPConn: connection, closed: make(chan struct{})}
}

func (c *earlyAnswers) Write(content []byte) (int, error) {
	n, err := c.TCPConn.Write(content)
	c.awaitReader(err)
	return n, err
}

// ReadFrom sends a file without copying it through memory.
func (c *earlyAnswers) ReadFrom(content io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(content)
	c.awaitReader(err)
	return n, err
}

func (c *earlyAnswers) awaitReader(err error) {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		select {
		case <-c.closed:
		case <-time.After(longestAfterwards):
		}
	}
}

func (c *earlyAnswers) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}
