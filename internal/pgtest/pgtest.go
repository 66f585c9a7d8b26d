// Package pgtest starts a PostgreSQL server of its own for a test.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/libresh/libre/internal/process"
)

const (
	superuser    = "postgres"
	startTimeout = time.Minute
	portAttempts = 5
)

// Start starts a server with a new, empty cluster on 127.0.0.1, and returns the
// URL of its database "postgres", with the superuser's name and password
// (SCRAM, also on the loopback). The server and its files are gone when the
// test ends. As root it runs as the user postgres, since PostgreSQL refuses
// root.
//
// Where PostgreSQL is not installed the test is skipped, and fails if
// LIBRE_TEST_ALL is 1.
func Start(t testing.TB) string {
	t.Helper()
	s := &server{bin: findBin(t), password: rand.Text()}
	s.credential(t)
	s.initialise(t)
	// Another process may take the port between its choice and its use.
	var err error
	for range portAttempts {
		if err = s.start(t); err == nil {
			return s.url()
		}
	}
	t.Fatalf("starting PostgreSQL: %v\n%s", err, s.logTail())
	return ""
}

// CreateDatabase creates an empty database on the server of serverURL, which
// Start returned, and returns its URL.
func CreateDatabase(t testing.TB, serverURL, name string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

type server struct {
	bin, dir, password string
	port               int
	log                *os.File
	sys                *syscall.SysProcAttr
}

// findBin returns the folder that holds initdb and postgres: Debian keeps them
// out of PATH, in one folder per version.
func findBin(t testing.TB) string {
	t.Helper()
	// Versions have two digits since 2017: the last in order is the newest.
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb)
	}
	const reason = "PostgreSQL is not installed (Debian's package postgresql)"
	if os.Getenv("LIBRE_TEST_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// credential lets the server run as the user postgres where the test is root,
// die with the test, also where that is killed, and live on while a Ctrl-C ends
// the test and its cleanup.
func (s *server) credential(t testing.TB) {
	t.Helper()
	s.sys = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	s.sys.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// initialise makes the cluster, in a folder that the server's user may enter:
// that of t.TempDir is root's alone.
func (s *server) initialise(t testing.TB) {
	t.Helper()
	var err error
	if s.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.log.Close() })
	passwordFile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := s.sys.Credential; c != nil {
		for _, name := range []string{s.dir, passwordFile} {
			if err := os.Chown(name, int(c.Uid), int(c.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	initdb := s.command("initdb", "--pgdata="+s.data(), "--username="+superuser, "--pwfile="+passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	exited, err := process.StartBound(initdb, syscall.SIGQUIT)
	if err == nil {
		err = <-exited
	}
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, s.logTail())
	}
}

// start starts the server, and waits until it answers.
func (s *server) start(t testing.TB) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	listener.Close()

	postgres := s.command("postgres", "-D", s.data(),
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(s.port), "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	exited, err := process.StartBound(postgres, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	stop := func() {
		postgres.Process.Signal(syscall.SIGINT) // disconnects the clients and stops
		<-exited
	}

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.url())
		if err == nil {
			conn.Close(ctx)
			t.Cleanup(stop)
			return nil
		}
		select {
		case err := <-exited:
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			stop()
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// command prints to the log, which is a file and not a pipe: Wait would wait for
// every process that holds a pipe.
func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = s.sys
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	return cmd
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) logTail() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

func (s *server) url() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}
