package server

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// listen answers requests at a socket of the server. It returns the socket's name, and what
// ends it.
func (o Options) listen(handler http.Handler) (name string, end func(), err error) {
	name = o.Host + ".http"
	socket := filepath.Join(o.Sockets, name)
	if err := checkSocket(socket); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.Serve(listener) }()
	return name, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}, nil
}
