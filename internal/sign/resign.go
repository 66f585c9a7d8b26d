package sign

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// Resign has the signer say once more what subjects carry that the policy accepts,
// such as from a former key: the same statements, of the same digests. What the
// signer said already is skipped. It returns how many statements were written; where
// dry, would be. Errors are as an Attacher's.
func (c *Client) Resign(ctx context.Context, s *Signer, p *Policy, dry bool, subjects ...name.Digest) (int, error) {
	claims, err := c.said(ctx, p, subjects)
	if err != nil {
		return 0, err
	}
	a := c.Attacher(s)
	written := 0
	for _, claim := range claims {
		gaps, err := a.gaps(ctx, claim)
		if err != nil {
			return written, err
		}
		written += len(gaps)
		a.statements = append(a.statements, claim)
		if dry {
			continue
		}
		if err := a.fill(ctx, gaps); err != nil {
			return written, err
		}
	}
	return written, a.Confirm(ctx)
}

// said is what the subjects carry that the policy accepts, each statement once for
// all subjects that carry it. The signatures come last.
func (c *Client) said(ctx context.Context, p *Policy, subjects []name.Digest) ([]*statement, error) {
	var claims, signatures []*statement
	for _, subject := range subjects {
		view := c.Attachments(subject)
		for _, format := range p.formats() {
			candidates, err := view.candidates(ctx, format, slices.Concat(format.store().places("")...), "")
			if err != nil {
				return nil, err
			}
			for _, candidate := range candidates {
				statement, err := candidate.statement(ctx, p, subject)
				if err != nil {
					return nil, err
				}
				switch {
				case statement == nil:
				case statement.PredicateType == SignatureType:
					signatures = addClaim(signatures, format, statement, subject)
				default:
					claims = addClaim(claims, format, statement, subject)
				}
			}
		}
	}
	return append(claims, signatures...), nil
}

// statement is what an attachment says, if the policy accepts it; nil if not.
func (c candidate) statement(ctx context.Context, p *Policy, subject name.Digest) (*Statement, error) {
	a, err := c.read(ctx, p)
	var registry *RegistryError
	if errors.As(err, &registry) && !answered(registry) {
		return nil, err
	}
	if err != nil || c.kind == "" {
		return nil, nil // none of ours
	}
	statement, err := p.verify(a, subject, c.kind)
	if err != nil {
		c.refuse(short(err))
		return nil, nil
	}
	return statement, nil
}

func addClaim(claims []*statement, format Format, said *Statement, subject name.Digest) []*statement {
	for _, c := range claims {
		if c.kind == said.PredicateType && c.saidBy(said) {
			if !slices.Contains(c.subjects, subject) {
				c.subjects = append(c.subjects, subject)
			}
			return claims
		}
	}
	predicate := said.Predicate
	if said.PredicateType == SignatureType {
		predicate = []byte("{}")
	}
	return append(claims, &statement{format: format, kind: said.PredicateType, predicate: predicate, subjects: []name.Digest{subject}})
}
