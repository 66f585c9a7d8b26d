package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// writeSite writes files, by their path relative to a new folder.
func writeSite(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const css = "body { color: black }\n"

func testSite(t *testing.T) *site {
	t.Helper()
	root := writeSite(t, map[string]string{
		"index.html":      "<p>home",
		"style.css":       css,
		"style.css.gz":    gzipped(t, css),
		"app.js":          "1",
		"data.tar.gz":     "an archive",
		"no-extension":    "<p>not a page",
		"docs/index.html": "<p>docs",
		"a:b/index.html":  "<p>odd",
	})
	outside := writeSite(t, map[string]string{"secret": "secret"})
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(root, "linked.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("docs", filepath.Join(root, "linked-folder")); err != nil {
		t.Fatal(err)
	}
	s, err := loadSite(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSite(t *testing.T) {
	handler := newHandler(testSite(t), nil)
	const html = "text/html; charset=utf-8"
	tests := []struct {
		method, target string
		status         int
		contentType    string
		body           string
	}{
		{"GET", "/", 200, html, "<p>home"},
		{"HEAD", "/", 200, html, ""},
		{"GET", "/index.html", 200, html, "<p>home"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8", css},
		{"GET", "/app.js", 200, "text/javascript; charset=utf-8", "1"},
		{"GET", "/no-extension", 200, "application/octet-stream", "<p>not a page"},
		{"GET", "/data.tar.gz", 200, "application/octet-stream", "an archive"},
		{"GET", "/docs/", 200, html, "<p>docs"},
		{"GET", "/linked.txt", 200, "text/plain; charset=utf-8", "secret"}, // the site's maker linked it
		{"GET", "/linked-folder/", 200, html, "<p>docs"},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},

		{"GET", "/style.css.gz", 404, "", "not found\n"},
		{"GET", "/nothing", 404, "", "not found\n"},
		{"GET", "/api/entries", 404, "", "not found\n"},
		{"GET", "/docs/%2e%2e/%2e%2e/secret", 404, "", "not found\n"},
		{"GET", "/..%2fsecret", 404, "", "not found\n"},
		{"POST", "/", 405, "", "method not allowed\n"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, httptest.NewRequest(test.method, test.target, nil))
			if recorder.Code == http.StatusTemporaryRedirect || recorder.Code == http.StatusMovedPermanently {
				// The mux sends an unclean path to its clean form.
				clean := recorder.Header().Get("Location")
				recorder = httptest.NewRecorder()
				handler.ServeHTTP(recorder, httptest.NewRequest(test.method, clean, nil))
			}
			if recorder.Code != test.status || recorder.Body.String() != test.body {
				t.Errorf("got %d %q, want %d %q", recorder.Code, recorder.Body, test.status, test.body)
			}
			header := recorder.Header()
			if got := header.Get("Content-Type"); test.contentType != "" && got != test.contentType {
				t.Errorf("content type %q, want %q", got, test.contentType)
			}
			for name, want := range securityHeaders {
				if got := header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if header.Get("Last-Modified") != "" {
				t.Error("there is a Last-Modified")
			}
		})
	}
}

func TestFolderRedirect(t *testing.T) {
	handler := newHandler(testSite(t), nil)
	for target, want := range map[string]string{"/docs": "./docs/", "/a:b": "./a:b/"} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", target, nil))
		if got := recorder.Header().Get("Location"); recorder.Code != 301 || got != want {
			t.Errorf("%s: got %d %q, want 301 %q", target, recorder.Code, got, want)
		}
	}
}

func TestGzipAndETag(t *testing.T) {
	handler := newHandler(testSite(t), nil)
	get := func(target string, header map[string]string) *httptest.ResponseRecorder {
		request := httptest.NewRequest("GET", target, nil)
		for name, value := range header {
			request.Header.Set(name, value)
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		return recorder
	}

	plain := get("/style.css", nil)
	compressed := get("/style.css", map[string]string{"Accept-Encoding": "br, gzip"})
	if got := compressed.Header().Get("Content-Encoding"); got != "gzip" {
		t.Errorf("content encoding %q", got)
	}
	if got := compressed.Header().Get("Content-Type"); got != "text/css; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	reader, err := gzip.NewReader(compressed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != css {
		t.Errorf("got %q, %v", got, err)
	}
	for name, r := range map[string]*httptest.ResponseRecorder{"plain": plain, "compressed": compressed} {
		if r.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: no Vary", name)
		}
	}
	if got := get("/app.js", map[string]string{"Accept-Encoding": "gzip"}); got.Header().Get("Content-Encoding") != "" {
		t.Error("a file without a compressed form has a content encoding")
	}

	tag, gzipTag := plain.Header().Get("ETag"), compressed.Header().Get("ETag")
	if tag == "" || tag == gzipTag {
		t.Errorf("etags %s and %s", tag, gzipTag)
	}
	if got := get("/style.css", map[string]string{"If-None-Match": tag}); got.Code != http.StatusNotModified || got.Body.Len() != 0 {
		t.Errorf("status %d with the right etag", got.Code)
	}
	if got := get("/style.css", map[string]string{"If-None-Match": gzipTag, "Accept-Encoding": "gzip"}); got.Code != http.StatusNotModified {
		t.Errorf("status %d with the right etag of the compressed form", got.Code)
	}
	if got := get("/style.css", map[string]string{"If-None-Match": `"other"`}); got.Code != http.StatusOK {
		t.Errorf("status %d with another etag", got.Code)
	}
	if got := get("/style.css", map[string]string{"Range": "bytes=0-3"}); got.Code != http.StatusPartialContent || got.Body.String() != css[:4] {
		t.Errorf("range: status %d, body %q", got.Code, got.Body)
	}
}

func TestAcceptsGzip(t *testing.T) {
	tests := map[string]bool{
		"":                      false,
		"gzip":                  true,
		"GZIP":                  true,
		"gzip, deflate, br":     true,
		"br;q=1.0, gzip;q=0.8":  true,
		"gzip;q=0":              false,
		"gzip;q=0.000":          false,
		"gzip; q=1":             true,
		"gzip;q=nonsense":       false,
		"*":                     true,
		"*;q=0":                 false,
		"gzip;q=0, *":           false,
		"*;q=0, gzip":           true,
		"identity":              false,
		"x-gzip-not-really, br": false,
	}
	for header, want := range tests {
		if got := acceptsGzip([]string{header}); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

func TestLoadSiteErrors(t *testing.T) {
	empty := t.TempDir()
	dangling := writeSite(t, map[string]string{"index.html": "x"})
	if err := os.Symlink("nowhere", filepath.Join(dangling, "link")); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{
		empty:                           "has no index.html",
		filepath.Join(empty, "missing"): "no such file",
		dangling:                        "no such file",
	} {
		if _, err := loadSite(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestBackendURL(t *testing.T) {
	for _, value := range []string{"backend:8080", "ftp://backend", "http://", "http://user:hunter2@[", "/path"} {
		if _, err := backendURL(value); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got error %v", value, err)
		}
	}
	if u, err := backendURL(""); u != nil || err != nil {
		t.Errorf(`"": got %v, %v`, u, err)
	}
	if u, err := backendURL("http://backend:8080"); err != nil || u.Host != "backend:8080" {
		t.Errorf("got %v, %v", u, err)
	}
}

func TestProxy(t *testing.T) {
	log.SetOutput(io.Discard)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "of the backend")
		w.WriteHeader(http.StatusCreated)
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.URL.String()+" "+string(body))
	}))
	u, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(newHandler(testSite(t), u))
	defer front.Close()

	post := func() (int, string, http.Header) {
		t.Helper()
		response, err := http.Post(front.URL+"/api/entries?limit=2&x=%2F", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body), response.Header
	}

	status, body, header := post()
	if want := "POST /api/entries?limit=2&x=%2F hello"; status != http.StatusCreated || body != want {
		t.Errorf("got %d %q, want 201 %q", status, body, want)
	}
	for _, name := range slices.Sorted(maps.Keys(securityHeaders)) {
		if got := header.Values(name); len(got) != 1 || got[0] != securityHeaders[name] {
			t.Errorf("%s is %q", name, got)
		}
	}

	backend.Close()
	status, body, _ = post()
	if want := `{"error":"the backend does not answer"}` + "\n"; status != http.StatusBadGateway || body != want {
		t.Errorf("without a backend: got %d %q, want 502 %q", status, body, want)
	}
}
