package server

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/testkit"
)

// logged is an output that is read meanwhile.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// options are for a server in folders that another user may enter.
func options(t *testing.T, need describe.Need) (Options, *logged) {
	t.Helper()
	dir, err := os.MkdirTemp("", "server-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	output := &logged{}
	return Options{
		Need: need, Host: "need", Port: 7000, Data: filepath.Join(dir, "data"), Sockets: dir, URL: "http://127.0.0.1:8080", App: "guestbook", Site: "http://need.localhost:8080",
		Secret: func(string) string { return "it's secret" }, Hint: func(part string) string { return part + " of secrets.env" }, Output: output,
	}, output
}

// The role has its database and extensions, and is no superuser; nobody else can log in. Data
// is there again for the next server, also with another password.
func TestPostgres(t *testing.T) {
	o, output := options(t, describe.Need{Kind: "postgres", Extensions: []string{"pg_trgm", "unaccent"}})
	connect := func(user, password string) (*pgx.Conn, error) {
		config, err := pgx.ParseConfig("sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		config.Host, config.Port, config.User, config.Database, config.Password = filepath.Join(o.Sockets, o.Host), 5432, user, "app", password
		return pgx.ConnectConfig(t.Context(), config)
	}
	for n, password := range []string{"it's secret", "another"} {
		o.Secret = func(string) string { return password }
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		conn, err := connect("app", password)
		if err != nil {
			t.Fatal(err)
		}
		var super bool
		var rows, extensions int
		if err := conn.QueryRow(t.Context(), "select rolsuper from pg_roles where rolname = current_user").Scan(&super); err != nil || super {
			t.Errorf("superuser %v, %v", super, err)
		}
		if err := conn.QueryRow(t.Context(), "select count(*) from pg_extension where extname in ('pg_trgm', 'unaccent')").Scan(&extensions); err != nil || extensions != 2 {
			t.Errorf("%d extensions, %v", extensions, err)
		}
		if _, err := conn.Exec(t.Context(), "create table if not exists t (x int); insert into t values (1)"); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), "select count(*) from t").Scan(&rows); err != nil || rows != n+1 {
			t.Errorf("%d rows, want %d, %v", rows, n+1, err)
		}
		conn.Close(context.Background())
		for user, wrong := range map[string]string{"postgres": "", "app": "wrong"} {
			if conn, err := connect(user, wrong); err == nil {
				conn.Close(context.Background())
				t.Errorf("%s logs in with %q", user, wrong)
			}
		}
		s.Close()
		if _, err := connect("app", password); err == nil {
			t.Error("it answers after its end")
		}
		if strings.Contains(output.String(), password) {
			t.Errorf("a password is in the log:\n%s", output)
		}
	}
}

// What is kept in Redis is there again for the next server.
func TestRedis(t *testing.T) {
	o, output := options(t, describe.Need{Kind: "redis"})
	ask := func(s *Server, command string) string {
		conn, err := net.Dial("unix", filepath.Join(o.Sockets, s.Socket))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answer := make([]byte, 64)
		if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer[:n])
	}
	for _, command := range []string{"SET city lyon", "GET city"} {
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		want := map[string]string{"SET city lyon": "+OK\r\n", "GET city": "$4\r\nlyon\r\n"}[command]
		if got := ask(s, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
		s.Close()
	}
}

// A mail is printed, and delivered to nobody.
func TestMailIsPrinted(t *testing.T) {
	o, output := options(t, describe.Need{Kind: "smtp"})
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.Dial("unix", filepath.Join(o.Sockets, s.Socket))
	if err != nil {
		t.Fatal(err)
	}
	client, err := smtp.NewClient(conn, "localhost")
	if err == nil {
		err = client.Mail("app@example.org")
	}
	if err == nil {
		err = client.Rcpt("louise@example.org")
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := client.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Subject: Bonjour\r\n\r\nhttp://127.0.0.1:8080/invitation\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "mail to louise@example.org: Bonjour\nhttp://127.0.0.1:8080/invitation\n"; output.String() != want {
		t.Errorf("printed %q, want %q", output, want)
	}
}

func TestUnknownKindsAreRefused(t *testing.T) {
	o, _ := options(t, describe.Need{Kind: "livekit"})
	if _, err := Start(t.Context(), o); err == nil || err.Error() != "this machine has no server of the kind livekit" {
		t.Errorf("%v", err)
	}
}

// Browsers and the app find the provider at one address, and the app also at the server's own.
func TestProvider(t *testing.T) {
	o, _ := options(t, describe.Need{Kind: "oidc", Callback: "/callback"})
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for part, want := range map[string]string{
		"issuer": "http://need.localhost:8080", "authorizationEndpoint": "http://need.localhost:8080/authorize", "endSessionEndpoint": "http://need.localhost:8080/end_session",
		"tokenEndpoint": "http://need:7000/oauth/token", "userinfoEndpoint": "http://need:7000/userinfo", "jwksUri": "http://need:7000/keys", "clientId": "app", "clientSecret": "it's secret",
	} {
		if s.Parts[part] != want {
			t.Errorf("%s is %s, want %s", part, s.Parts[part], want)
		}
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(o.Sockets, s.Socket))
	}}}
	response, err := client.Get(s.Parts["jwksUri"])
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the keys: %v, %v", response, err)
	}
	if err == nil {
		response.Body.Close()
	}
}

// The user has its database, and nobody else can log in, not even by being root on this
// machine. Data is there again for the next server, also after it was killed, and with another
// password.
func TestMySQL(t *testing.T) {
	testkit.Require(t, "mariadbd", "mariadb")
	o, output := options(t, describe.Need{Kind: "mysql"})
	ask := func(s *Server, user, password, statement string) (string, error) {
		cmd := exec.Command("mariadb", "--no-defaults", "--socket="+filepath.Join(o.Sockets, s.Socket), "--user="+user, "--batch", "--skip-column-names", "app", "--execute", statement)
		cmd.Env = append(os.Environ(), "MYSQL_PWD="+password)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for n, password := range []string{"it's \\ secret", "another"} {
		o.Secret = func(string) string { return password }
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		want := strings.Repeat("Lyon\n", n+1)
		if rows, err := ask(s, "app", password, "CREATE TABLE IF NOT EXISTS t (x text); INSERT INTO t VALUES ('Lyon'); SELECT * FROM t"); err != nil || rows+"\n" != want {
			t.Errorf("rows %q, want %q, %v", rows, want, err)
		}
		for user, wrong := range map[string]string{"root": "", "mysql": "", "": "", "app": "wrong"} {
			if out, err := ask(s, user, wrong, "SELECT 1"); err == nil {
				t.Errorf("%q logs in with %q: %s", user, wrong, out)
			}
		}
		if out, err := ask(s, "app", password, "CREATE DATABASE other"); err == nil {
			t.Errorf("the user makes databases: %s", out)
		}
		if n == 0 {
			content, err := os.ReadFile(filepath.Join(o.Data, "mysql", "pid"))
			pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
			if err != nil || pid < 2 {
				t.Fatalf("process %q, %v", content, err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-s.Done
		}
		s.Close()
		if strings.Contains(output.String(), password) {
			t.Errorf("a password is in the log:\n%s", output)
		}
	}
}
