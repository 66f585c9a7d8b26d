package publish

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
)

// A sink is a registry that accepts everything and keeps only digests and sizes. It does
// not check digests, because its own work is not measured.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
type sink struct {
	mux      *http.ServeMux
	sessions atomic.Int64
	requests atomic.Int64
	received atomic.Int64 // bytes

	mu    sync.Mutex
	sizes map[string]int64 // by repository/digest
	types map[string]string
}

func newSink() *sink {
	s := &sink{mux: http.NewServeMux(), sizes: map[string]int64{}, types: map[string]string{}}
	s.mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	s.mux.HandleFunc("HEAD /v2/{name}/blobs/{digest}", s.head)
	s.mux.HandleFunc("HEAD /v2/{name}/manifests/{digest}", s.head)
	s.mux.HandleFunc("POST /v2/{name}/blobs/uploads/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", path.Join(r.URL.Path, strconv.FormatInt(s.sessions.Add(1), 10)))
		w.WriteHeader(http.StatusAccepted)
	})
	s.mux.HandleFunc("PUT /v2/{name}/blobs/uploads/{session}", func(w http.ResponseWriter, r *http.Request) {
		size, err := io.Copy(io.Discard, r.Body)
		s.take(w, r, r.URL.Query().Get("digest"), size, err)
	})
	s.mux.HandleFunc("PUT /v2/{name}/manifests/{digest}", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		size, err := io.Copy(sum, r.Body)
		s.take(w, r, fmt.Sprintf("sha256:%x", sum.Sum(nil)), size, err)
	})
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.mux.ServeHTTP(w, r)
}

func (s *sink) take(w http.ResponseWriter, r *http.Request, digest string, size int64, err error) {
	if err != nil || size != r.ContentLength {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.received.Add(size)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.PathValue("name") + "/" + digest
	s.sizes[key], s.types[key] = size, r.Header.Get("Content-Type")
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func (s *sink) head(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.PathValue("name") + "/" + r.PathValue("digest")
	size, there := s.sizes[key]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Docker-Content-Digest", r.PathValue("digest"))
	w.Header().Set("Content-Type", s.types[key])
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
}
