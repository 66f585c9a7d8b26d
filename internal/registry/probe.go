package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Probe is what was found out about a registry that takes pushes.
type Probe struct {
	// Referrers says that the registry lists what refers to a digest. Where it does
	// not, attachments are listed under a tag, which each of them overwrites.
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
	Referrers bool
	// Overwrites says that a tag can be made to point to something else.
	Overwrites bool
}

// probeName is the tag that Probe writes.
const probeName = "libre-probe:probe"

// Probe pushes two tiny artifacts by turns under one tag, and removes what the
// registry lets it remove. Without leave to push it is a fault of kind Credentials.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	var probe Probe
	var digests []name.Digest
	for i := range 2 {
		digest, err := c.PushArtifact(ctx, probeName, Artifact{Type: "application/vnd.sh.libre.probe.v1+json", Content: fmt.Appendf(nil, `{"probe":%d}`, i)})
		if err != nil {
			return probe, err
		}
		digests = append(digests, digest)
	}
	tag, err := c.Tag(probeName)
	if err != nil {
		return probe, err
	}
	defer func() {
		for _, reference := range []name.Reference{tag, digests[0], digests[1]} {
			_ = c.pusher.Delete(ctx, reference) // few registries allow it
		}
	}()
	if probe.Referrers, err = c.listsReferrers(ctx, digests[0]); err != nil {
		return probe, err
	}
	probe.Overwrites, err = c.overwrites(ctx, tag, digests)
	return probe, err
}

// overwrites points a tag to what it does not point to. Registries say in many ways
// that they do not let it, and some do not say it.
func (c *Client) overwrites(ctx context.Context, tag name.Tag, digests []name.Digest) (bool, error) {
	next := digests[0]
	head, err := c.Head(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		if err := c.SetTag(ctx, probeName, next); err != nil {
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
	if err := c.pusher.Put(ctx, tag, got); isRefusal(err) {
		return false, nil
	} else if err != nil {
		return false, explain("tagging "+tag.String(), tag.RegistryStr(), err)
	}
	head, err = c.Head(ctx, tag)
	return err == nil && head.Digest == got.Digest, err
}

// isRefusal says that a registry understood, and does not do it.
func isRefusal(err error) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && failure.StatusCode >= 400 && failure.StatusCode < 500 &&
		failure.StatusCode != http.StatusUnauthorized && !temporary(err)
}
