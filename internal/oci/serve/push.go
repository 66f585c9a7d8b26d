package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
)

// maxManifestSize is the size that the specification wants every registry to accept.
const maxManifestSize = 4 << 20

func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, name, arg string) error {
	body, err := io.ReadAll(timedBody{http.MaxBytesReader(w, r.Body, maxManifestSize), http.NewResponseController(w)})
	if err != nil {
		return bodyError(err)
	}
	tag, digest, err := manifestTarget(arg, body)
	if err != nil {
		return err
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return errorf(http.StatusBadRequest, "MANIFEST_INVALID", "reading Content-Type: %v", err)
	}
	info, err := s.checkManifest(types.MediaType(mediaType), body)
	if err != nil {
		return err
	}
	// Its entries in index.json count too, also if the manifest is known already.
	room := int64(len(body) + 2*(len(name)+len(arg)+256))
	if err := s.uploads.quota.take(room-s.writable.sizeOf(digest), s.Limit); err != nil {
		return err
	}
	if err := s.writable.AddBlob(r.Context(), digest, bytes.NewReader(body)); err != nil {
		return err
	}
	d := v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: digest, Size: int64(len(body))}
	err = s.writable.update(name, func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		// The digest has an entry of its own: it stays when its tags move.
		entries = layout.SetRefName(entries, name+"@"+digest.String(), d, nil)
		if tag != "" {
			entries = layout.SetRefName(entries, name+":"+tag, d, nil)
		}
		return entries, nil
	})
	if err != nil {
		return err
	}
	if info.Subject != nil {
		// Tells the client that no fallback tag for referrers is needed.
		w.Header().Set("OCI-Subject", info.Subject.Digest.String())
	}
	w.Header().Set("Location", "/v2/"+name+"/manifests/"+arg)
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// manifestTarget reads the last part of the URL: a tag, or the manifest's digest.
func manifestTarget(arg string, body []byte) (tag string, digest v1.Hash, err error) {
	if tagRegexp().MatchString(arg) {
		sum := sha256.Sum256(body)
		return arg, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, nil
	}
	digest, err = v1.NewHash(arg)
	if err != nil {
		return "", v1.Hash{}, errorf(http.StatusBadRequest, "MANIFEST_INVALID", "%q is neither tag nor digest", arg)
	}
	h, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return "", v1.Hash{}, err
	}
	h.Write(body)
	if got := hex.EncodeToString(h.Sum(nil)); got != digest.Hex {
		return "", v1.Hash{}, errorf(http.StatusBadRequest, "DIGEST_INVALID", "the manifest has digest %s:%s, not %s", digest.Algorithm, got, digest)
	}
	return "", digest, nil
}

// checkManifest refuses a manifest that clients cannot pull.
func (s *Server) checkManifest(mediaType types.MediaType, body []byte) (manifestInfo, error) {
	invalid := func(format string, args ...any) (manifestInfo, error) {
		return manifestInfo{}, errorf(http.StatusBadRequest, "MANIFEST_INVALID", format, args...)
	}
	var info manifestInfo
	if !mediaType.IsImage() && !mediaType.IsIndex() {
		return invalid("%s is neither the media type of an image manifest nor of an index", mediaType)
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return invalid("reading the manifest: %v", err)
	}
	if info.MediaType != "" && info.MediaType != mediaType {
		return invalid("the manifest has media type %s, but was pushed as %s", info.MediaType, mediaType)
	}
	needs := slices.Concat(info.Layers, info.Manifests)
	if mediaType.IsImage() {
		if info.Config == nil {
			return invalid("the manifest has no config")
		}
		needs = append(needs, *info.Config)
	}
	for _, d := range needs {
		if len(d.URLs) > 0 {
			continue // stored elsewhere
		}
		if ok, err := s.hasBlob(d.Digest); err != nil {
			return manifestInfo{}, err
		} else if !ok {
			return manifestInfo{}, errorf(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest refers to %s, which this registry does not have", d.Digest)
		}
	}
	return info, nil
}

// deleteManifest deletes a tag or, given a digest, all entries of the repository for
// that manifest. Blobs stay: other images may use them.
func (s *Server) deleteManifest(w http.ResponseWriter, _ *http.Request, name, arg string) error {
	digest, digestErr := v1.NewHash(arg)
	err := s.writable.update(name, func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		kept := slices.DeleteFunc(slices.Clone(entries), func(d v1.Descriptor) bool {
			repo, tag, ok := splitRefName(d.Annotations[layout.RefNameAnnotation])
			if !ok || repo != name {
				return false
			}
			return tag == arg || digestErr == nil && d.Digest == digest
		})
		if len(kept) == len(entries) {
			return nil, s.errNotDeletable(name, arg)
		}
		return kept, nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// errNotDeletable explains why there is nothing to delete: the manifest is unknown, or
// in the layout that is read-only.
func (s *Server) errNotDeletable(name, arg string) error {
	for _, l := range s.layouts {
		if l == s.writable {
			continue
		}
		repos, err := l.repositories()
		if err != nil {
			return err
		}
		if repo := repos[name]; repo != nil {
			if _, ok := repo.find(arg); ok {
				return &apiError{http.StatusMethodNotAllowed, "UNSUPPORTED",
					fmt.Sprintf("%q of %s is in a layout that is served read-only", arg, name), "GET, HEAD"}
			}
		}
	}
	return errManifestUnknown(name, arg)
}

// bodyError turns an error that occurred while reading a request into an error for the client.
func bodyError(err error) error {
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		return errorf(http.StatusRequestEntityTooLarge, "SIZE_INVALID", "more than %d bytes", tooLarge.Limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errorf(http.StatusBadRequest, "SIZE_INVALID", "the request ended early")
	}
	return err
}
