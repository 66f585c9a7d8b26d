package serve

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// uploads are the blobs that are being pushed, each in a file of its own until
// its digest is verified. They do not outlive the server: a client whose upload
// is unknown begins it again.
type uploads struct {
	dir  string
	room room

	mu   sync.Mutex
	open map[string]*upload // by id
}

type upload struct {
	id, repo, path string

	mu   sync.Mutex // held by the one request that works on it
	size int64      // bytes in the file
}

const maxOpenUploads = 256 // more than any client has

var uploadPause = 2 * time.Minute // the longest without a byte, before a request is given up

// room counts the bytes of the writable directory.
type room struct{ used atomic.Int64 }

// take asks for so many bytes more.
func (r *room) take(bytes, limit int64) error {
	if used := r.used.Add(bytes); used > limit {
		r.used.Add(-bytes)
		return errorf(http.StatusRequestEntityTooLarge, "SIZE_INVALID", "what is pushed would take more than the limit of %d bytes: serve --limit sets it", limit)
	}
	return nil
}

// roomWriter takes the room of what is written before it is written.
type roomWriter struct {
	io.Writer
	room    *room
	limit   int64
	written int64
}

func (w *roomWriter) Write(p []byte) (int, error) {
	if err := w.room.take(int64(len(p)), w.limit); err != nil {
		return 0, err
	}
	w.written += int64(len(p))
	return w.Writer.Write(p)
}

// patientBody gives up a request whose next byte does not come.
type patientBody struct {
	io.Reader
	connection *http.ResponseController
}

func (b patientBody) Read(p []byte) (int, error) {
	_ = b.connection.SetReadDeadline(time.Now().Add(uploadPause)) // a recorder of tests has no deadline
	return b.Reader.Read(p)
}

// newUploads counts what the writable folder holds, and drops what a killed server
// left.
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
	u.room.used.Store(used)
	return u, err
}

func (u *uploads) removeFiles() error {
	entries, err := os.ReadDir(u.dir)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(u.dir, e.Name())))
	}
	return err
}

// bytesIn is the size of all files in a folder.
func bytesIn(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

func (u *uploads) start(repo string) (*upload, error) {
	id := rand.Text()
	up := &upload{id: id, repo: repo, path: filepath.Join(u.dir, id)}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.open) >= maxOpenUploads {
		return nil, errorf(http.StatusTooManyRequests, "TOOMANYREQUESTS", "%d uploads are not ended yet: end them, or start the server again", maxOpenUploads)
	}
	if err := os.WriteFile(up.path, nil, 0o644); err != nil {
		return nil, err
	}
	u.open[id] = up
	return up, nil
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

// forget ends an upload; its file may have become a blob, which keeps its room.
func (u *uploads) forget(up *upload) error {
	u.mu.Lock()
	delete(u.open, up.id)
	u.mu.Unlock()
	err := os.Remove(up.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		u.room.used.Add(-up.size)
	}
	return err
}

func errUploadUnknown() error {
	return errorf(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload: begin it again")
}

// append adds a request's body. It adds all of it or nothing, so that a client
// whose connection broke can send the same chunk again.
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
				"the chunk begins at byte %d, the upload goes on at %d", first, up.size)
		}
		length = last - first + 1
	}
	f, err := os.OpenFile(up.path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errUploadUnknown() // another request has ended it just now
	} else if err != nil {
		return err
	}
	into := &roomWriter{Writer: f, room: &s.uploads.room, limit: s.Limit}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Truncate(up.size))
			into.room.used.Add(-into.written)
		}
		err = errors.Join(err, f.Close())
	}()
	if _, err := f.Seek(up.size, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(into, patientBody{r.Body, http.NewResponseController(w)})
	if err != nil {
		return bodyError(err)
	}
	if length >= 0 && n != length {
		return errorf(http.StatusBadRequest, "SIZE_INVALID", "the chunk has %d bytes, its Content-Range says %d", n, length)
	}
	up.size += n
	return nil
}

// verify compares the whole upload with the digest that it must have.
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

// startUpload answers POST: an upload is begun, or it is all in this request
// (digest), or nothing is to be uploaded (mount).
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
	up.mu.Lock()
	defer up.mu.Unlock()
	if query.Has("digest") {
		if err := s.finishUpload(w, r, up); err != nil {
			return errors.Join(err, s.uploads.forget(up))
		}
		return nil
	}
	up.report(w, http.StatusAccepted)
	return nil
}

// upload answers to all that can be done with an upload that was begun.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, name, id string) error {
	up, ok := s.uploads.get(name, id)
	if !ok {
		return errUploadUnknown()
	}
	up.mu.Lock()
	defer up.mu.Unlock()
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

// finishUpload takes the last bytes and makes the upload a blob. One that has
// another digest than the client says is dropped.
func (s *Server) finishUpload(w http.ResponseWriter, r *http.Request, up *upload) (err error) {
	digest, err := v1.NewHash(r.URL.Query().Get("digest"))
	if err != nil {
		up.headers(w)
		return errorf(http.StatusBadRequest, "DIGEST_INVALID", "%q is no digest", r.URL.Query().Get("digest"))
	}
	if err := s.append(up, w, r); err != nil {
		up.headers(w)
		return err
	}
	defer func() { err = errors.Join(err, s.uploads.forget(up)) }()
	if err := up.verify(digest); err != nil {
		return err
	}
	defer s.uploads.room.used.Add(-s.writable.sizeOf(digest)) // the same blob, which it replaces
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

// headers say where an upload goes on. "0-0" is what registries have always
// answered for one that is empty.
func (up *upload) headers(w http.ResponseWriter) {
	w.Header().Set("Location", "/v2/"+up.repo+"/blobs/uploads/"+up.id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(up.size-1, 0)))
}
