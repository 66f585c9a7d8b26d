// Package serve is an OCI registry over image layouts on disk:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/oci/layout"
)

// A Server is a registry over a folder with an OCI image layout.
//
// An image's repository and tag come from its name in index.json:
// "docs-backend-default:5.4.1-1" is tag 5.4.1-1 of docs-backend-default. The server sees
// changes of the layout at once.
//
// The server has no users and no TLS: listen on a loopback address only. It refuses requests to
// other host names, and requests from pages in a browser.
type Server struct {
	// Limit is how many bytes the writable folder may hold, unfinished uploads
	// included.
	Limit int64

	writable *served // receives pushes; nil: read-only
	layouts  []*served
	uploads  *uploads // of writable
}

// DefaultLimit is more than a catalogue of a hundred large images needs.
const DefaultLimit = 100 << 30

// New serves the layout in dir. If writable is not "", the server also accepts pushes,
// stores them in a second layout in that folder, which it creates if needed, and serves
// both. A tag in writable hides the same tag in dir. dir may be "" to serve writable
// alone. Only one process at a time can write to writable: for another one the error is
// layout.ErrLocked.
func New(dir, writable string) (*Server, error) {
	s := &Server{Limit: DefaultLimit}
	if writable != "" {
		if sameDir(dir, writable) {
			return nil, fmt.Errorf("serving %s: pushes need a directory of their own", writable)
		}
		l, err := layout.Create(context.Background(), writable, nil)
		if err != nil {
			return nil, err
		}
		s.writable = &served{Layout: l}
		s.layouts = append(s.layouts, s.writable)
		if s.uploads, err = newUploads(writable); err != nil {
			return nil, errors.Join(fmt.Errorf("serving %s: %w", writable, err), l.Close())
		}
	}
	if dir != "" {
		l, err := layout.Open(dir)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.layouts = append(s.layouts, &served{Layout: l})
	}
	for _, l := range s.layouts {
		if _, err := l.repositories(); err != nil {
			return nil, errors.Join(fmt.Errorf("serving %s: %w", l.Dir(), err), s.Close())
		}
	}
	return s, nil
}

// Close drops unfinished uploads and unlocks the writable folder. Call it after the last
// request has ended.
func (s *Server) Close() error {
	if s.writable == nil {
		return nil
	}
	return errors.Join(s.uploads.removeFiles(), s.writable.Close())
}

func sameDir(a, b string) bool {
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

// Names and tags are checked before they are used. Grammar:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var (
	nameRegexp = lazyregexp.New(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRegexp  = lazyregexp.New(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const maxNameLength = 255

// An apiError is an error as the client receives it. Codes:
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
	// A browser must not display the content, which others made.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	err := refuseBrowsers(r)
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

// The endpoints of a repository. A name has any number of parts, so the end of the path
// decides: the first pattern that matches counts.
var endpoints = []struct {
	path   func() *regexp.Regexp
	handle func(s *Server, w http.ResponseWriter, r *http.Request, name, arg string) error
}{
	{lazyregexp.New(`^/v2/(.+)/manifests/([^/]+)$`), (*Server).manifest},
	{lazyregexp.New(`^/v2/(.+)/tags/(list)$`), (*Server).tags},
	{lazyregexp.New(`^/v2/(.+)/referrers/([^/]+)$`), (*Server).referrers},
	{lazyregexp.New(`^/v2/(.+)/blobs/uploads(/?)$`), (*Server).startUpload},
	{lazyregexp.New(`^/v2/(.+)/blobs/uploads/([^/]+)$`), (*Server).upload},
	{lazyregexp.New(`^/v2/(.+)/blobs/([^/]+)$`), (*Server).blob},
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reading && s.writable == nil {
		return &apiError{http.StatusMethodNotAllowed, "UNSUPPORTED",
			`this registry is read-only: "libre serve --writable DIR" accepts pushes and stores them in DIR`, "GET, HEAD"}
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
		m := e.path().FindStringSubmatch(r.URL.Path)
		if m == nil {
			continue
		}
		if len(m[1]) > maxNameLength || !nameRegexp().MatchString(m[1]) {
			return errorf(http.StatusBadRequest, "NAME_INVALID", "%q is not the name of a repository", m[1])
		}
		return e.handle(s, w, r, m[1], m[2])
	}
	return errorf(http.StatusNotFound, "UNSUPPORTED", "no such endpoint: %s %s", r.Method, r.URL.Path)
}
