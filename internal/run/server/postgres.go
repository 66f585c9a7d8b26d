package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
)

// role is the name of the app's database and role. The role is not a superuser, and no
// superuser can log in.
const role = "app"

// access lets the role log in, with its password.
const access = "local " + role + " " + role + " scram-sha-256\n"

// postgres is a PostgreSQL of this machine: https://www.postgresql.org/docs/current/
type postgres struct {
	*owner
	bin, data string
	o         Options
}

func startPostgres(ctx context.Context, o Options) (*Server, error) {
	bin, version, err := findPostgres(ctx)
	if err != nil {
		return nil, err
	}
	owner, err := findOwner("postgres")
	if err != nil {
		return nil, err
	}
	p := postgres{owner, bin, filepath.Join(o.Data, "postgres"), o}
	sockets := filepath.Join(o.Sockets, o.Host)
	socket := filepath.Join(sockets, ".s.PGSQL.5432")
	if err := checkSocket(socket); err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Data, sockets} {
		if err := owner.folder(dir); err != nil {
			return nil, err
		}
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	cmd := owner.command(filepath.Join(bin, "postgres"), "-D", p.data, "-c", "listen_addresses=", "-c", "unix_socket_directories="+sockets, "-c", "unix_socket_permissions=0600", "-c", "log_line_prefix=")
	// What it does is of no interest here, unlike what it refuses.
	log := &without{to: o.Output, drop: func(line []byte) bool { return bytes.HasPrefix(line, []byte("LOG:  ")) }}
	cmd.Stdout, cmd.Stderr = log, log
	// SIGQUIT also ends its children, and removes its files.
	server, err := owner.start(cmd, syscall.SIGQUIT)
	if err != nil {
		return nil, err
	}
	stop := func() { server.stop(syscall.SIGINT) } // disconnects the clients and ends
	if err := server.until(ctx, p.answers); err != nil {
		stop()
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	password := o.Secret("password")
	address := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: fmt.Sprintf("%s:%d", o.Host, o.Port), Path: role, RawQuery: "sslmode=disable"}
	return &Server{
		What: "this machine's PostgreSQL " + version, Socket: filepath.Join(o.Host, ".s.PGSQL.5432"), Close: stop, Done: server.done,
		Parts: map[string]string{"url": address.String(), "host": o.Host, "port": fmt.Sprint(o.Port), "name": role, "user": role, "password": password},
	}, nil
}

var postgresVersion = lazyregexp.New(`PostgreSQL\) (\d+)`)

// findPostgres finds the newest PostgreSQL: Debian keeps them out of PATH.
func findPostgres(ctx context.Context) (bin, version string, err error) {
	// Versions have two digits since 2017: the last in order is the newest.
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		bin = filepath.Dir(found[len(found)-1])
	} else if initdb, err := exec.LookPath("initdb"); err == nil {
		bin = filepath.Dir(initdb)
	} else {
		return "", "", &fault.Fault{Kind: fault.NotFound, Err: errors.New("this machine has no PostgreSQL"), Fix: "apt-get install postgresql"}
	}
	out, err := process.Command(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%s/postgres --version: %w", bin, err)
	}
	if found := postgresVersion().FindStringSubmatch(string(out)); found != nil {
		version = found[1]
	}
	return bin, version, nil
}

// prepare makes the data if there is none, and gives the role its password and the database
// its extensions. It uses PostgreSQL's single-user mode, which needs no superuser who could
// log in: https://www.postgresql.org/docs/current/app-postgres.html#id-1.9.5.14.7
func (p *postgres) prepare(ctx context.Context) error {
	if err := p.checkVersion(); err != nil {
		return err
	}
	if err := p.removeStale(); err != nil {
		return err
	}
	made := filepath.Join(p.o.Data, "made")
	if _, err := os.Stat(made); err != nil {
		if err := os.RemoveAll(p.data); err != nil { // of a run that was killed meanwhile
			return err
		}
		init := p.command(filepath.Join(p.bin, "initdb"), "--pgdata="+p.data, "--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
		if err := p.do(ctx, init, ""); err != nil {
			return fmt.Errorf("initdb: %w", err)
		}
		if err := os.WriteFile(filepath.Join(p.data, "pg_hba.conf"), []byte(access), 0o600); err != nil {
			return err
		}
		if err := p.single(ctx, "postgres", "CREATE ROLE "+role+" LOGIN", "CREATE DATABASE "+role+" OWNER "+role); err != nil {
			return err
		}
		if err := os.WriteFile(made, nil, 0o600); err != nil {
			return err
		}
	}
	statements := []string{"ALTER ROLE " + role + " PASSWORD '" + strings.ReplaceAll(p.o.Secret("password"), "'", "''") + "'"}
	for _, extension := range p.o.Need.Extensions {
		statements = append(statements, `CREATE EXTENSION IF NOT EXISTS "`+strings.ReplaceAll(extension, `"`, `""`)+`"`)
	}
	return p.single(ctx, role, statements...)
}

// checkVersion refuses data of another version.
func (p *postgres) checkVersion() error {
	content, err := os.ReadFile(filepath.Join(p.data, "PG_VERSION"))
	if err != nil {
		return nil
	}
	version := strings.TrimSpace(string(content))
	if want := filepath.Base(filepath.Dir(p.bin)); want != version && filepath.Dir(filepath.Dir(filepath.Dir(p.bin))) == "/usr/lib" {
		return fmt.Errorf("the data in %s is of PostgreSQL %s, and this machine has %s: remove it, or give another --name", p.data, version, want)
	}
	return nil
}

// removeStale removes the file of a server that was killed, and whose process nobody waits
// for: PostgreSQL takes it for one that runs. No other run uses the data at the same time.
func (p *postgres) removeStale() error {
	file := filepath.Join(p.data, "postmaster.pid")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	pid, _, _ := strings.Cut(string(content), "\n")
	state, _ := os.ReadFile(filepath.Join("/proc", filepath.Base(pid), "stat"))
	if _, after, _ := strings.Cut(string(state), ") "); !strings.HasPrefix(after, "Z") {
		return nil
	}
	return os.Remove(file)
}

// single runs statements in single-user mode, each on a line of standard input.
func (p *postgres) single(ctx context.Context, database string, statements ...string) error {
	cmd := p.command(filepath.Join(p.bin, "postgres"), "--single", "-D", p.data, "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off", database)
	if err := p.do(ctx, cmd, strings.Join(statements, "\n")+"\n"); err != nil {
		return fmt.Errorf("preparing the database: %w", err)
	}
	return nil
}

// answers reads what the server says of itself, in the eighth line of its file:
// https://github.com/postgres/postgres/blob/REL_15_0/src/include/utils/pidfile.h
func (p *postgres) answers() error {
	content, err := os.ReadFile(filepath.Join(p.data, "postmaster.pid"))
	if err != nil {
		return err
	}
	if lines := strings.Split(string(content), "\n"); len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" {
		return errors.New("it is not ready yet")
	}
	return nil
}
