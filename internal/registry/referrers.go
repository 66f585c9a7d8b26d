package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PutManifest writes a manifest under its digest or a tag, in a repository of any registry. The
// repository must have all that the manifest names. Manifests with the same subject must be
// written one after the other: without the referrers API they share one list at a tag, which is
// read, extended and written back.
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

// putManifest writes a manifest. If it has a subject, putManifest also makes sure that the list
// of the subject's referrers contains it.
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
	// Not all registries that keep the list answer so.
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

// noteReferrer adds a referrer to the list at a tag that replaces the referrers API.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (c *Client) noteReferrer(ctx context.Context, subject name.Digest, referrer v1.Descriptor) error {
	list, err := c.taggedList(ctx, subject, nil)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest == referrer.Digest }) {
		return nil
	}
	list.Manifests = append(list.Manifests, referrer)
	return c.putList(ctx, subject, list)
}

// putList writes the list at a subject's tag.
func (c *Client) putList(ctx context.Context, subject name.Digest, list v1.IndexManifest) error {
	list.SchemaVersion, list.MediaType = 2, types.OCIImageIndex
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

// DeleteReferrer deletes a manifest that names a subject, and removes it from the list at the
// subject's tag. It returns no error if the registry does not delete manifests: list the
// referrers to find out. It returns an error if the list cannot be read or written.
func (c *Client) DeleteReferrer(ctx context.Context, subject, referrer name.Digest) error {
	list, err := c.taggedList(ctx, subject, nil)
	if err != nil {
		return err
	}
	before := len(list.Manifests)
	list.Manifests = slices.DeleteFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == referrer.DigestStr() })
	if len(list.Manifests) < before {
		if err := c.putList(ctx, subject, list); err != nil {
			return err
		}
	}
	err = c.remove(ctx, referrer)
	var answer *Refusal
	if errors.As(err, &answer) && !temporary(err) { // in many ways: without the right, or by all
		return nil
	}
	return err
}

// referrersAPI records whether a repository has the referrers API. There is one record for each
// repository, because a gateway may have several registries behind it.
type referrersAPI struct {
	mu           sync.Mutex
	known, there bool
}

// keepsReferrers reports whether a registry lists a referrer that was just written. If the
// registry has the API but does not list the referrer, keepsReferrers asks again the next time.
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

// bare keeps all referrers, with their digests only.
func bare(d *v1.Descriptor) bool {
	*d = v1.Descriptor{Digest: d.Digest}
	return true
}
