package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/catalog"
)

// Probe is the result of probing a registry.
type Probe struct {
	// Referrers reports whether the registry has the referrers API. Without it,
	// attachments are listed at a tag, which each of them overwrites.
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
	Referrers bool
	// Attachments reports whether attachments of a digest are listed, in either way.
	Attachments bool
	// Overwrites reports whether a tag can be overwritten.
	Overwrites bool
}

// ProbeRef is the reference for Probe if the registry creates repositories on push.
var ProbeRef = catalog.Ref{Repository: "libre-probe", Tag: "probe"}

// probeType is the type of the artifacts that Probe writes.
const probeType = "application/vnd.sh.libre.probe.v1+json"

// Probe publishes like a push: two tiny artifacts, in turn at one tag, and a third that is
// attached to the first. It removes what the registry allows it to remove. Nothing else may use
// the tag ref. Without the right to push, the error is a fault of kind Credentials; without the
// repository, it is of kind NotFound.
func (c *Client) Probe(ctx context.Context, ref catalog.Ref) (Probe, error) {
	var probe Probe
	var digests []name.Digest
	for i := range 2 {
		digest, err := c.PushArtifact(ctx, ref, Artifact{Type: probeType, Content: fmt.Appendf(nil, `{"probe":%d}`, i)})
		if err != nil {
			return probe, err
		}
		digests = append(digests, digest)
	}
	tag, err := c.Tag(ref)
	if err != nil {
		return probe, err
	}
	written := []name.Reference{tag, listTag(digests[0]), digests[0], digests[1]}
	defer func() {
		for _, reference := range written {
			_ = c.remove(ctx, reference) // if this fails, it stays there
		}
	}()
	subject, err := c.Head(ctx, digests[0])
	if err != nil {
		return probe, err
	}
	artifact := Artifact{Type: probeType, Content: []byte(`{"probe":"attached"}`), Subject: subject}
	attached, err := c.PushArtifact(ctx, ref, artifact)
	written = append(written, attached)
	if err != nil {
		return probe, err
	}
	listed, byAPI, err := c.Referrers(ctx, digests[0], bare)
	if err != nil {
		return probe, explain("listing what refers to "+digests[0].String(), tag.RegistryStr(), err)
	}
	isAttached := func(d v1.Descriptor) bool { return d.Digest.String() == attached.DigestStr() }
	probe.Attachments = slices.ContainsFunc(listed, isAttached)
	if probe.Referrers = byAPI && probe.Attachments; byAPI && !probe.Attachments {
		listed, err = c.TaggedReferrers(ctx, digests[0], bare)
		probe.Attachments = err == nil && slices.ContainsFunc(listed, isAttached)
	}
	probe.Overwrites, err = c.overwrites(ctx, tag, ref, digests)
	return probe, err
}

// remove deletes a manifest or a tag. Few registries allow it.
func (c *Client) remove(ctx context.Context, reference name.Reference) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, repositoryURL(reference.Context(), "manifests/"+reference.Identifier()), nil)
	if err != nil {
		return err
	}
	response, err := c.do(reference.Context(), request, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	if err == nil {
		response.Body.Close()
	}
	return err
}

// overwrites points a tag to another digest. Registries refuse that in many ways, and
// some ignore it without an error.
func (c *Client) overwrites(ctx context.Context, tag name.Tag, ref catalog.Ref, digests []name.Digest) (bool, error) {
	next := digests[0]
	head, err := c.Head(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		if err := c.SetTag(ctx, ref, next); err != nil {
			return false, err
		}
		next = digests[1]
	} else if err != nil {
		return false, err
	} else if head.Digest.String() == next.DigestStr() {
		next = digests[1]
	}
	got, err := c.Get(ctx, next)
	if err != nil {
		return false, err
	}
	if _, err := c.sendManifest(ctx, tag, manifest{digest: got.Digest, mediaType: got.MediaType, content: got.Content}); isRefusal(err) {
		return false, nil
	} else if err != nil {
		return false, explain("tagging "+tag.String(), tag.RegistryStr(), err)
	}
	head, err = c.HeadAt(ctx, tag, got.Digest.String())
	return err == nil && head.Digest == got.Digest, err
}

// isRefusal reports whether a registry understood a request and refuses it.
func isRefusal(err error) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && slices.Contains(anyRefusal, failure.StatusCode) && !temporary(err)
}
