package sign

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// Wanted is what a digest is to carry.
type Wanted struct {
	Kind  string // predicate type, or SignatureType
	Times int    // how many of it, at least
}

// Lacks tells what a digest does not carry of what is wanted, by the list of what is
// attached to it, which is one request: it verifies the signature, and takes it from the
// list that attestations are what they say. Where the list has too few, all that may be of
// the kind is read. Errors are *RegistryError.
func (c *Client) Lacks(ctx context.Context, subject name.Digest, p *Policy, wanted ...Wanted) ([]string, error) {
	view := c.View(subject)
	view.glance = true
	var lacks []string
	for _, want := range wanted {
		has, err := view.has(ctx, p, want)
		if err != nil {
			return nil, err
		}
		if !has {
			lacks = append(lacks, want.Kind)
		}
	}
	return lacks, nil
}

func (v *View) has(ctx context.Context, p *Policy, want Wanted) (bool, error) {
	if want.Kind == SignatureType {
		_, err := v.client.glance(ctx, v, p)
		return carried(err)
	}
	listed := 0
	for _, format := range p.formats() {
		candidates, err := v.candidates(ctx, format, format.store().places(want.Kind)[0], want.Kind)
		if err != nil {
			return false, err
		}
		listed += len(slices.DeleteFunc(candidates, func(has candidate) bool { return has.kind != want.Kind }))
	}
	if listed >= want.Times {
		return true, nil
	}
	statements, err := v.VerifyAttestations(ctx, want.Kind, p)
	has, err := carried(err)
	return has && len(statements) >= want.Times, err
}

// carried tells what is not there, or is not what it should be, from what is not known.
func carried(err error) (bool, error) {
	if errors.Is(err, ErrNotAttached) || errors.As(err, new(*InvalidError)) || errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return err == nil, err
}
