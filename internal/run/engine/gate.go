package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// inward is the socket by which libre reaches containers: it sends NAME:PORT and a newline,
// gets ok and a newline, and is connected.
const inward = "in"

const ok = "ok\n"

// Gate forwards connections into and out of the network of containers, until ctx ends.
// libre runs it in a container of podman or docker, because other containers reach no
// socket of the machine, and only libre should reach theirs. provided are PORT=SOCKET, of
// sockets in dir.
func Gate(ctx context.Context, dir string, provided []string) error {
	socket := filepath.Join(dir, inward)
	if err := os.RemoveAll(socket); err != nil {
		return err
	}
	in, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, one := range provided {
		port, name, _ := strings.Cut(one, "=")
		out, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		defer out.Close()
		go relay(out, func() (net.Conn, error) { return net.Dial("unix", filepath.Join(dir, filepath.Base(name))) })
	}
	context.AfterFunc(ctx, func() { in.Close() })
	for {
		conn, err := in.Accept()
		if err != nil {
			return ctx.Err()
		}
		go let(conn)
	}
}

// let connects somebody with the container that they name.
func let(from net.Conn) {
	defer from.Close()
	reader := bufio.NewReader(from)
	address, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	to, err := net.DialTimeout("tcp", strings.TrimSpace(address), 2*time.Second)
	if err != nil {
		fmt.Fprintln(from, err)
		return
	}
	defer to.Close()
	if _, err := io.WriteString(from, ok); err == nil {
		join(from, to)
	}
}

// answersIn is the time in which the gate says whether it has connected: it gives a container
// two seconds.
const answersIn = 5 * time.Second

// dialGate connects with a container through the gate.
func dialGate(ctx context.Context, dir, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, inward))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	answer := make([]byte, len(ok))
	_, err = fmt.Fprintln(conn, address)
	if err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	switch {
	case !stop():
		err = ctx.Err()
	case err == nil && string(answer) != ok:
		err = fmt.Errorf("%s does not answer", address)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
