package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Manifest is a manifest in a registry. Digest, size and media type are taken from the
// content: the headers of answers often lack them or differ.
type Manifest struct {
	v1.Descriptor
	Content []byte
}

// acceptManifests are the manifests that libre understands.
var acceptManifests = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// anyRefusal lists the statuses of a permanent refusal: all 4xx except those that ask to
// log in or to try again, and 501.
var anyRefusal = func() []int {
	all := []int{http.StatusNotImplemented}
	for status := http.StatusBadRequest; status < http.StatusInternalServerError; status++ {
		switch status {
		case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		default:
			all = append(all, status)
		}
	}
	return all
}()

// Head returns the descriptor of a manifest, or ErrNotFound. If the registry does not
// support HEAD, or leaves out what the specification only recommends, such as the digest,
// Head reads the manifest.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#checking-if-content-exists-in-the-registry
func (c *Client) Head(ctx context.Context, reference name.Reference) (*v1.Descriptor, error) {
	found, err := c.Describe(ctx, reference)
	if err != nil {
		return nil, explain("looking at "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return found, nil
}

// HeadAt returns what Head returns, given an expected digest. If the registry names another
// one, HeadAt reads the manifest, because not all registries name the right digest.
func (c *Client) HeadAt(ctx context.Context, reference name.Reference, expected string) (*v1.Descriptor, error) {
	found, err := c.Head(ctx, reference)
	if err != nil || found.Digest.String() == expected {
		return found, err
	}
	got, err := c.Get(ctx, reference)
	if err != nil {
		return nil, err
	}
	return &got.Descriptor, nil
}

// Digest returns the digest that a full reference, such as "python:3.13-alpine", points
// to: of the index, if there is one.
func (c *Client) Digest(ctx context.Context, reference string) (string, error) {
	parsed, err := c.Parse(reference)
	if err != nil {
		return "", err
	}
	found, err := c.Head(ctx, parsed)
	if err != nil {
		return "", err
	}
	return found.Digest.String(), nil
}

// Describe returns what Head returns, for callers that add to the error themselves what failed.
// If there is no such manifest, the error is a *Refusal with status 404.
func (c *Client) Describe(ctx context.Context, reference name.Reference) (*v1.Descriptor, error) {
	found, status, err := c.head(ctx, reference)
	switch {
	case err != nil || found != nil:
		return found, err
	case status == http.StatusNotFound && c.heads(reference).Load():
		return nil, refusal(&transport.Error{StatusCode: status})
	}
	got, err := c.ReadManifest(ctx, reference)
	if err != nil {
		return nil, err
	}
	return &got.Descriptor, nil
}

// has reports whether a repository has a manifest. It may have one even if has returns false.
func (c *Client) has(ctx context.Context, reference name.Digest) (bool, error) {
	_, status, err := c.head(ctx, reference)
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		if _, err = c.Get(ctx, reference); errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	if err != nil {
		err = explain("looking at "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return status == http.StatusOK, err
}

// heads returns the record of whether a registry has answered HEAD correctly. Only after that
// does 404 mean that there is no such manifest.
func (c *Client) heads(reference name.Reference) *atomic.Bool {
	known, _ := c.headed.LoadOrStore(reference.Context().RegistryStr(), &atomic.Bool{})
	return known.(*atomic.Bool)
}

// head returns a manifest's descriptor from the answer to HEAD, and its status. The
// descriptor is nil if the answer is incomplete.
func (c *Client) head(ctx context.Context, reference name.Reference) (*v1.Descriptor, int, error) {
	request := pullRequest{reference.Context(), http.MethodHead, "manifests/" + reference.Identifier(), acceptManifests}
	response, err := c.pull(ctx, request, append([]int{http.StatusOK, http.StatusUnauthorized}, anyRefusal...)...)
	if err != nil {
		return nil, 0, err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, response.StatusCode, nil
	}
	found := &v1.Descriptor{MediaType: bareType(response.Header), Size: response.ContentLength}
	if found.Digest, err = v1.NewHash(response.Header.Get("Docker-Content-Digest")); err != nil || found.Size <= 0 || !found.MediaType.IsImage() && !found.MediaType.IsIndex() {
		return nil, response.StatusCode, nil
	}
	if byDigest, is := reference.(name.Digest); is && byDigest.DigestStr() != found.Digest.String() {
		return nil, response.StatusCode, nil
	}
	c.heads(reference).Store(true)
	return found, response.StatusCode, nil
}

// Get returns a manifest, or ErrNotFound. If the reference has a digest, the manifest has the
// same one.
func (c *Client) Get(ctx context.Context, reference name.Reference) (*Manifest, error) {
	got, err := c.ReadManifest(ctx, reference)
	if err != nil {
		return nil, explain("reading "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return got, nil
}

// ReadManifest returns what Get returns, for callers that add to the error themselves what
// failed.
func (c *Client) ReadManifest(ctx context.Context, reference name.Reference) (*Manifest, error) {
	return c.readManifest(ctx, reference, mostSmall)
}

func (c *Client) readManifest(ctx context.Context, reference name.Reference, most int) (*Manifest, error) {
	wanted := v1.Hash{Algorithm: "sha256"}
	if byDigest, is := reference.(name.Digest); is {
		var err error
		if wanted, err = v1.NewHash(byDigest.DigestStr()); err != nil {
			return nil, err
		}
	}
	content, header, err := c.documentUpTo(ctx, most, pullRequest{reference.Context(), http.MethodGet, "manifests/" + reference.Identifier(), acceptManifests})
	if err != nil {
		return nil, err
	}
	summed, err := sum(wanted.Algorithm, content)
	if err != nil {
		return nil, err
	}
	if wanted.Hex != "" && summed != wanted {
		return nil, fmt.Errorf("its content has digest %s", summed)
	}
	mediaType, err := manifestType(content, bareType(header))
	if err != nil {
		return nil, err
	}
	return &Manifest{v1.Descriptor{MediaType: mediaType, Digest: summed, Size: int64(len(content))}, content}, nil
}

// manifestType returns the media type that a manifest names, or the one that fits its
// fields. The header may be anything, such as application/json.
func manifestType(content []byte, header types.MediaType) (types.MediaType, error) {
	var shape struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
		Config    json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(content, &shape); err != nil {
		return "", fmt.Errorf("the registry answers with %s, which is not a manifest", cmp.Or(header, "something"))
	}
	switch {
	case shape.MediaType != "":
		return shape.MediaType, nil
	case shape.Config != nil && !header.IsImage():
		return types.OCIManifestSchema1, nil
	case shape.Manifests != nil && !header.IsIndex():
		return types.OCIImageIndex, nil
	}
	return header, nil
}

// bareType returns the media type of an answer, without parameters such as charset.
func bareType(header http.Header) types.MediaType {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return types.MediaType(mediaType)
}

// Blob reads a blob of at most most bytes from the repository of a reference. If the
// descriptor has the content in its data field, Blob sends no request.
func (c *Client) Blob(ctx context.Context, reference name.Reference, described v1.Descriptor, most int) ([]byte, error) {
	if len(described.Data) > 0 {
		return readSmall(bytes.NewReader(described.Data), described.Digest, most)
	}
	content, err := c.openBlob(ctx, reference.Context(), described.Digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return readSmall(content, described.Digest, most)
}

// openBlob opens a blob. If the digest is wrong, the last read fails.
func (c *Client) openBlob(ctx context.Context, repository name.Repository, digest v1.Hash) (io.ReadCloser, error) {
	content, err := c.ReadBlob(ctx, repository, digest)
	if err != nil {
		return nil, explain("reading "+repository.Digest(digest.String()).String(), repository.RegistryStr(), err)
	}
	return content, nil
}

// ReadBlob opens a blob, for callers that add to the error themselves what failed. The last
// read fails if the content has another digest.
func (c *Client) ReadBlob(ctx context.Context, repository name.Repository, digest v1.Hash) (io.ReadCloser, error) {
	hasher, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return nil, err
	}
	response, err := c.pull(ctx, pullRequest{repository, http.MethodGet, "blobs/" + digest.String(), "*/*"}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return &summed{response.Body, hasher, digest}, nil
}

// summed checks the digest of content while it is read.
type summed struct {
	io.ReadCloser
	hasher hash.Hash
	wanted v1.Hash
}

func (s *summed) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into)
	s.hasher.Write(into[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(s.hasher.Sum(nil)); got != s.wanted.Hex {
			return n, fmt.Errorf("reading %s: its content has digest %s:%s", s.wanted, s.wanted.Algorithm, got)
		}
	}
	return n, err
}

func sum(algorithm string, content []byte) (v1.Hash, error) {
	hasher, err := v1.Hasher(algorithm)
	if err != nil {
		return v1.Hash{}, err
	}
	hasher.Write(content)
	return v1.Hash{Algorithm: algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}, nil
}

// pullRequest is a request that reads from a repository.
type pullRequest struct {
	repository name.Repository
	method     string
	below      string // the path and query below the repository, such as tags/list?last=1
	accept     string
}

// pull sends a request with the right to read, and repeats it after temporary errors.
func (c *Client) pull(ctx context.Context, r pullRequest, expected ...int) (response *http.Response, err error) {
	request, err := http.NewRequestWithContext(ctx, r.method, repositoryURL(r.repository, r.below), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", r.accept)
	err = retried(ctx, func() error {
		response, err = c.send(r.repository, transport.PullScope, request, expected...)
		return err
	})
	return response, err
}

// document reads an answer of at most mostSmall bytes.
func (c *Client) document(ctx context.Context, r pullRequest) ([]byte, http.Header, error) {
	return c.documentUpTo(ctx, mostSmall, r)
}

func (c *Client) documentUpTo(ctx context.Context, most int, r pullRequest) ([]byte, http.Header, error) {
	response, err := c.pull(ctx, r, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
	if err == nil && len(content) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return content, response.Header, err
}

// ReadArtifact reads the content of a manifest of at most most bytes.
func (c *Client) ReadArtifact(ctx context.Context, reference name.Reference, most int) ([]byte, error) {
	got, err := c.readManifest(ctx, reference, most)
	if err != nil {
		return nil, err
	}
	return got.Content, nil
}
