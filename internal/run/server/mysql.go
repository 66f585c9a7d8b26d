package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
)

// mysql is a MariaDB of this machine: https://mariadb.com/docs/server/server-management
type mysql struct {
	*owner
	program string
	data    string
	socket  string
	o       Options
}

func startMySQL(ctx context.Context, o Options) (*Server, error) {
	program, version, err := findMariaDB(ctx)
	if err != nil {
		return nil, err
	}
	owner, err := findOwner("mysql")
	if err != nil {
		return nil, err
	}
	m := mysql{owner, program, filepath.Join(o.Data, "mysql"), filepath.Join(o.Sockets, o.Host, "mysql"), o}
	if err := checkSocket(m.socket); err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Data, filepath.Dir(m.socket)} {
		if err := owner.folder(dir); err != nil {
			return nil, err
		}
	}
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	cmd := m.server("--socket="+m.socket, "--skip-networking")
	// What it does is of no interest here, unlike what it refuses.
	log := &without{to: o.Output, drop: func(line []byte) bool {
		return bytes.Contains(line, []byte(" [Note] ")) || bytes.HasPrefix(line, []byte("Version: "))
	}}
	cmd.Stdout, cmd.Stderr = log, log
	server, err := owner.start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	stop := func() { server.stop(syscall.SIGTERM) }
	if err := server.until(ctx, func() error { return greets(ctx, m.socket) }); err != nil {
		stop()
		return nil, fmt.Errorf("starting MariaDB: %w", err)
	}
	password := o.Secret("password")
	address := url.URL{Scheme: "mysql", User: url.UserPassword(role, password), Host: fmt.Sprintf("%s:%d", o.Host, o.Port), Path: role}
	return &Server{
		What: "this machine's MariaDB " + version, Socket: filepath.Join(o.Host, "mysql"), Close: stop, Done: server.done,
		Parts: map[string]string{"url": address.String(), "host": o.Host, "port": fmt.Sprint(o.Port), "name": role, "user": role, "password": password},
	}, nil
}

var mariaDBVersion = lazyregexp.New(`Ver ([0-9.]+)-MariaDB`)

func findMariaDB(ctx context.Context) (path, version string, err error) {
	missing := &fault.Fault{Kind: fault.NotFound, Err: errors.New("this machine has no MariaDB"), Fix: "apt-get install mariadb-server"}
	if path, err = exec.LookPath("mariadbd"); err != nil {
		path = "/usr/sbin/mariadbd" // which is in root's PATH alone
		if _, err := os.Stat(path); err != nil {
			return "", "", missing
		}
	}
	out, err := process.Command(ctx, path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%s --version: %w", path, err)
	}
	if found := mariaDBVersion().FindStringSubmatch(string(out)); found != nil {
		version = found[1]
	}
	return path, version, nil
}

// server prepares the program. It reads no configuration of the machine's own server.
func (m *mysql) server(args ...string) *exec.Cmd {
	return m.command(m.program, append([]string{
		"--no-defaults", "--datadir=" + m.data, "--pid-file=" + filepath.Join(m.data, "pid"), "--log-warnings=0", "--performance-schema=OFF",
		"--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M",
	}, args...)...)
}

// prepare makes the data if there is none, and sets the user's password. Nobody else can
// log in: only libre reaches the socket, and forwards the connections of containers.
func (m *mysql) prepare(ctx context.Context) error {
	made := filepath.Join(m.o.Data, "made")
	if _, err := os.Stat(made); err != nil {
		if err := os.RemoveAll(m.data); err != nil { // of a run that was killed meanwhile
			return err
		}
		install, err := exec.LookPath("mariadb-install-db")
		if err != nil {
			return err
		}
		init := m.command(install, "--no-defaults", "--datadir="+m.data, "--skip-test-db", "--auth-root-authentication-method=socket", "--skip-name-resolve")
		if err := m.do(ctx, init, ""); err != nil {
			return fmt.Errorf("mariadb-install-db: %w", err)
		}
	}
	quote := strings.NewReplacer(`\`, `\\`, "'", "''")
	statements := []string{
		"CREATE DATABASE IF NOT EXISTS " + role,
		"DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys'",
		"FLUSH PRIVILEGES", // without it, nobody can be added
		"CREATE OR REPLACE USER " + role + "@localhost IDENTIFIED BY '" + quote.Replace(m.o.Secret("password")) + "'",
		"GRANT ALL ON " + role + ".* TO " + role + "@localhost",
	}
	if err := m.do(ctx, m.server("--bootstrap", "--silent-startup"), strings.Join(statements, ";\n")+";\n"); err != nil {
		return fmt.Errorf("preparing the database: %w", err)
	}
	return os.WriteFile(made, nil, 0o600)
}

// greets asks whether the server answers: it speaks first, and names version 10 of the
// protocol. https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
func greets(ctx context.Context, socket string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	greeting := make([]byte, 5)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return err
	}
	if greeting[4] != 10 {
		return errors.New("it does not answer yet")
	}
	return nil
}
