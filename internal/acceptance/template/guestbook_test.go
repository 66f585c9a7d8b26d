package template

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/libresh/libre/internal/pgtest"
)

const unmigrated = `guestbook: the database is at schema version 0, and this guestbook (1.2.3) needs 1: run "guestbook migrate" first` + "\n"

// upgrade is a migration that a later version of the guestbook might add.
const upgrade = "alter table entries add column city text; update entries set city = 'Lyon';\n"

func TestGuestbookWorksAndMigrates(t *testing.T) {
	server := pgtest.Start(t)
	dir := copyGuestbook(t)
	v1 := buildGo(t, filepath.Join(dir, "backend"), "1.2.3")
	webserver := buildGo(t, filepath.Join(dir, "webserver"), "1.2.3")

	t.Run("version", func(t *testing.T) {
		if out, code := run(t, "", v1, "version"); out != "1.2.3\n" || code != 0 {
			t.Errorf("got %d %q", code, out)
		}
	})

	t.Run("serve needs a migrated database", func(t *testing.T) {
		db := pgtest.CreateDatabase(t, server, "unmigrated")
		if out, code := run(t, db, v1); out != unmigrated || code != 1 {
			t.Errorf("got %d %q", code, out)
		}
	})

	t.Run("migrate twice", func(t *testing.T) {
		db := pgtest.CreateDatabase(t, server, "twice")
		const at = "guestbook: the database is at schema version 1\n"
		for i, want := range []string{"guestbook: applied 0001_entries.sql\n" + at, at} {
			if out, code := run(t, db, v1, "migrate"); out != want || code != 0 {
				t.Errorf("run %d: got %d %q, want 0 %q", i+1, code, out, want)
			}
		}
	})

	t.Run("migrate at the same time", func(t *testing.T) {
		db := pgtest.CreateDatabase(t, server, "concurrent")
		outputs := make([]string, 8)
		var wg sync.WaitGroup
		for i := range outputs {
			wg.Go(func() {
				var code int
				if outputs[i], code = run(t, db, v1, "migrate"); code != 0 {
					t.Errorf("exit code %d: %s", code, outputs[i])
				}
			})
		}
		wg.Wait()
		if n := strings.Count(strings.Join(outputs, ""), "applied"); n != 1 {
			t.Errorf("%d processes applied the migration, want 1", n)
		}
	})

	t.Run("a newer schema", func(t *testing.T) {
		db := migrated(t, server, "newer", v1)
		execSQL(t, db, "insert into schema_migrations (version, name) values (2, 'future')")
		const want = "guestbook: the database is at schema version 2, and this guestbook (1.2.3) knows only 1: use a newer guestbook\n"
		for _, command := range []string{"migrate", "serve"} {
			if out, code := run(t, db, v1, command); out != want || code != 1 {
				t.Errorf("%s: got %d %q", command, code, out)
			}
		}
	})

	t.Run("upgrade", func(t *testing.T) {
		db := migrated(t, server, "upgrade", v1)
		old := serve(t, v1, "DATABASE_URL="+db)
		post(t, old, "Ada", "Hello")

		v2 := buildWithMigrations(t, map[string]string{"0002_city.sql": upgrade})
		if out, code := run(t, db, v2, "migrate"); code != 0 || !strings.Contains(out, "applied 0002_city.sql") || strings.Contains(out, "0001") {
			t.Fatalf("got %d %q", code, out)
		}
		// The old processes serve until the new ones are ready.
		for _, base := range []string{old, serve(t, v2, "DATABASE_URL="+db)} {
			if status, body := get(t, base+"/readyz"); status != http.StatusOK {
				t.Errorf("readyz: %d %s", status, body)
			}
			if _, body := get(t, base+"/api/entries"); !strings.Contains(body, `"Hello"`) {
				t.Errorf("entries: %s", body)
			}
		}
	})

	t.Run("a migration that fails changes nothing", func(t *testing.T) {
		db := migrated(t, server, "broken", v1)
		v2 := buildWithMigrations(t, map[string]string{"0002_city.sql": upgrade, "0003_broken.sql": "alter table nothing add x int;\n"})
		const want = `guestbook: applying migration 0003_broken.sql: ERROR: relation "nothing" does not exist (SQLSTATE 42P01)` + "\n"
		if out, code := run(t, db, v2, "migrate"); out != want || code != 1 {
			t.Errorf("got %d %q", code, out)
		}
		serve(t, v1, "DATABASE_URL="+db) // still version 1
	})

	t.Run("serve", func(t *testing.T) {
		base := serve(t, v1, "DATABASE_URL="+migrated(t, server, "serve", v1))
		for _, message := range []string{"one", "two", "three 🎉 <b>'; drop table entries"} {
			post(t, base, "Ada", message)
		}
		_, first := get(t, base+"/api/entries?limit=2")
		if one, three := strings.Contains(first, `"one"`), strings.Index(first, `"three`); one || three < 0 || three > strings.Index(first, `"two"`) || !strings.Contains(first, `"next":2`) {
			t.Errorf("first page: %s", first)
		}
		if _, second := get(t, base+"/api/entries?limit=2&before=2"); !strings.Contains(second, `"one"`) || !strings.Contains(second, `"next":null`) {
			t.Errorf("second page: %s", second)
		}
	})

	t.Run("not ready", func(t *testing.T) {
		db := migrated(t, server, "notready", v1)
		base := serve(t, v1, "DATABASE_URL="+db)
		execSQL(t, db, "drop table schema_migrations")
		if status, body := get(t, base+"/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d %s", status, body)
		}
		if status, body := get(t, base+"/healthz"); status != http.StatusOK {
			t.Errorf("healthz: %d %s", status, body)
		}
	})

	t.Run("the password is not logged", func(t *testing.T) {
		const password = "hunter2"
		withPassword := func(change func(*url.URL)) string {
			u, err := url.Parse(server)
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.UserPassword("postgres", password)
			change(u)
			return u.String()
		}
		for name, db := range map[string]string{
			"wrong password": withPassword(func(*url.URL) {}),
			"no server":      withPassword(func(u *url.URL) { u.Host = "127.0.0.1:1" }),
			"many servers":   "postgres://postgres:" + password + "@127.0.0.1:1,127.0.0.1:2/postgres",
			"bad port":       "postgres://postgres:" + password + "@127.0.0.1:port/postgres",
			"bad escape":     "postgres://postgres:" + password + "%zz@127.0.0.1/postgres",
			"bad option":     withPassword(func(u *url.URL) { u.RawQuery = "sslmode=nonsense" }),
			"not a URL":      "host=127.0.0.1 port=1 password='" + password,
		} {
			for _, command := range []string{"serve", "migrate"} {
				out, code := run(t, db, v1, command)
				if code != 1 || strings.Contains(out, password) || strings.Count(out, "\n") != 1 {
					t.Errorf("%s, %s: got %d %q", name, command, code, out)
				}
			}
		}
		if out, code := run(t, "", v1); code != 1 || !strings.HasPrefix(out, "guestbook: DATABASE_URL is not set") {
			t.Errorf("no URL: got %d %q", code, out)
		}
	})

	t.Run("pages and API together, lyon", func(t *testing.T) {
		dir := copyGuestbook(t)
		applyPatch(t, dir)
		lyon := buildGo(t, filepath.Join(dir, "backend"), "1.2.3")
		backend := serve(t, lyon, "DATABASE_URL="+migrated(t, server, "lyon", lyon))
		front := serve(t, webserver, "SITE="+filepath.Join(dir, "frontend"), "BACKEND_URL="+backend)
		if _, page := get(t, front+"/"); !strings.Contains(page, "<h1>"+lyonBrand+"</h1>") {
			t.Errorf("the page lacks the brand:\n%s", page)
		}
		if _, brand := get(t, front+"/api/brand"); !strings.Contains(brand, `"name":"`+lyonBrand+`"`) {
			t.Errorf("the API lacks the brand: %s", brand)
		}
		post(t, front, "Louise Labé", "Bonjour")
		if _, entries := get(t, front+"/api/entries"); !strings.Contains(entries, "Louise Labé") {
			t.Errorf("entries: %s", entries)
		}
	})
}

// migrated returns the URL of a new database that the program has migrated.
func migrated(t *testing.T, server, name, program string) string {
	t.Helper()
	db := pgtest.CreateDatabase(t, server, name)
	if out, code := run(t, db, program, "migrate"); code != 0 {
		t.Fatalf("migrate: %d %s", code, out)
	}
	return db
}

// buildWithMigrations builds a backend with additional migrations.
func buildWithMigrations(t *testing.T, files map[string]string) string {
	t.Helper()
	backend := filepath.Join(copyGuestbook(t), "backend")
	for name, sql := range files {
		if err := os.WriteFile(filepath.Join(backend, "migrations", name), []byte(sql), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return buildGo(t, backend, "2.0.0")
}

// run runs a program to its end and returns its whole output and its exit code.
func run(t *testing.T, databaseURL, program string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"DATABASE_URL=" + databaseURL, "PORT=0"}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", program, err)
		return "", -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func execSQL(t *testing.T, databaseURL, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, target string) (int, string) {
	t.Helper()
	response, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	return readResponse(t, response)
}

func post(t *testing.T, base, name, message string) {
	t.Helper()
	body := bytes.NewBufferString(`{"name":"` + name + `","message":"` + message + `"}`)
	response, err := http.Post(base+"/api/entries", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := readResponse(t, response); status != http.StatusCreated {
		t.Fatalf("posting an entry: %d %s", status, body)
	}
}

func readResponse(t *testing.T, response *http.Response) (int, string) {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
