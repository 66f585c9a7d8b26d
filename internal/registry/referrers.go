package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	keeps, err := c.keepsReferrers(ctx, subject, m.digest)
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
	list, err := c.taggedList(ctx, subject, nil)
	if err != nil {
		return err
	}
	list.SchemaVersion, list.MediaType = 2, types.OCIImageIndex
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
	return c.putManifest(ctx, listTag(subject), manifest{digest: digest, mediaType: types.OCIImageIndex, content: content})
}

// referrersAPI is whether a repository has it: found out once, since gateways may
// have another registry behind each.
type referrersAPI struct {
	mu           sync.Mutex
	known, there bool
}

// keepsReferrers says whether a registry lists by itself a referrer that it took. One
// that has the API and does not list it is asked again the next time.
func (c *Client) keepsReferrers(ctx context.Context, subject name.Digest, referrer v1.Hash) (bool, error) {
	found, _ := c.referrers.LoadOrStore(subject.Context().Name(), &referrersAPI{})
	api := found.(*referrersAPI)
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.known {
		return api.there, nil
	}
	listed, is, err := c.listedReferrers(ctx, subject, bare)
	if err != nil {
		return false, err
	}
	lists := slices.ContainsFunc(listed, func(d v1.Descriptor) bool { return d.Digest == referrer })
	api.known, api.there = lists || !is, lists
	return lists, nil
}

// bare keeps of all referrers the digest alone.
func bare(d *v1.Descriptor) bool {
	*d = v1.Descriptor{Digest: d.Digest}
	return true
}
