package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"os/exec"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
)

// startRedis starts Valkey or Redis: https://valkey.io/topics/valkey.conf/
// It has no password: nothing from outside reaches it.
func startRedis(ctx context.Context, o Options) (*Server, error) {
	path, what, err := findRedis(ctx)
	if err != nil {
		return nil, err
	}
	owner, err := findOwner("valkey", "redis")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Sockets, o.Host)
	socket := filepath.Join(dir, "redis")
	if err := checkSocket(socket); err != nil {
		return nil, err
	}
	for _, folder := range []string{o.Data, dir} {
		if err := owner.folder(folder); err != nil {
			return nil, err
		}
	}
	cmd := owner.command(path, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", o.Data, "--daemonize", "no", "--loglevel", "warning", "--save", "60 1")
	cmd.Stdout, cmd.Stderr = o.Output, o.Output
	server, err := owner.start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	stop := func() { server.stop(syscall.SIGTERM) } // it writes its data first
	if err := server.until(ctx, func() error { return pings(ctx, socket) }); err != nil {
		stop()
		return nil, fmt.Errorf("starting %s: %w", what, err)
	}
	return &Server{
		What: "this machine's " + what, Socket: filepath.Join(o.Host, "redis"), Close: stop, Done: server.done,
		Parts: map[string]string{"url": fmt.Sprintf("redis://%s:%d/0", o.Host, o.Port), "host": o.Host, "port": fmt.Sprint(o.Port), "user": "", "password": ""},
	}, nil
}

var redisVersion = lazyregexp.New(`v=([0-9.]+)`)

func findRedis(ctx context.Context) (path, what string, err error) {
	for _, program := range []struct{ name, what string }{{"valkey-server", "Valkey"}, {"redis-server", "Redis"}} {
		path, err := exec.LookPath(program.name)
		if err != nil {
			continue
		}
		out, err := process.Command(ctx, path, "--version").Output()
		if err != nil {
			return "", "", fmt.Errorf("%s --version: %w", path, err)
		}
		if found := redisVersion().FindStringSubmatch(string(out)); found != nil {
			program.what += " " + found[1]
		}
		return path, program.what, nil
	}
	return "", "", &fault.Fault{Kind: fault.NotFound, Err: errors.New("this machine has neither Valkey nor Redis"), Fix: "apt-get install redis-server"}
}

// pings asks the server whether it answers: https://valkey.io/topics/protocol/
func pings(ctx context.Context, socket string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err == nil && !strings.HasPrefix(string(answer[:n]), "+PONG") {
		err = errors.New("it does not answer yet")
	}
	return err
}
