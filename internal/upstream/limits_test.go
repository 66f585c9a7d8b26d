package upstream_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
)

// sparseTar returns a tar of a few hundred bytes with one file of the given size, all of it a
// hole. In version 1.0 of GNU tar's format, the map is before the content.
// https://www.gnu.org/software/tar/manual/html_node/PAX-1.html
func sparseTar(t *testing.T, version string, size int64) []byte {
	t.Helper()
	record := func(key, value string) string {
		length := len(key) + len(value) + 3
		for length != len(fmt.Sprint(length))+len(key)+len(value)+3 {
			length = len(fmt.Sprint(length)) + len(key) + len(value) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", length, key, value)
	}
	header := func(name string, kind byte, size int) []byte {
		b := make([]byte, 512)
		copy(b, name)
		copy(b[100:], "0000644\x000000000\x000000000\x00")
		copy(b[124:], fmt.Sprintf("%011o\x00%011o\x00        ", size, 0))
		b[156] = kind
		copy(b[257:], "ustar\x0000")
		sum := 0
		for _, c := range b {
			sum += int(c)
		}
		copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
		return b
	}
	padded := func(text string) []byte { return append([]byte(text), make([]byte, (512-len(text)%512)%512)...) }
	var records, body string
	switch version {
	case "1.0":
		records = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "top/f") + record("GNU.sparse.realsize", fmt.Sprint(size))
		body = string(padded(fmt.Sprintf("1\n%d\n0\n", size)))
	case "0.1":
		records = record("GNU.sparse.major", "0") + record("GNU.sparse.minor", "1") + record("GNU.sparse.name", "top/f") + record("GNU.sparse.size", fmt.Sprint(size)) + record("GNU.sparse.numblocks", "1") + record("GNU.sparse.map", fmt.Sprintf("%d,0", size))
	}
	all := bytes.Join([][]byte{header("x", 'x', len(records)), padded(records), header("top/f", '0', len(body)), []byte(body), make([]byte, 1024)}, nil)
	return all
}

// The limit is for written bytes: a small archive of any kind writes no more.
func TestArchiveWritesNoMoreThanItsLimit(t *testing.T) {
	const limit = 1 << 20
	many := func(n int, size int64) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for i := range n {
			must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("top/", i), Mode: 0o644, Size: size}))
			_, err := io.CopyN(w, zeroes{}, size)
			must(t, err)
		}
		must(t, w.Close())
		must(t, z.Close())
		return b.Bytes()
	}
	for name, content := range map[string][]byte{
		"a hole, PAX 1.0":      sparseTar(t, "1.0", 256<<20),
		"a hole, PAX 0.1":      sparseTar(t, "0.1", 256<<20),
		"a hole, compressed":   gzipped(t, sparseTar(t, "1.0", 256<<20)),
		"one file of zeroes":   many(1, 64<<20),
		"many files of zeroes": many(64, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			written := writtenHere(t)
			_, err := upstream.HashArchive(bytes.NewReader(content), upstream.ArchiveLimits{Bytes: limit, Entries: 1000})
			if err == nil || !strings.Contains(err.Error(), "limit of 1048576 bytes") {
				t.Errorf("%d bytes: %v", len(content), err)
			}
			if kept := written(); kept > limit+512<<10 {
				t.Errorf("%d bytes were written", kept)
			}
		})
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// writtenHere returns a function that returns the bytes that this process has written since.
// For root, temporary files are on a separate small disk, so a failure only fills that.
func writtenHere(t *testing.T) func() int64 {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if os.Geteuid() == 0 && syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m") == nil {
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	before := written(t)
	return func() int64 { return written(t) - before }
}

// written returns the number of bytes that this process has passed to write(2): wchar of
// /proc/self/io.
func written(t *testing.T) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &bytes); err == nil {
			return bytes
		}
	}
	t.Fatal("no wchar")
	return 0
}

// A very slow answer ends at the deadline for the whole answer.
func TestSlowAnswersMeetADeadline(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request, text string) {
		for i := 0; r.Context().Err() == nil; i++ {
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a body of drops": func(w http.ResponseWriter, r *http.Request) { drip(w, r, "x") },
		"no header":       func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"errors without end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"redirects and drops": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/there", http.StatusFound)
				return
			}
			drip(w, r, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer func() { server.CloseClientConnections(); server.Close() }()
			client, err := upstream.New(upstream.Config{Getenv: func(string) string { return "" }, Deadline: 400 * time.Millisecond})
			must(t, err)
			began := time.Now()
			request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/", nil)
			must(t, err)
			response, err := client.HTTP().Do(request)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "takes longer than 400ms") || !strings.Contains(err.Error(), "limits.answer") {
				t.Error(err)
			}
			if took := time.Since(began); took > testkit.Patience {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Bytes that git fetches and packs count while they are written, not afterwards.
func TestGitWritesNoMoreThanItsLimit(t *testing.T) {
	testkit.Require(t, "git")
	const limit = 2 << 20
	for name, script := range map[string]string{
		"one large file":       `head -c 20000000 /dev/urandom > large`,
		"many files":           `for i in $(seq 20); do head -c 1000000 /dev/urandom > "f$i"; done`,
		"zeroes, packed small": `head -c 50000000 /dev/zero > large`,
		"the same file often":  `head -c 1000000 /dev/urandom > f; for i in $(seq 40); do cp f "f$i"; done`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			commit := shell(t, dir, script+` && git init -q . && git add . && git commit -qm one && git rev-parse HEAD`)
			must(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o700))
			t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
			client, err := upstream.New(upstream.Config{Getenv: func(string) string { return "" },
				Limits: upstream.ArchiveLimits{Bytes: limit, Entries: 1000}})
			must(t, err)
			most := testkit.MostIn(os.TempDir())
			_, err = client.GitArchive(t.Context(), "file://"+dir, commit)
			if err == nil || !strings.Contains(err.Error(), "limit of 2097152 bytes: raise limits.archive") {
				t.Error(err)
			}
			if kept := most(); kept > 5*limit {
				t.Errorf("%d bytes were written", kept)
			}
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// Other programs that send requests have the same deadline as answers.
func TestProgramsMeetTheDeadline(t *testing.T) {
	testkit.Require(t, "git", "go")
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer func() { server.CloseClientConnections(); server.Close() }()
	for name, value := range map[string]string{
		"GOMODCACHE": t.TempDir(), "GOFLAGS": "-modcacherw", "GONOSUMDB": "*", "GOINSECURE": "git.example", "GOVCS": "*:git",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "url." + server.URL + ".insteadOf", "GIT_CONFIG_VALUE_0": "https://git.example", "GIT_ALLOW_PROTOCOL": "https:http",
	} {
		t.Setenv(name, value)
	}
	settings := map[string]string{"GOPROXY": "direct"}
	client, err := upstream.New(upstream.Config{Getenv: func(name string) string { return settings[name] }, Deadline: time.Second})
	must(t, err)
	module, err := client.Open(upstream.Source{Kind: "goModule", Location: "git.example/o/m.git"})
	must(t, err)
	for what, ask := range map[string]func(context.Context) error{
		"the versions of a module": func(ctx context.Context) error { _, err := module.Tags(ctx); return err },
		"a version of a module":    func(ctx context.Context) error { _, err := module.Release(ctx, "v1.0.0"); return err },
		"a module": func(ctx context.Context) error {
			_, err := client.ModuleArchive(ctx, "git.example/o/m.git", "v1.0.0")
			return err
		},
		"a commit": func(ctx context.Context) error {
			_, err := client.GitArchive(ctx, server.URL+"/o/m.git", strings.Repeat("a", 40))
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
			defer cancel()
			if err := ask(ctx); err == nil || !strings.Contains(err.Error(), "takes longer than 1s: raise limits.answer") {
				t.Error(err)
			}
		})
	}
}
