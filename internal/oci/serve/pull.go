package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// repository returns what each layout has of a repository, the writable layout first;
// nothing if the name is unknown.
func (s *Server) repository(name string) ([]*repository, error) {
	var parts []*repository
	for _, l := range s.layouts {
		repos, err := l.repositories()
		if err != nil {
			return nil, err
		}
		if repo := repos[name]; repo != nil {
			parts = append(parts, repo)
		}
	}
	return parts, nil
}

// openBlob finds a blob in any layout: all repositories share the blobs, so that one
// image's push can mount those of another.
func (s *Server) openBlob(digest v1.Hash) (*os.File, error) {
	for _, l := range s.layouts {
		f, _, err := l.OpenBlob(digest)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return f, err
	}
	return nil, fs.ErrNotExist
}

func (s *Server) hasBlob(digest v1.Hash) (bool, error) {
	f, err := s.openBlob(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, f.Close()
}

// serveBlob answers with a blob or a range of it. It ignores Accept: a digest has one
// content.
func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request, digest v1.Hash, mediaType types.MediaType) error {
	f, err := s.openBlob(digest)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", string(mediaType))
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.Header().Set("ETag", `"`+digest.String()+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func (s *Server) blob(w http.ResponseWriter, r *http.Request, name, arg string) error {
	digest, err := v1.NewHash(arg)
	if err != nil {
		return errorf(http.StatusBadRequest, "DIGEST_INVALID", "%q is not a digest", arg)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errMethod(r, "GET, HEAD") // no blob is deleted: another image may use it
	}
	parts, err := s.repository(name)
	if err != nil {
		return err
	}
	// A first push asks for blobs before its repository exists.
	if len(parts) == 0 && s.writable == nil {
		return errNameUnknown(name)
	}
	err = s.serveBlob(w, r, digest, "application/octet-stream")
	if errors.Is(err, fs.ErrNotExist) {
		return errorf(http.StatusNotFound, "BLOB_UNKNOWN", "there is no blob %s", digest)
	}
	return err
}

func errNameUnknown(name string) error {
	return errorf(http.StatusNotFound, "NAME_UNKNOWN", "there is no repository %s", name)
}

func (s *Server) manifest(w http.ResponseWriter, r *http.Request, name, arg string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.getManifest(w, r, name, arg)
	case http.MethodPut:
		return s.putManifest(w, r, name, arg)
	case http.MethodDelete:
		return s.deleteManifest(w, r, name, arg)
	}
	return errMethod(r, "GET, HEAD, PUT, DELETE")
}

func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, name, arg string) error {
	parts, err := s.repository(name)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return errNameUnknown(name)
	}
	for _, repo := range parts {
		d, ok := repo.find(arg)
		if !ok {
			continue
		}
		err := s.serveBlob(w, r, d.Digest, d.MediaType)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		return err
	}
	return errManifestUnknown(name, arg)
}

func errManifestUnknown(name, arg string) error {
	return errorf(http.StatusNotFound, "MANIFEST_UNKNOWN", "%s has no %q", name, arg)
}

// find takes a tag or a digest.
func (r *repository) find(arg string) (v1.Descriptor, bool) {
	if digest, err := v1.NewHash(arg); err == nil {
		d, ok := r.manifests[digest]
		return d, ok
	}
	d, ok := r.tags[arg]
	return d, ok
}

func (s *Server) tags(w http.ResponseWriter, r *http.Request, name, _ string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errMethod(r, "GET, HEAD")
	}
	parts, err := s.repository(name)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return errNameUnknown(name)
	}
	var tags []map[string]v1.Descriptor
	for _, repo := range parts {
		tags = append(tags, repo.tags)
	}
	list, err := page(w, r, sortedKeys(tags...))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string]any{"name": name, "tags": list})
}

func (s *Server) catalog(w http.ResponseWriter, r *http.Request) error {
	var all []map[string]*repository
	for _, l := range s.layouts {
		repos, err := l.repositories()
		if err != nil {
			return err
		}
		all = append(all, repos)
	}
	list, err := page(w, r, sortedKeys(all...))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string]any{"repositories": list})
}

// page cuts a sorted list to the first n entries after last, as the query asks, and adds a link
// to the rest.
func page(w http.ResponseWriter, r *http.Request, list []string) ([]string, error) {
	query := r.URL.Query()
	if last := query.Get("last"); last != "" {
		i, found := slices.BinarySearch(list, last)
		if found {
			i++
		}
		list = list[i:]
	}
	if query.Has("n") {
		n, err := strconv.Atoi(query.Get("n"))
		if err != nil || n < 0 {
			return nil, errorf(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n=%q is not a number of entries", query.Get("n"))
		}
		if n < len(list) {
			list = list[:n]
			if n > 0 {
				rest := url.Values{"n": {strconv.Itoa(n)}, "last": {list[n-1]}}
				w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, rest.Encode()))
			}
		}
	}
	if list == nil {
		list = []string{} // not null
	}
	return list, nil
}

// referrers answers with an index of the manifests that have a digest as their subject.
// The specification wants an empty index, never 404, for an unknown digest.
func (s *Server) referrers(w http.ResponseWriter, r *http.Request, name, arg string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errMethod(r, "GET, HEAD")
	}
	subject, err := v1.NewHash(arg)
	if err != nil {
		return errorf(http.StatusBadRequest, "DIGEST_INVALID", "%q is not a digest", arg)
	}
	parts, err := s.repository(name)
	if err != nil {
		return err
	}
	artifactType := r.URL.Query().Get("artifactType")
	found := []v1.Descriptor{}
	seen := map[v1.Hash]bool{}
	for _, repo := range parts {
		for _, d := range repo.referrers[subject] {
			if !seen[d.Digest] && (artifactType == "" || d.ArtifactType == artifactType) {
				seen[d.Digest] = true
				found = append(found, d)
			}
		}
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	return writeJSON(w, http.StatusOK, string(types.OCIImageIndex),
		v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: found})
}
