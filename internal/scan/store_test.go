package scan_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/testkit"
)

var (
	now     = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	records = []scantest.Record{
		{ID: "GHSA-aaaa-bbbb-cccc", Aliases: []string{"CVE-2026-1001"}, Severity: "critical", EPSS: 0.42, KEV: true,
			Ecosystem: "go-module", Package: "golang.org/x/net", Affected: "< 0.40.0", FixedIn: "0.40.0", Description: "reads on"},
		{ID: "CVE-2026-1002", Severity: "low", CPE: "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", Affected: "< 3.0.18"},
	}
)

// database writes a database that was built some time ago.
func database(t testing.TB, age time.Duration) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := scantest.Write(dir, now.Add(-age), records...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func programPath(t testing.TB) string {
	t.Helper()
	programs, err := testkit.Programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, inspect.Program)
}

func matcher(t testing.TB) *scan.Matcher {
	t.Helper()
	m := scan.NewMatcherAt(programPath(t), 0)
	t.Cleanup(m.Close)
	return m
}

// emptyStore makes a store. notes receives its notes.
func emptyStore(t testing.TB) (s *scan.Store, notes *[]string) {
	t.Helper()
	notes = new([]string)
	return &scan.Store{
		Dir: filepath.Join(t.TempDir(), "vulnerabilities"), Matcher: matcher(t), Transport: http.DefaultTransport,
		Now: func() time.Time { return now }, Note: func(format string, args ...any) { *notes = append(*notes, fmt.Sprintf(format, args...)) },
	}, notes
}

// distribution serves a database as grype's are distributed, and counts requests.
type distribution struct {
	*httptest.Server
	dir      string
	requests []string
	broken   int // status of every answer; 0: none
}

func serve(t *testing.T, database string) *distribution {
	t.Helper()
	d := &distribution{dir: t.TempDir()}
	d.publish(t, database)
	files := http.FileServer(http.Dir(d.dir))
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.requests = append(d.requests, r.URL.Path)
		if d.broken != 0 {
			w.WriteHeader(d.broken)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *distribution) publish(t *testing.T, database string) (archive string) {
	t.Helper()
	archive, err := scantest.Publish(d.dir, database)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// A database is read from a folder, grype's own cache, a file, an archive, or a server.
func TestOpen(t *testing.T) {
	dir := database(t, 24*time.Hour)
	server := serve(t, dir)
	cache := t.TempDir()
	if err := os.Rename(database(t, 24*time.Hour), filepath.Join(cache, "6")); err != nil {
		t.Fatal(err)
	}
	archive := server.publish(t, dir)
	for what, source := range map[string]string{
		"folder":        dir,
		"grype's cache": cache,
		"file":          filepath.Join(dir, "vulnerability.db"),
		"archive":       archive,
		"server":        server.URL,
		"listing":       server.URL + "/v6/latest.json",
		"archive's URL": server.URL + "/v6/" + filepath.Base(archive),
	} {
		s, _ := emptyStore(t)
		for range 2 {
			opened, err := s.Open(t.Context(), source)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				break
			}
			if !opened.Built.Equal(now.Add(-24*time.Hour)) || !strings.HasPrefix(opened.Schema, "6.") {
				t.Errorf("%s: %+v", what, opened.Database)
			}
			if got := opened.Describe(now); !strings.HasPrefix(got, "vulnerability database of 2026-11-27, 1 day old, from ") {
				t.Errorf("%s: %s", what, got)
			}
		}
		kept, _ := filepath.Glob(filepath.Join(s.Dir, "*/*"))
		if want := map[bool]int{true: 0, false: 1}[what == "folder" || what == "grype's cache"]; len(kept) != want {
			t.Errorf("%s: the store has %v", what, kept)
		}
	}
}

// The store asks a server once in two hours. It asks only for the listing unless there is a new
// database. If the server does not answer, the store uses its database until it is too old.
func TestUpdates(t *testing.T) {
	server := serve(t, database(t, 48*time.Hour))
	s, notes := emptyStore(t)
	at := now
	s.Now = func() time.Time { return at }
	open := func(what, built string, requests int, note string) {
		t.Helper()
		server.requests, *notes = nil, nil
		opened, err := s.Open(t.Context(), server.URL)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if day := opened.Built.Format(time.DateOnly); day != built || len(server.requests) != requests || !strings.Contains(strings.Join(*notes, "\n"), note) {
			t.Errorf("%s: %s after %v, notes %q", what, day, server.requests, *notes)
		}
	}
	open("first", "2026-11-26", 2, "downloading the vulnerability database of 2026-11-26 from 127.0.0.1")
	open("again", "2026-11-26", 0, "")
	at = now.Add(3 * time.Hour)
	open("after three hours", "2026-11-26", 1, "")
	open("again", "2026-11-26", 0, "")
	server.publish(t, database(t, time.Hour))
	at = now.Add(6 * time.Hour)
	open("a new one", "2026-11-28", 2, "downloading")
	// The former database stays for runs that are about to read it, and is removed the next day.
	folders, _ := filepath.Glob(filepath.Join(s.Dir, "database-*"))
	if len(folders) != 2 {
		t.Errorf("kept: %v", folders)
	}
	for _, folder := range folders {
		yesterday := time.Now().Add(-25 * time.Hour)
		if err := os.Chtimes(folder, yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	server.publish(t, database(t, 30*time.Minute))
	at = now.Add(9 * time.Hour)
	open("the next", "2026-11-28", 2, "downloading")
	if folders, _ := filepath.Glob(filepath.Join(s.Dir, "database-*")); len(folders) != 2 {
		t.Errorf("kept the next day: %v", folders)
	}
	server.broken = http.StatusNotFound
	at = now.Add(24 * time.Hour)
	open("no answer", "2026-11-28", 1, "the server answers 404 Not Found; give another database with --db: using the database of 2026-11-28")
	at = now.Add(7 * 24 * time.Hour)
	if _, err := s.Open(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("too old, and no answer: %v", err)
	}
}

// An error in a database is reported in one line.
func TestOpenRefuses(t *testing.T) {
	dir := database(t, time.Hour)
	alter := func(statement string) string {
		other := database(t, time.Hour)
		if err := scantest.Alter(other, statement); err != nil {
			t.Fatal(err)
		}
		return other
	}
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "db.tar.zst")
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	whole, err := os.ReadFile(serve(t, dir).publish(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct{ source, want string }{
		"nothing there":    {"/nowhere/db", "the vulnerability database /nowhere/db does not exist; give --db a folder"},
		"empty folder":     {t.TempDir(), "there is no vulnerability.db"},
		"device":           {"/dev/zero", "/dev/zero is neither a folder nor a file"},
		"old":              {database(t, 9*24*time.Hour), "is too old: it was built 9 days ago, on 2026-11-19; give a newer one with --db, or raise scan.maxAge in libre.yaml (now 5 days)"},
		"of the future":    {database(t, -48*time.Hour), "was built in the future, on 2026-11-30: its age is not known; check the clock of this machine"},
		"older schema":     {alter("UPDATE db_metadata SET model = 5"), "not a v6 database"},
		"newer schema":     {alter("UPDATE db_metadata SET model = 7"), "not a v6 database"},
		"cut-off database": {file("SQLite format 3\x00" + strings.Repeat("\x00", 1000)), "reading /"},
		"no tables":        {alter("DROP TABLE db_metadata"), "cannot be read"},
		"text":             {file("<html>"), "unpacking the vulnerability database /"},
		"empty file":       {file(""), "it has no vulnerability.db"},
		"cut-off archive":  {file(string(whole[:len(whole)/2])), "unpacking the vulnerability database /"},
		"faulty archive":   {file(string(bytes.Replace(whole, whole[1000:1004], []byte("oops"), 1))), "unpacking the vulnerability database /"},
		"other archive":    {file("\x1f\x8b"), "unpacking the vulnerability database /"},
		"unencrypted":      {"http://mirror.example/databases", "is not encrypted: anybody on the way could hide vulnerabilities; use https://"},
		"another scheme":   {"ftp://mirror.example/databases", "the address of the vulnerability database is not valid"},
		"login in address": {"http://me:secret@mirror.example/databases?token=secret", "http://mirror.example/databases is not encrypted"},
	} {
		s, _ := emptyStore(t)
		_, err := s.Open(t.Context(), test.source)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want one line with %q", what, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), s.Dir) {
			t.Errorf("%s: the error names a file of the store: %v", what, err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.Dir, "*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", what, left)
		}
	}
}

// A server's answer is checked before it is used.
func TestDownloadRefuses(t *testing.T) {
	const sum = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	server := serve(t, database(t, time.Hour))
	answer := ""
	handler := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "latest.json") {
			_, _ = io.WriteString(w, answer)
			return
		}
		handler.ServeHTTP(w, r)
	})
	name := filepath.Base(server.publish(t, database(t, time.Hour)))
	for what, test := range map[string]struct{ answer, want string }{
		"a login page":     {"<html>", "it is not the listing of a vulnerability database"},
		"nothing":          {"", "it is not the listing"},
		"another schema":   {`{"schemaVersion":"v7.0.0","path":"x.tar.zst","checksum":"` + sum + `"}`, `the database has the schema "v7.0.0", and libre reads schema 6`},
		"the old listing":  {`{"available":{"5":[]}}`, `the database has the schema ""`},
		"no checksum":      {`{"schemaVersion":"v6.1.0","path":"x.tar.zst"}`, "it has no SHA-256 checksum"},
		"a weak checksum":  {`{"schemaVersion":"v6.1.0","path":"x.tar.zst","checksum":"md5:00"}`, "it has no SHA-256 checksum"},
		"no archive":       {`{"schemaVersion":"v6.1.0","checksum":"` + sum + `"}`, "it names no archive"},
		"missing archive":  {`{"schemaVersion":"v6.1.0","path":"x.tar.zst","checksum":"` + sum + `"}`, "/v6/x.tar.zst: the server answers 404 Not Found"},
		"another archive":  {`{"schemaVersion":"v6.1.0","path":"` + name + `","checksum":"` + sum + `"}`, "its checksum is not that of the listing"},
		"above the server": {`{"schemaVersion":"v6.1.0","path":"../../../../etc/passwd","checksum":"` + sum + `"}`, "/v6/etc/passwd: the server answers 404"},
	} {
		answer = test.answer
		s, _ := emptyStore(t)
		_, err := s.Open(t.Context(), server.URL)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", what, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), s.Dir) {
			t.Errorf("%s: the error names a file of the store: %v", what, err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.Dir, "*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", what, left)
		}
	}
	server.Close()
	s, _ := emptyStore(t)
	if _, err := s.Open(t.Context(), server.URL); !fault.Is(err, fault.Unreachable) {
		t.Errorf("no server: %v", err)
	}
}
