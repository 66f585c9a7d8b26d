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

// Probe is what was found out about a registry that takes pushes.
type Probe struct {
	// Referrers says that the registry lists what refers to a digest. Where it does
	// not, attachments are listed under a tag, which each of them overwrites.
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
	Referrers bool
	// Attachments says that what is attached to a digest is listed, in either way.
	Attachments bool
	// Overwrites says that a tag can be made to point to something else.
	Overwrites bool
}

// ProbeRef is what Probe is best given where a registry creates repositories on push.
var ProbeRef = catalog.Ref{Repository: "libre-probe", Tag: "probe"}

// probeType is what the artifacts are that Probe writes.
const probeType = "application/vnd.sh.libre.probe.v1+json"

// Probe does what publishing does, with two tiny artifacts that take turns under one
// tag and a third that is attached to the first, and removes what the registry lets
// it remove. The tag is ref, which nothing else may have. Without leave to
// push it is a fault of kind Credentials, without the repository of kind NotFound.
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
			c.remove(ctx, reference)
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

// remove deletes a manifest or a tag, which few registries allow.
func (c *Client) remove(ctx context.Context, reference name.Reference) {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, repositoryURL(reference.Context(), "manifests/"+reference.Identifier()), nil)
	if err != nil {
		return
	}
	if response, err := c.do(reference.Context(), request, http.StatusAccepted, http.StatusOK, http.StatusNoContent); err == nil {
		response.Body.Close()
	}
}

// overwrites points a tag to what it does not point to. Registries say in many ways
// that they do not let it, and some do not say it.
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

// isRefusal says that a registry understood, and does not do it.
func isRefusal(err error) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && slices.Contains(anyRefusal, failure.StatusCode) && !temporary(err)
}
