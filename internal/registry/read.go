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

// Manifest is a manifest as a registry has it. Digest and size are those of the
// content, the media type is what the content says: answers often have neither, or
// others.
type Manifest struct {
	v1.Descriptor
	Content []byte
}

// acceptManifests are the manifests that libre understands.
var acceptManifests = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// anyRefusal are the statuses with which a server says that it does not do what it
// was asked for: all but those that ask for a login or for patience.
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

// Head gives the descriptor of a manifest, or ErrNotFound. Some registries know no
// HEAD, or leave out what the specification only recommends, such as the digest: the
// manifest is read then.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#checking-if-content-exists-in-the-registry
func (c *Client) Head(ctx context.Context, reference name.Reference) (*v1.Descriptor, error) {
	found, err := c.Describe(ctx, reference)
	if err != nil {
		return nil, explain("looking at "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return found, nil
}

// HeadAt is Head for who expects a digest: not all registries name the right one, so
// that where they name another the manifest is read.
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

// Digest is the digest that a whole reference, such as "python:3.13-alpine", points to:
// of the index, where there is one.
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

// Describe is Head, of whatever registry, for who says what was being done: where
// there is no such manifest the error is a *Refusal with status 404.
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

// has asks whether a repository has a manifest. It may wrongly say that it has not.
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

// heads is whether a registry was seen to answer HEAD as it should: only then does
// 404 say that there is no such manifest.
func (c *Client) heads(reference name.Reference) *atomic.Bool {
	known, _ := c.headed.LoadOrStore(reference.Context().RegistryStr(), &atomic.Bool{})
	return known.(*atomic.Bool)
}

// head gives a manifest's descriptor as the answer to HEAD has it: nil where that
// does not say all.
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

// Get gives a manifest, or ErrNotFound. Asked for by digest, it has that digest.
func (c *Client) Get(ctx context.Context, reference name.Reference) (*Manifest, error) {
	got, err := c.ReadManifest(ctx, reference)
	if err != nil {
		return nil, explain("reading "+reference.String(), reference.Context().RegistryStr(), err)
	}
	return got, nil
}

// ReadManifest is Get as Describe is Head.
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

// manifestType is the type of a manifest: what it says itself, else what it looks
// like. The header may be anything, such as application/json.
func manifestType(content []byte, header types.MediaType) (types.MediaType, error) {
	var shape struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
		Config    json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(content, &shape); err != nil {
		return "", fmt.Errorf("the registry answers with %s, which is no manifest", cmp.Or(header, "something"))
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

// bareType is the type of an answer without parameters such as charset.
func bareType(header http.Header) types.MediaType {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return types.MediaType(mediaType)
}

// Blob reads a blob of at most so many bytes beside a manifest that describes it, and may
// hold it.
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

// openBlob opens a blob, whose last read fails where it has another digest.
func (c *Client) openBlob(ctx context.Context, repository name.Repository, digest v1.Hash) (io.ReadCloser, error) {
	content, err := c.ReadBlob(ctx, repository, digest)
	if err != nil {
		return nil, explain("reading "+repository.Digest(digest.String()).String(), repository.RegistryStr(), err)
	}
	return content, nil
}

// ReadBlob is openBlob as Describe is Head.
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

// summed is content that is checked as it is read.
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

// pullRequest asks for something that a repository has.
type pullRequest struct {
	repository name.Repository
	method     string
	below      string // the address below the repository, such as tags/list?last=1
	accept     string
}

// pull sends a request with leave to pull, again where that may help.
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

// document reads what fits into memory.
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

// ReadArtifact is ReadManifest, of at most so many bytes, for who knows what it is.
func (c *Client) ReadArtifact(ctx context.Context, reference name.Reference, most int) ([]byte, error) {
	got, err := c.readManifest(ctx, reference, most)
	if err != nil {
		return nil, err
	}
	return got.Content, nil
}
