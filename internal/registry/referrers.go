package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PutManifest writes a manifest under its digest or a tag, in a repository of any registry. The
// repository must have all that the manifest names. A manifest with a subject is written as
// PutReferrers does it.
func (c *Client) PutManifest(ctx context.Context, reference name.Reference, mediaType types.MediaType, content []byte) error {
	m, err := readManifest(mediaType, content)
	if err != nil {
		return err
	}
	return c.putManifest(ctx, reference, m)
}

// PutReferrers writes manifests that name a subject under their digests, next to the subject, in
// any registry. The repository must have all that the manifests name. Only one caller at a time
// may write for a subject: without the referrers API its referrers share one list at a tag, which
// PutReferrers reads, extends and writes once. If one manifest fails, the list gets those before.
func (c *Client) PutReferrers(ctx context.Context, subject name.Digest, mediaType types.MediaType, contents ...[]byte) error {
	var unlisted []manifest
	for _, content := range contents {
		m, err := readManifest(mediaType, content)
		listed := false
		if err == nil {
			listed, err = c.sendManifest(ctx, subject.Context().Digest(m.digest.String()), m)
		}
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
			defer cancel()
			_ = c.listReferrers(ctx, subject, unlisted...)
			return err
		}
		if !listed {
			unlisted = append(unlisted, m)
		}
	}
	return c.listReferrers(ctx, subject, unlisted...)
}

func readManifest(mediaType types.MediaType, content []byte) (manifest, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		return manifest{}, err
	}
	var names struct {
		Subject *v1.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(content, &names); err != nil {
		return manifest{}, fmt.Errorf("reading manifest %s: %w", digest, err)
	}
	return manifest{digest: digest, mediaType: mediaType, content: content, subject: names.Subject}, nil
}

// putManifest writes a manifest. If it has a subject, the list of the subject's referrers then
// contains it.
func (c *Client) putManifest(ctx context.Context, reference name.Reference, m manifest) error {
	listed, err := c.sendManifest(ctx, reference, m)
	if err != nil || listed || m.subject == nil {
		return err
	}
	return c.listReferrers(ctx, reference.Context().Digest(m.subject.Digest.String()), m)
}

// listReferrers makes sure that the list of a subject's referrers contains manifests that were
// just written. Without the referrers API, it adds them to the list at the subject's tag.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
func (c *Client) listReferrers(ctx context.Context, subject name.Digest, written ...manifest) error {
	// Not all registries that keep the list say so when a manifest is written.
	unlisted, err := c.notListed(ctx, subject, written)
	if err != nil || len(unlisted) == 0 {
		return err
	}
	list, err := c.taggedList(ctx, subject, nil)
	if err != nil {
		return err
	}
	before := len(list.Manifests)
	for _, m := range unlisted {
		referrer, err := m.referrer()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest == referrer.Digest }) {
			list.Manifests = append(list.Manifests, referrer)
		}
	}
	if len(list.Manifests) == before {
		return nil
	}
	return c.putList(ctx, subject, list)
}

// referrer returns the descriptor of a manifest in a list of referrers.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (m manifest) referrer() (v1.Descriptor, error) {
	var read struct {
		ArtifactType string            `json:"artifactType"`
		Config       v1.Descriptor     `json:"config"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(m.content, &read); err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading manifest %s: %w", m.digest, err)
	}
	if read.ArtifactType == "" {
		read.ArtifactType = string(read.Config.MediaType)
	}
	return v1.Descriptor{
		MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.content)),
		ArtifactType: read.ArtifactType, Annotations: read.Annotations,
	}, nil
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
