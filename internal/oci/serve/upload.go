package serve

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// uploads are the blobs that clients are pushing, each in a file of its own until its
// digest is verified. They do not survive a restart: a client starts an unknown upload
// again.
type uploads struct {
	dir   string
	quota quota

	mu   sync.Mutex
	open map[string]*upload // by id
}

type upload struct {
	id, repo, path string

	mu      sync.Mutex // held by the one request that works on it
	size    int64      // bytes in the file
	touched time.Time  // end of the last request
}

const maxUploads = 256 // at once

// minIdle is the time without a request after which an upload can be dropped for a new one.
// Many clients at once, and one client that asks whether it may push to many repositories, have
// more than maxUploads, of which they use few.
var minIdle = time.Second

var bodyTimeout = 2 * time.Minute // without a byte, until the server drops a request

// timedBody fails when no byte arrives for bodyTimeout.
type timedBody struct {
	io.Reader
	connection *http.ResponseController
}

func (b timedBody) Read(p []byte) (int, error) {
	_ = b.connection.SetReadDeadline(time.Now().Add(bodyTimeout)) // a test's recorder has no deadline
	return b.Reader.Read(p)
}

// newUploads removes the uploads of a killed server and measures the writable folder.
func newUploads(writable string) (*uploads, error) {
	dir := filepath.Join(writable, ".uploads")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	u := &uploads{dir: dir, open: map[string]*upload{}}
	if err := u.removeFiles(); err != nil {
		return nil, err
	}
	used, err := bytesIn(writable)
	u.quota.used.Store(used)
	return u, err
}

func (u *uploads) removeFiles() error {
	entries, err := os.ReadDir(u.dir)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(u.dir, e.Name())))
	}
	return err
}

// start begins an upload. The caller works on it: it holds its mu.
func (u *uploads) start(repo string) (*upload, error) {
	id := rand.Text()
	up := &upload{id: id, repo: repo, path: filepath.Join(u.dir, id)}
	up.mu.Lock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.open) >= maxUploads {
		if err := u.dropIdle(); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(up.path, nil, 0o644); err != nil {
		return nil, err
	}
	u.open[id] = up
	return up, nil
}

// dropIdle drops the upload that has waited the longest for a request. The caller holds mu.
func (u *uploads) dropIdle() error {
	var idle *upload
	for _, up := range u.open {
		if !up.mu.TryLock() {
			continue
		}
		if time.Since(up.touched) < minIdle || idle != nil && !up.touched.Before(idle.touched) {
			up.mu.Unlock()
			continue
		}
		if idle != nil {
			idle.mu.Unlock()
		}
		idle = up
	}
	if idle == nil {
		return errorf(http.StatusTooManyRequests, "TOOMANYREQUESTS", "%d uploads are open: try again", maxUploads)
	}
	defer idle.mu.Unlock()
	delete(u.open, idle.id)
	return u.remove(idle)
}

func (u *uploads) get(repo, id string) (*upload, bool) {
	if u == nil {
		return nil, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	up, ok := u.open[id]
	return up, ok && up.repo == repo
}

// forget ends an upload. Its bytes still count if its file became a blob.
func (u *uploads) forget(up *upload) error {
	u.mu.Lock()
	delete(u.open, up.id)
	u.mu.Unlock()
	return u.remove(up)
}

// remove removes the file of an upload.
func (u *uploads) remove(up *upload) error {
	err := os.Remove(up.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		u.quota.used.Add(-up.size)
	}
	return err
}

// end ends a request that works on an upload.
func (up *upload) end() {
	up.touched = time.Now()
	up.mu.Unlock()
}

func errUploadUnknown() error {
	return errorf(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload: start it again")
}

// append adds the body of a request: all of it or nothing, so that a client can send
// the same chunk again after a broken connection.
func (s *Server) append(up *upload, w http.ResponseWriter, r *http.Request) (err error) {
	if err := checkBlobType(r); err != nil {
		return err
	}
	length := int64(-1)
	if chunk := r.Header.Get("Content-Range"); chunk != "" {
		var first, last int64
		if n, err := fmt.Sscanf(chunk, "%d-%d", &first, &last); n != 2 || err != nil || last < first {
			return errorf(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "Content-Range %q is not FIRST-LAST", chunk)
		}
		if first != up.size {
			return errorf(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID",
				"the chunk starts at byte %d, the next byte of the upload is %d", first, up.size)
		}
		length = last - first + 1
	}
	f, err := os.OpenFile(up.path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errUploadUnknown() // another request ended it meanwhile
	} else if err != nil {
		return err
	}
	into := &quotaWriter{Writer: f, quota: &s.uploads.quota, limit: s.Limit}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Truncate(up.size))
			into.quota.used.Add(-into.written)
		}
		err = errors.Join(err, f.Close())
	}()
	if _, err := f.Seek(up.size, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(into, timedBody{r.Body, http.NewResponseController(w)})
	if err != nil {
		return bodyError(err)
	}
	if length >= 0 && n != length {
		return errorf(http.StatusBadRequest, "SIZE_INVALID", "the chunk has %d bytes, its Content-Range has %d", n, length)
	}
	up.size += n
	return nil
}

// verify checks the digest of the whole upload.
func (up *upload) verify(digest v1.Hash) error {
	h, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return err
	}
	f, err := os.Open(up.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest.Hex {
		return errorf(http.StatusBadRequest, "DIGEST_INVALID", "the %d bytes sent have digest %s:%s, not %s", up.size, digest.Algorithm, got, digest)
	}
	return nil
}

// startUpload answers POST. It starts an upload, accepts a blob that this request contains
// whole (digest), or finds the blob in another repository (mount).
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request, name, _ string) error {
	if r.Method != http.MethodPost {
		return errMethod(r, "POST")
	}
	if err := checkBlobType(r); err != nil {
		return err
	}
	query := r.URL.Query()
	if mount, err := v1.NewHash(query.Get("mount")); err == nil {
		if ok, err := s.hasBlob(mount); err != nil {
			return err
		} else if ok {
			return blobCreated(w, name, mount)
		}
	}
	up, err := s.uploads.start(name)
	if err != nil {
		return err
	}
	defer up.end()
	if query.Has("digest") {
		if err := s.finishUpload(w, r, up); err != nil {
			return errors.Join(err, s.uploads.forget(up))
		}
		return nil
	}
	up.report(w, http.StatusAccepted)
	return nil
}

// upload answers requests for an open upload.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, name, id string) error {
	up, ok := s.uploads.get(name, id)
	if !ok {
		return errUploadUnknown()
	}
	up.mu.Lock()
	defer up.end()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		up.report(w, http.StatusNoContent)
	case http.MethodPatch:
		if err := s.append(up, w, r); err != nil {
			up.headers(w)
			return err
		}
		up.report(w, http.StatusAccepted)
	case http.MethodPut:
		return s.finishUpload(w, r, up)
	case http.MethodDelete:
		if err := s.uploads.forget(up); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		return errMethod(r, "GET, HEAD, PATCH, PUT, DELETE")
	}
	return nil
}

// finishUpload takes the last bytes and makes the upload a blob. It drops an upload whose
// digest differs from the client's.
func (s *Server) finishUpload(w http.ResponseWriter, r *http.Request, up *upload) (err error) {
	digest, err := v1.NewHash(r.URL.Query().Get("digest"))
	if err != nil {
		up.headers(w)
		return errorf(http.StatusBadRequest, "DIGEST_INVALID", "%q is not a digest", r.URL.Query().Get("digest"))
	}
	if err := s.append(up, w, r); err != nil {
		up.headers(w)
		return err
	}
	defer func() { err = errors.Join(err, s.uploads.forget(up)) }()
	if err := up.verify(digest); err != nil {
		return err
	}
	defer s.uploads.quota.used.Add(-s.writable.sizeOf(digest)) // the size of the blob that it replaces, if it exists
	if err := s.writable.MoveBlob(up.path, digest); err != nil {
		return err
	}
	return blobCreated(w, up.repo, digest)
}

func blobCreated(w http.ResponseWriter, name string, digest v1.Hash) error {
	w.Header().Set("Location", "/v2/"+name+"/blobs/"+digest.String())
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (up *upload) report(w http.ResponseWriter, status int) {
	up.headers(w)
	w.WriteHeader(status)
}

// headers tell the client where to continue. Registries answer "0-0" for an empty
// upload.
func (up *upload) headers(w http.ResponseWriter) {
	w.Header().Set("Location", "/v2/"+up.repo+"/blobs/uploads/"+up.id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(up.size-1, 0)))
}
