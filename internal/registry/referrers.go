package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	m := manifest{digest, mediaType, content, names.Subject != nil}
	if m.refers {
		return c.putReferrer(ctx, reference, m)
	}
	_, err = c.putManifest(ctx, reference, m)
	return err
}

// putReferrer writes a manifest that names a subject, and sees to it that it is in
// the list of what refers to the subject.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
func (c *Client) putReferrer(ctx context.Context, reference name.Reference, m manifest) error {
	noted, err := c.putManifest(ctx, reference, m)
	if err != nil || noted {
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
	if keeps, err := c.keepsReferrers(ctx, subject); err != nil || keeps {
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
	_, err = c.putManifest(ctx, tag, manifest{digest: digest, mediaType: types.OCIImageIndex, content: content})
	return err
}

// referrersAPI is whether a repository has it: asked for once, since gateways may
// have another registry behind each.
type referrersAPI struct {
	mu           sync.Mutex
	known, there bool
}

// keepsReferrers asks whether a repository has the referrers API.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (c *Client) keepsReferrers(ctx context.Context, subject name.Digest) (bool, error) {
	repository := subject.Context()
	found, _ := c.referrers.LoadOrStore(repository.Name(), &referrersAPI{})
	api := found.(*referrersAPI)
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.known {
		return api.there, nil
	}
	err := retried(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, repositoryURL(repository, "referrers/"+subject.DigestStr()), nil)
		if err != nil {
			return err
		}
		request.Header.Set("Accept", string(types.OCIImageIndex))
		response, err := c.do(repository, request, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusNotAcceptable)
		if err != nil {
			return err
		}
		// Some answer whatever is asked with a page for people.
		api.there = response.StatusCode == http.StatusOK && response.Header.Get("Content-Type") == string(types.OCIImageIndex)
		return response.Body.Close()
	})
	api.known = err == nil
	return api.there, err
}
