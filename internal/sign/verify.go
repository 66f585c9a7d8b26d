package sign

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Verify is what a View of the digest says, for who asks nothing else of it.
func (c *Client) Verify(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	return c.View(subject).Verify(ctx, p)
}

// Glance is Verify, of what the list of a digest's attachments has of them: it tells
// whose the digest is, but not whether others find all that they need to verify it.
func (c *Client) Glance(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	view := c.View(subject)
	view.glance = true
	signature, err := view.Verify(ctx, p)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return c.Verify(ctx, subject, p) // the list may be wrong
	}
	return signature, err
}

// Verify looks for a signature of the digest that satisfies the policy, best one of
// the present key; others beside it do not matter. Errors are ErrNotAttached (not signed), of type
// *InvalidError (signed, but not like this) or *RegistryError (unknown).
func (v *View) Verify(ctx context.Context, p *Policy) (*Signature, error) {
	var signature *Signature
	err := v.each(ctx, p, SignatureType, func(s *Statement) bool {
		if signature == nil || !s.Signature.Former {
			signature = &s.Signature
		}
		return signature.Former
	})
	return signature, err
}

// VerifyAttestations returns all statements of a type about the digest that
// satisfy the policy, at least one. Errors are as Verify's.
func (v *View) VerifyAttestations(ctx context.Context, predicateType string, p *Policy) ([]Statement, error) {
	var statements []Statement
	err := v.each(ctx, p, predicateType, func(s *Statement) bool {
		statements = append(statements, *s)
		return true
	})
	return statements, err
}

// each calls yield with the valid attachments of a kind until it returns false.
// It is an error if there is none.
func (v *View) each(ctx context.Context, p *Policy, kind string, yield func(*Statement) bool) error {
	digest, err := v1.NewHash(v.subject.DigestStr())
	if err != nil {
		return fmt.Errorf("verify %s: %w", v.subject, err)
	}
	var reasons []error
	for _, format := range p.formats() {
		for n, places := range format.store().places(kind) {
			if n > 0 && v.first {
				break
			}
			candidates, err := v.candidates(ctx, format, places, kind)
			if err != nil {
				return err
			}
			valid, refused, err := eachOf(candidates, p, digest, kind, yield)
			if valid || err != nil {
				return err
			}
			reasons = append(reasons, refused...)
		}
	}
	if len(reasons) > 0 {
		return &InvalidError{v.subject, kind, reasons}
	}
	return &notAttachedError{v.subject, kind}
}

// eachOf is each, of some candidates: it says whether one was valid, and why others
// were not.
func eachOf(candidates []candidate, p *Policy, digest v1.Hash, kind string, yield func(*Statement) bool) (valid bool, refused []error, err error) {
	for _, candidate := range candidates {
		if valid && candidate.kind != kind {
			break // what says to be something else is for when there is nothing better
		}
		a, err := candidate.read()
		var statement *Statement
		if err == nil {
			statement, err = p.verify(a, digest, kind)
		}
		var registry *RegistryError
		switch {
		case errors.As(err, &registry):
			return valid, refused, err
		case err == nil:
			valid = true
			if !yield(statement) {
				return valid, refused, nil
			}
		case !errors.Is(err, errOtherType):
			refused = append(refused, err)
		}
	}
	return valid, refused, nil
}
