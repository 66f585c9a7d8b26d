// Package registry deals with OCI registries, and is one.
package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

// A Server is an OCI distribution registry over a directory with an OCI image
// layout, as the distribution specification has it:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
//
// An image's repository and tag come from the reference name in the layout's
// index: "docs-backend-default:5.4.1-1" is tag 5.4.1-1 of docs-backend-default.
// What is written into the layout while it is served is served too.
//
// It knows no users, and belongs on a loopback address only: it answers to the
// names of that alone, and to no page in a browser (refuseStrangers).
type Server struct {
	// Limit is how many bytes the writable directory may hold: what was there when
	// the server was made, blobs, manifests and unfinished uploads.
	Limit int64

	writable *imageLayout // takes what is pushed; nil: read-only
	layouts  []*imageLayout
	uploads  *uploads // of writable
}

// DefaultLimit is more than a catalogue of a hundred large images has.
const DefaultLimit = 100 << 30

// NewServer serves the layout in layoutDir. Where writableDir is not "", it
// takes pushes as well and keeps them there, in a layout of its own that is
// made if need be and served besides the first; no two servers can write into
// one directory. Where the layouts differ about a tag, writableDir's is served.
// layoutDir may be "" for a server of writableDir alone.
func NewServer(layoutDir, writableDir string) (*Server, error) {
	s := &Server{Limit: DefaultLimit}
	if writableDir != "" {
		if sameDir(layoutDir, writableDir) {
			return nil, fmt.Errorf("serve %s: pushes need a directory of their own", writableDir)
		}
		w, err := createLayout(writableDir)
		if err != nil {
			return nil, fmt.Errorf("serve %s: %w", writableDir, err)
		}
		if s.uploads, err = newUploads(writableDir); err != nil {
			return nil, fmt.Errorf("serve %s: %w", writableDir, err)
		}
		s.writable = w
		s.layouts = append(s.layouts, w)
	}
	if layoutDir != "" {
		s.layouts = append(s.layouts, &imageLayout{dir: layoutDir})
	}
	for _, l := range s.layouts {
		if _, err := l.repositories(); err != nil {
			return nil, errors.Join(fmt.Errorf("serve %s: %w", l.dir, err), s.Close())
		}
	}
	return s, nil
}

// Close drops unfinished uploads and lets another server write into the
// writable directory. Requests must have ended.
func (s *Server) Close() error {
	if s.uploads == nil {
		return nil
	}
	return s.uploads.close()
}

func sameDir(a, b string) bool {
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

// createLayout makes an empty layout, or takes the one that is there. It does
// not scatter its files into a directory that is used for something else.
func createLayout(dir string) (*imageLayout, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := &imageLayout{dir: dir}
	if err := refuseLinks(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err == nil {
		return l, nil
	}
	if len(entries) > 0 {
		return nil, errors.New("the directory is neither empty nor an OCI layout")
	}
	// The file that says that it is a layout comes last.
	if err := l.writeIndex(nil); err != nil {
		return nil, err
	}
	return l, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// Names and tags are matched before they are used for anything. Grammar:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var (
	nameRegexp = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRegexp  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const maxNameLength = 255

// An apiError is what a client gets for an answer. Codes:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
type apiError struct {
	status  int
	code    string
	message string
	allow   string // methods, for 405
}

func (e *apiError) Error() string { return e.message }

func errorf(status int, code, format string, args ...any) error {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func errMethod(r *http.Request, allow string) error {
	return &apiError{http.StatusMethodNotAllowed, "UNSUPPORTED", r.Method + " is not supported here", allow}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	// What is served was made by others, and is shown by no browser.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	err := refuseStrangers(r)
	if err == nil {
		err = s.route(w, r)
	}
	if err == nil {
		return
	}
	e := &apiError{status: http.StatusInternalServerError, code: "UNKNOWN", message: err.Error()}
	errors.As(err, &e)
	if e.allow != "" {
		w.Header().Set("Allow", e.allow)
	}
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, e.status, "application/json", map[string][]detail{"errors": {{e.code, e.message}}})
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	w.Write(b)
	return nil
}

// The endpoints below a repository. Names have any number of parts, so that a
// path is told by its end: the first pattern that matches counts.
var endpoints = []struct {
	path   *regexp.Regexp
	handle func(s *Server, w http.ResponseWriter, r *http.Request, name, arg string) error
}{
	{regexp.MustCompile(`^/v2/(.+)/manifests/([^/]+)$`), (*Server).manifest},
	{regexp.MustCompile(`^/v2/(.+)/tags/(list)$`), (*Server).tags},
	{regexp.MustCompile(`^/v2/(.+)/referrers/([^/]+)$`), (*Server).referrers},
	{regexp.MustCompile(`^/v2/(.+)/blobs/uploads(/?)$`), (*Server).startUpload},
	{regexp.MustCompile(`^/v2/(.+)/blobs/uploads/([^/]+)$`), (*Server).upload},
	{regexp.MustCompile(`^/v2/(.+)/blobs/([^/]+)$`), (*Server).blob},
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reading && s.writable == nil {
		return &apiError{http.StatusMethodNotAllowed, "UNSUPPORTED",
			`this registry is read-only: "libre serve --writable DIR" accepts pushes and keeps them in DIR`, "GET, HEAD"}
	}
	if reading {
		switch r.URL.Path {
		case "/v2", "/v2/":
			return writeJSON(w, http.StatusOK, "application/json", struct{}{})
		case "/v2/_catalog":
			return s.catalog(w, r)
		}
	}
	for _, e := range endpoints {
		m := e.path.FindStringSubmatch(r.URL.Path)
		if m == nil {
			continue
		}
		if len(m[1]) > maxNameLength || !nameRegexp.MatchString(m[1]) {
			return errorf(http.StatusBadRequest, "NAME_INVALID", "%q is no name of a repository", m[1])
		}
		return e.handle(s, w, r, m[1], m[2])
	}
	return errorf(http.StatusNotFound, "UNSUPPORTED", "no such endpoint: %s %s", r.Method, r.URL.Path)
}
