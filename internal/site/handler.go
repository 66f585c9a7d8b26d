package site

import (
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/libresh/libre/internal/web"
)

// contentTypes are those of the files of a site.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".atom": "application/atom+xml", ".pub": "application/x-pem-file",
}

// NewHandler serves the site in a folder, which it does not leave, to requests on this
// machine. Hidden files and folders without a page are not served.
func NewHandler(dir string) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if _, err := root.Stat("index.html"); err != nil {
		root.Close()
		return nil, err
	}
	return &handler{root.FS()}, nil
}

type handler struct{ files fs.FS }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	headers := w.Header()
	headers.Set("Content-Security-Policy", Policy+"; frame-ancestors 'none'")
	headers.Set("X-Content-Type-Options", "nosniff")
	headers.Set("Referrer-Policy", "no-referrer")
	headers.Set("Cross-Origin-Opener-Policy", "same-origin")
	headers.Set("Cross-Origin-Resource-Policy", "same-origin")
	headers.Set("Cache-Control", "no-cache")
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if strings.HasSuffix(r.URL.Path, "/") {
		name = path.Join(name, "index.html")
	}
	switch {
	case !web.IsLoopback(r.Host): // a page elsewhere whose name leads here
		http.Error(w, "this page is at localhost", http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		headers.Set("Allow", "GET, HEAD")
		http.Error(w, "pages can only be read", http.StatusMethodNotAllowed)
	case strings.HasPrefix(path.Base(name), ".") || contentTypes[path.Ext(name)] == "":
		http.NotFound(w, r)
	default:
		h.file(w, r, name)
	}
}

func (h *handler) file(w http.ResponseWriter, r *http.Request, name string) {
	content, err := fs.ReadFile(h.files, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // whoever asked is gone
	}
}
