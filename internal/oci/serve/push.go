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

// maxManifestSize is what the specification asks a registry to take at least.
const maxManifestSize = 4 << 20

func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, name, arg string) error {
	body, err := io.ReadAll(patientBody{http.MaxBytesReader(w, r.Body, maxManifestSize), http.NewResponseController(w)})
	if err != nil {
		return bodyError(err)
	}
	tag, digest, err := manifestTarget(arg, body)
	if err != nil {
		return err
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return errorf(http.StatusBadRequest, "MANIFEST_INVALID", "read Content-Type: %v", err)
	}
	facts, err := s.checkManifest(types.MediaType(mediaType), body)
	if err != nil {
		return err
	}
	// Its entries in the index take room too, also where it is there already.
	room := int64(len(body) + 2*(len(name)+len(arg)+256))
	if err := s.uploads.room.take(room-s.writable.sizeOf(digest), s.Limit); err != nil {
		return err
	}
	if err := s.writable.AddBlob(r.Context(), digest, bytes.NewReader(body)); err != nil {
		return err
	}
	d := v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: digest, Size: int64(len(body))}
	err = s.writable.update(func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		// The digest has an entry too: it outlives its tags.
		entries = layout.SetRefName(entries, name+"@"+digest.String(), d, nil)
		if tag != "" {
			entries = layout.SetRefName(entries, name+":"+tag, d, nil)
		}
		return entries, nil
	})
	if err != nil {
		return err
	}
	if facts.Subject != nil {
		// Says that the referrers API knows it: no fallback tag is needed.
		w.Header().Set("OCI-Subject", facts.Subject.Digest.String())
	}
	w.Header().Set("Location", "/v2/"+name+"/manifests/"+arg)
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// manifestTarget reads what a manifest is pushed as: a tag, or the digest that
// it must have.
func manifestTarget(arg string, body []byte) (tag string, digest v1.Hash, err error) {
	if tagRegexp.MatchString(arg) {
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

// checkManifest refuses what no client could pull.
func (s *Server) checkManifest(mediaType types.MediaType, body []byte) (manifestFacts, error) {
	invalid := func(format string, args ...any) (manifestFacts, error) {
		return manifestFacts{}, errorf(http.StatusBadRequest, "MANIFEST_INVALID", format, args...)
	}
	var facts manifestFacts
	if !mediaType.IsImage() && !mediaType.IsIndex() {
		return invalid("%s is not the media type of an image manifest or an index", mediaType)
	}
	if err := json.Unmarshal(body, &facts); err != nil {
		return invalid("read manifest: %v", err)
	}
	if facts.MediaType != "" && facts.MediaType != mediaType {
		return invalid("the manifest has media type %s, and is pushed as %s", facts.MediaType, mediaType)
	}
	needs := slices.Concat(facts.Layers, facts.Manifests)
	if mediaType.IsImage() {
		if facts.Config == nil {
			return invalid("the manifest has no config")
		}
		needs = append(needs, *facts.Config)
	}
	for _, d := range needs {
		if len(d.URLs) > 0 {
			continue // kept elsewhere
		}
		if ok, err := s.hasBlob(d.Digest); err != nil {
			return manifestFacts{}, err
		} else if !ok {
			return manifestFacts{}, errorf(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest refers to %s, which is not here", d.Digest)
		}
	}
	return facts, nil
}

// deleteManifest takes the name from a manifest: a tag, or with a digest all
// that the repository calls it. Its blobs stay, other images may use them.
func (s *Server) deleteManifest(w http.ResponseWriter, _ *http.Request, name, arg string) error {
	digest, digestErr := v1.NewHash(arg)
	err := s.writable.update(func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
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

// errNotDeletable is about a manifest that is not among the pushed ones.
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
					fmt.Sprintf("%s has %q from a layout that is served read-only", name, arg), "GET, HEAD"}
			}
		}
	}
	return errManifestUnknown(name, arg)
}

// bodyError tells a request that was cut off from a failure of our own.
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
