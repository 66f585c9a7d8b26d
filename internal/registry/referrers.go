package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PutManifest writes a manifest under its digest, or a tag, in a repository of
// whatever registry, which has all that it names. Of those with the same subject one
// must be written after the other: registries without the referrers API have them in
// one list at a tag, which is read, extended and written back.
func (c *Client) PutManifest(ctx context.Context, reference name.Reference, mediaType types.MediaType, content []byte) error {
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		return err
	}
	var names struct {
		Subject *v1.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(content, &names); err != nil {
		return fmt.Errorf("reading manifest %s: %w", digest, err)
	}
	return c.putManifest(ctx, reference, manifest{digest, mediaType, content, names.Subject != nil})
}

// putManifest writes a manifest and, where it names a subject, sees to it that it is
// in the list of what refers to the subject.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
func (c *Client) putManifest(ctx context.Context, reference name.Reference, m manifest) error {
	noted, err := c.sendManifest(ctx, reference, m)
	if err != nil || noted || !m.refers {
		return err
	}
	var read struct {
		ArtifactType string            `json:"artifactType"`
		Config       v1.Descriptor     `json:"config"`
		Subject      v1.Descriptor     `json:"subject"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(m.content, &read); err != nil {
		return fmt.Errorf("reading manifest %s: %w", m.digest, err)
	}
	subject := reference.Context().Digest(read.Subject.Digest.String())
	// Not all registries that keep the list say so.
	keeps, err := c.keepsReferrers(ctx, subject)
	if err != nil || keeps {
		return err
	}
	referrer := v1.Descriptor{
		MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.content)),
		ArtifactType: read.ArtifactType, Annotations: read.Annotations,
	}
	if referrer.ArtifactType == "" {
		referrer.ArtifactType = string(read.Config.MediaType)
	}
	return c.noteReferrer(ctx, subject, referrer)
}

// noteReferrer adds to the list that a registry without the referrers API has at a tag.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (c *Client) noteReferrer(ctx context.Context, subject name.Digest, referrer v1.Descriptor) error {
	tag := subject.Context().Tag(strings.Replace(subject.DigestStr(), ":", "-", 1))
	list := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	got, err := c.puller.Get(ctx, tag)
	switch {
	case hasStatus(err, http.StatusNotFound):
	case err != nil:
		return err
	case got.MediaType != types.OCIImageIndex:
		return fmt.Errorf("%s, which should list what refers to %s, is of type %q", tag, subject.DigestStr(), got.MediaType)
	default:
		if err := json.Unmarshal(got.Manifest, &list); err != nil {
			return fmt.Errorf("reading %s: %w", tag, err)
		}
	}
	if slices.ContainsFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest == referrer.Digest }) {
		return nil
	}
	list.Manifests = append(list.Manifests, referrer)
	slices.SortFunc(list.Manifests, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	content, err := json.Marshal(list)
	if err != nil {
		return err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		return err
	}
	return c.putManifest(ctx, tag, manifest{digest: digest, mediaType: types.OCIImageIndex, content: content})
}

// referrersAPI is whether a repository has it: asked for once, since gateways may
// have another registry behind each.
type referrersAPI struct {
	mu           sync.Mutex
	known, there bool
}

// keepsReferrers is listsReferrers, asked once for each repository.
func (c *Client) keepsReferrers(ctx context.Context, subject name.Digest) (bool, error) {
	found, _ := c.referrers.LoadOrStore(subject.Context().Name(), &referrersAPI{})
	api := found.(*referrersAPI)
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.known {
		return api.there, nil
	}
	var err error
	api.there, err = c.listsReferrers(ctx, subject)
	api.known = err == nil
	return api.there, err
}

// listsReferrers asks whether a repository has the referrers API. Some registries
// answer whatever is asked with a page for people.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (c *Client) listsReferrers(ctx context.Context, digest name.Digest) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, repositoryURL(digest.Context(), "referrers/"+digest.DigestStr()), nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Accept", string(types.OCIImageIndex))
	doing := "listing what refers to " + digest.String()
	var content []byte
	err = retried(ctx, func() error {
		response, err := c.do(digest.Context(), request, http.StatusOK)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		content, err = io.ReadAll(io.LimitReader(response.Body, mostSmall))
		return err
	})
	if isRefusal(err) {
		return false, nil
	}
	if err != nil {
		return false, explain(doing, digest.Context().RegistryStr(), err)
	}
	var index v1.IndexManifest
	return json.Unmarshal(content, &index) == nil && index.MediaType == types.OCIImageIndex, nil
}
