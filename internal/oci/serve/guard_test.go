package serve

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// attack sends a request with the headers that a browser would send. host is the Host header.
func attack(t *testing.T, method, address, path, host, body string, header ...string) response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, string(said)}
}

// If a name leads to this machine, as in DNS rebinding, a page of that name has the same origin
// as this server. Its requests are refused, even reads.
func TestServeKnowsItsOwnNamesOnly(t *testing.T) {
	address := serve(t, newLayout(t, "docs:1"), filepath.Join(t.TempDir(), "w"))
	_, port, _ := strings.Cut(address, ":")
	for _, host := range []string{
		"evil.example:" + port, "evil.example", "127.0.0.1.nip.io:" + port, "localhost.evil.example:" + port,
		"evil.localhost:" + port, "192.0.2.1:" + port, "0.0.0.0:" + port, "[::ffff:192.0.2.1]:" + port, "localhost.:x",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			if r := attack(t, method, address, "/v2/docs/manifests/1", host, ""); r.status != http.StatusMisdirectedRequest {
				t.Errorf("%s as %s: %d %s", method, host, r.status, r.body)
			}
		}
	}
	for _, host := range []string{address, "localhost:" + port, "localhost", "LOCALHOST:" + port, "[::1]:" + port, "127.0.0.2:" + port} {
		if r := attack(t, "GET", address, "/v2/docs/manifests/1", host, ""); r.status != 200 {
			t.Errorf("as %s: %d %s", host, r.status, r.body)
		}
	}
}

// A page in a browser, of any site, can neither read nor write. A form cannot either.
func TestServeRefusesPages(t *testing.T) {
	address := serve(t, newLayout(t, "docs:1"), filepath.Join(t.TempDir(), "w"))
	upload := "/v2/docs/blobs/uploads/?digest=" + digestOf("x")
	for _, tt := range []struct {
		method, path string
		header       []string
		status       int
	}{
		{"POST", upload, []string{"Origin", "https://evil.example"}, 403},
		{"POST", upload, []string{"Origin", "null"}, 403},
		{"POST", upload, []string{"Origin", "http://" + address}, 403}, // an old page of another server on this port
		{"POST", upload, []string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}, 403},
		{"POST", upload, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "/v2/_catalog", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"GET", "/v2/docs/manifests/1", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Dest", "script"}, 403},
		{"PUT", "/v2/docs/manifests/2", []string{"Origin", "https://evil.example", "Content-Type", "application/vnd.oci.image.manifest.v1+json"}, 403},
		{"OPTIONS", "/v2/docs/manifests/2", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, 403},
		{"POST", upload, []string{"Content-Type", "text/plain"}, 415},
		{"POST", upload, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"POST", upload, []string{"Content-Type", "multipart/form-data; boundary=b"}, 415},
		{"POST", upload, []string{"Content-Type", "text/plain;charset=UTF-8"}, 415},
		{"PUT", "/v2/docs/manifests/2", []string{"Content-Type", "text/plain"}, 400},
		{"POST", upload, []string{"Content-Type", "application/octet-stream"}, 201},
		{"POST", upload, nil, 201},
		{"GET", "/v2/_catalog", []string{"Sec-Fetch-Site", "none"}, 200}, // typed by a person
	} {
		r := attack(t, tt.method, address, tt.path, address, "x", tt.header...)
		if r.status != tt.status {
			t.Errorf("%s %s %v: %d %s, want %d", tt.method, tt.path, tt.header, r.status, r.body, tt.status)
		}
		if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", tt.method, tt.path, r.header)
		}
	}
}

// Whatever is pushed, and however, the folder never holds more than the limit.
func TestServeKeepsNoMoreThanItsLimit(t *testing.T) {
	const limit = 1 << 20
	block := make([]byte, limit/4)
	for name, push := range map[string]func(t *testing.T, host string) response{
		"one blob": func(t *testing.T, host string) response {
			return request(t, "POST", host, "/v2/a/blobs/uploads/?digest="+digestOf("x"), strings.Repeat("x", 2*limit))
		},
		"many blobs": func(t *testing.T, host string) (last response) {
			for range 12 {
				_, _ = rand.Read(block)
				last = request(t, "POST", host, "/v2/a/blobs/uploads/?digest="+digestOf(string(block)), string(block))
			}
			return last
		},
		"uploads that are never ended": func(t *testing.T, host string) (last response) {
			for range 12 {
				started := request(t, "POST", host, "/v2/a/blobs/uploads/", "")
				last = request(t, "PATCH", host, started.header.Get("Location"), string(block))
			}
			return last
		},
		"one upload in chunks": func(t *testing.T, host string) (last response) {
			started := request(t, "POST", host, "/v2/a/blobs/uploads/", "")
			for range 12 {
				last = request(t, "PATCH", host, started.header.Get("Location"), string(block))
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "w")
			s, err := New("", dir)
			if err != nil {
				t.Fatal(err)
			}
			s.Limit = limit
			h := httptest.NewServer(s)
			defer func() { h.Close(); s.Close() }()
			host := strings.TrimPrefix(h.URL, "http://")
			if r := push(t, host); r.status != http.StatusRequestEntityTooLarge || !strings.Contains(r.body, "limit of 1048576 bytes") || !strings.Contains(r.body, "--limit") {
				t.Errorf("%d %s", r.status, r.body)
			}
			if kept := diskUsage(t, dir); kept > limit+64<<10 {
				t.Errorf("%d bytes are on the disk", kept)
			}
			// A refused push takes no room, so one that fits is accepted.
			if r := request(t, "POST", host, "/v2/a/blobs/uploads/?digest="+digestOf("y"), "y"); name == "one blob" && r.status != 201 {
				t.Errorf("one byte more: %d %s", r.status, r.body)
			}
		})
	}
	t.Run("what is there counts", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "w")
		s, err := New("", dir)
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(s)
		request(t, "POST", strings.TrimPrefix(h.URL, "http://"), "/v2/a/blobs/uploads/?digest="+digestOf(string(block)), string(block))
		h.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = New("", dir); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Limit = int64(len(block))
		h = httptest.NewServer(s)
		defer h.Close()
		if r := request(t, "POST", strings.TrimPrefix(h.URL, "http://"), "/v2/a/blobs/uploads/?digest="+digestOf("x"), "x"); r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}

// diskUsage returns the number of bytes that the files of a folder take on the disk.
func diskUsage(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() {
			bytes += 512 * info.Sys().(*syscall.Stat_t).Blocks
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// A link in a layout is not followed, neither to a file beside it nor into a folder.
func TestServeFollowsNoLinkInALayout(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	blob := digestOf("canary")
	link := func(from, to string) {
		t.Helper()
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, blob[7:]), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(dir string){
		"a blob": func(dir string) { link(secret, filepath.Join(dir, "blobs/sha256", blob[7:])) },
		"a blob, by a relation": func(dir string) {
			link("../../../"+filepath.Base(filepath.Dir(secret))+"/secret", filepath.Join(dir, "blobs/sha256", blob[7:]))
		},
		"the folder of a hash": func(dir string) { link(outside, filepath.Join(dir, "blobs/sha256")) },
		"a pipe": func(dir string) {
			if err := syscall.Mkfifo(filepath.Join(dir, "blobs/sha256", blob[7:]), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newLayout(t, "docs:1")
			host := serve(t, dir, "")
			plant(dir)
			if r := request(t, "GET", host, "/v2/docs/blobs/"+blob, ""); r.status == 200 || strings.Contains(r.body, "canary") {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	t.Run("the index", func(t *testing.T) {
		dir, other := newLayout(t, "docs:1"), newLayout(t, "hidden:1")
		link(filepath.Join(other, "index.json"), filepath.Join(dir, "index.json"))
		if s, err := New(dir, ""); err == nil {
			t.Errorf("it is served: %v", s)
		}
	})
	for _, entry := range []string{"blobs", "blobs/sha256", ".uploads", ".lock", "index.json"} {
		t.Run("where pushes are kept: "+entry, func(t *testing.T) {
			dir, target := filepath.Join(t.TempDir(), "w"), t.TempDir()
			s, err := New("", dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			canary := filepath.Join(target, "canary")
			if err := os.WriteFile(canary, []byte(`{"schemaVersion":2}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, entry)), 0o755); err != nil {
				t.Fatal(err)
			}
			to := target
			if strings.HasSuffix(entry, ".json") || entry == ".lock" {
				to = canary
			}
			link(to, filepath.Join(dir, entry))
			if s, err := New("", dir); err == nil {
				s.Close()
				t.Error("it is served")
			} else if !strings.Contains(fmt.Sprint(err), entry+" is a link") {
				t.Error(err)
			}
			if _, err := os.Stat(canary); err != nil {
				t.Errorf("the canary is gone: %v", err)
			}
		})
	}
}

// raw sends bytes unchanged, and returns the status of the answer; "" without an answer.
func raw(t *testing.T, address, bytes string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(connection, strings.ReplaceAll(bytes, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	return fmt.Sprint(answer.StatusCode)
}

// Requests that no client library sends, but that a browser, a proxy or another user may.
func TestServeRefusesOddRequests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	address := serve(t, newLayout(t, "docs:1"), dir)
	const manifest = " /v2/docs/manifests/1"
	upload := "POST /v2/docs/blobs/uploads/?digest=" + digestOf("x") + " HTTP/1.1\nHost: localhost\nContent-Length: 1\nConnection: close\n"
	for request, want := range map[string]string{
		"GET" + manifest + " HTTP/1.1\nHost: localhost\n\n":                                                                                       "200",
		"GET" + manifest + " HTTP/1.0\n\n":                                                                                                        "421",
		"GET" + manifest + " HTTP/1.1\n\n":                                                                                                        "400",
		"GET" + manifest + " HTTP/1.1\nHost:\n\n":                                                                                                 "421",
		"GET" + manifest + " HTTP/1.1\nHost: localhost\nHost: evil.example\n\n":                                                                   "400",
		"GET" + manifest + " HTTP/1.1\nHost: localhost, evil.example\n\n":                                                                         "400",
		"GET" + manifest + " HTTP/1.1\nHost: evil.example\nX-Forwarded-Host: localhost\n\n":                                                       "421",
		"GET http://evil.example" + manifest[1:] + " HTTP/1.1\nHost: localhost\n\n":                                                               "421",
		"GET http://evil.example@localhost" + manifest[1:] + " HTTP/1.1\nHost: evil.example\n\n":                                                  "200", // the name is localhost
		"GET" + manifest + " HTTP/1.1\nHost: user@localhost\n\n":                                                                                  "400",
		"GET" + manifest + " HTTP/1.1\nHost: localhost#evil.example\n\n":                                                                          "400",
		"GET" + manifest + " HTTP/1.1\nHost: 127.1\n\n":                                                                                           "421",
		"GET" + manifest + " HTTP/1.1\nHost: 2130706433:5000\n\n":                                                                                 "421",
		"GET" + manifest + " HTTP/1.1\nHost: [::ffff:7f00:1]\n\n":                                                                                 "200",
		"GET" + manifest + " HTTP/1.1\nHost: localhost\nOrigin:\n\n":                                                                              "403",
		"GET" + manifest + " HTTP/1.1\nHost: localhost\nOrigin:\nOrigin: https://evil.example\n\n":                                                "403",
		"GET" + manifest + " HTTP/1.1\nHost: localhost\nSec-Fetch-Site: none\nSec-Fetch-Site: cross-site\n\n":                                     "403",
		"GET" + manifest + " HTTP/1.1\nHost: localhost\nSec-Fetch-Site:\nSec-Fetch-Mode: no-cors\n\n":                                             "403",
		upload + "Content-Type: application/octet-stream\nContent-Type: text/plain\n\nx":                                                          "415",
		upload + "Content-Type: application/octet-stream, text/plain\n\nx":                                                                        "415",
		upload + "Content-Type: application/x-www-form-urlencoded\nX-HTTP-Method-Override: PUT\n\nx":                                              "415",
		"POST" + manifest + "?_method=DELETE HTTP/1.1\nHost: localhost\nX-HTTP-Method-Override: DELETE\nContent-Length: 0\n\n":                    "405",
		"DELETE /v2/docs/blobs/" + digestOf("x") + " HTTP/1.1\nHost: localhost\n\n":                                                               "405",
		"CONNECT evil.example:80 HTTP/1.1\nHost: localhost\n\n":                                                                                   "421",
		"GET /v2/docs/manifests/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\nHost: localhost\n\n":                                                        "404",
		"GET /v2/docs/../../../etc/passwd HTTP/1.1\nHost: localhost\n\n":                                                                          "404",
		"GET /v2/..%2f..%2fx/blobs/" + digestOf("x") + " HTTP/1.1\nHost: localhost\n\n":                                                           "400",
		"GET /v2/docs/blobs/sha256:..%2findex HTTP/1.1\nHost: localhost\n\n":                                                                      "404",
		"PATCH /v2/docs/blobs/uploads/..%2f..%2findex.json HTTP/1.1\nHost: localhost\nContent-Length: 1\n\nx":                                     "404",
		"PUT /v2/docs/manifests/%2e%2e HTTP/1.1\nHost: localhost\nContent-Length: 2\nContent-Type: application/vnd.oci.image.index.v1+json\n\n{}": "400",
		"GET" + manifest + "\x00 HTTP/1.1\nHost: localhost\n\n":                                                                                   "400",
		"PUT" + manifest + " HTTP/1.1\nHost: localhost\nContent-Length: 2\nTransfer-Encoding: chunked\n\n0\n\n":                                   "400",
	} {
		if got := raw(t, address, request); got != want {
			t.Errorf("%q: %s, expected %s", request, got, want)
		}
	}
}

// A request that stops sending is dropped, whatever it is.
func TestServeWaitsForNobody(t *testing.T) {
	pause := bodyTimeout
	bodyTimeout = 200 * time.Millisecond
	defer func() { bodyTimeout = pause }()
	dir := filepath.Join(t.TempDir(), "w")
	address := serve(t, "", dir)
	for _, request := range []string{
		"PUT /v2/docs/manifests/1 HTTP/1.1\nHost: localhost\nContent-Length: 100\nContent-Type: application/vnd.oci.image.index.v1+json\n\n{",
		"PUT /v2/docs/manifests/1 HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nContent-Type: application/vnd.oci.image.index.v1+json\n\n1\n{\n",
		"POST /v2/docs/blobs/uploads/?digest=" + digestOf("x") + " HTTP/1.1\nHost: localhost\nContent-Length: 100\n\nx",
		"POST /v2/docs/blobs/uploads/?digest=" + digestOf("x") + " HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n1\nx\n",
	} {
		started := time.Now()
		if status := raw(t, address, request); status == "201" || time.Since(started) > 5*time.Second {
			t.Errorf("%q: %s after %s", request, status, time.Since(started))
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".uploads/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}
