package sign

import (
	"context"
	"errors"

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
	view := c.Attachments(subject)
	view.glance = true
	listed, err := view.listed(ctx, p)
	if err != nil {
		return nil, err
	}
	// Some registries do not say of which kind an attachment is: it may be any.
	unsaid := listed[""]
	for _, want := range wanted {
		unsaid -= max(0, want.Times-listed[want.Kind])
	}
	var lacks []string
	for _, want := range wanted {
		has := listed[want.Kind] >= want.Times || unsaid >= 0
		switch {
		case want.Kind == SignatureType:
			_, err := c.glance(ctx, view, p)
			has, err = carried(err)
			if err != nil {
				return nil, err
			}
		case !has:
			statements, err := view.VerifyAttestations(ctx, want.Kind, p)
			has, err = carried(err)
			if err != nil {
				return nil, err
			}
			has = has && len(statements) >= want.Times
		}
		if !has {
			lacks = append(lacks, want.Kind)
		}
	}
	return lacks, nil
}

// listed counts what the lists have of each kind, "" where they do not say it.
func (v *Attachments) listed(ctx context.Context, p *Policy) (map[string]int, error) {
	listed := map[string]int{}
	for _, format := range p.formats() {
		candidates, err := v.candidates(ctx, format, format.store().places("")[0], "")
		if err != nil {
			return nil, err
		}
		for _, has := range candidates {
			listed[has.kind]++
		}
	}
	return listed, nil
}

// carried tells what is not there, or is not what it should be, from what is not known.
func carried(err error) (bool, error) {
	if errors.Is(err, ErrNotAttached) || errors.As(err, new(*InvalidError)) || errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return err == nil, err
}
