package site

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inFolder writes the site of the sample into a folder.
func inFolder(t testing.TB, catalogue Catalogue, apps ...*App) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range written(t, catalogue, apps...) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHandlerServesPagesAndNothingElse(t *testing.T) {
	catalogue, apps := sample()
	dir := inFolder(t, catalogue, apps...)
	outside := filepath.Join(t.TempDir(), "secret.html")
	for file, content := range map[string]string{outside: "secret", filepath.Join(dir, ".libre-site"): "secret", filepath.Join(dir, ".x.html"): "secret", filepath.Join(dir, "notes"): "secret"} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.html")); err != nil {
		t.Fatal(err)
	}
	h, err := NewHandler(dir)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, host, target string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://"+host+target, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.HasSuffix(policy, "; frame-ancestors 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", target, w.Header())
		}
		return w
	}
	for target, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/fr/": "text/html; charset=utf-8", "/apps/docs.html": "text/html; charset=utf-8",
		"/style.css": "text/css; charset=utf-8", "/script.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
		"/feed.atom": "application/atom+xml", "/catalogue.json": "application/json", "/cosign.pub": "application/x-pem-file",
	} {
		if w := ask("GET", "localhost:5000", target); w.Code != 200 || w.Header().Get("Content-Type") != kind || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
	if w := ask("HEAD", "127.0.0.1", "/index.html"); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	for _, target := range []string{"/.libre-site", "/.x.html", "/notes", "/link.html", "/apps", "/apps/", "/../" + outside, "/no.html", "/apps/docs.html/"} {
		if w := ask("GET", "localhost", target); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := ask("POST", "localhost", "/index.html"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	if w := ask("GET", "attacker.example", "/index.html"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", w.Code)
	}
	if page, err := os.ReadFile("../../docs/site.md"); err != nil || !strings.Contains(string(page), Policy+"; frame-ancestors 'none'\n") {
		t.Errorf("docs/site.md has another policy: %v", err)
	}
	if _, err := NewHandler(t.TempDir()); err == nil {
		t.Error("a folder without pages is served")
	}
}
