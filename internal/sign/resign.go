package sign

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// Resign signs those statements again that the policy accepts, for example those of a
// former key, for the same subjects. It skips statements that the signer signed already. It
// returns the number of statements that it wrote or, if dry, would write; after an error,
// fewer may be there. Its errors are those of an Attacher.
func (c *Client) Resign(ctx context.Context, s *Signer, p *Policy, dry bool, subjects ...name.Digest) (int, error) {
	statements, err := c.acceptedStatements(ctx, p, subjects)
	if err != nil {
		return 0, err
	}
	a := c.Attacher(s)
	written := 0
	for _, statement := range statements {
		missing, err := a.missing(ctx, statement)
		if err != nil {
			return written, err
		}
		written += len(missing)
		a.statements = append(a.statements, statement)
		if dry {
			continue
		}
		if err := a.make(ctx, missing); err != nil {
			return written, err
		}
	}
	return written, a.Confirm(ctx)
}

// acceptedStatements returns the statements about the subjects that the policy accepts,
// each of them once and with all its subjects. The signatures come last.
func (c *Client) acceptedStatements(ctx context.Context, p *Policy, subjects []name.Digest) ([]*statement, error) {
	var statements, signatures []*statement
	for _, subject := range subjects {
		view := c.Attachments(subject)
		for _, format := range p.formats() {
			candidates, err := view.candidates(ctx, format, slices.Concat(format.store().lists("")...), "")
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
					signatures = addStatement(signatures, format, "", statement, subject)
				default:
					statements = addStatement(statements, format, candidate.label, statement, subject)
				}
			}
		}
	}
	return append(statements, signatures...), nil
}

// statement returns an attachment's statement, or nil if the policy does not accept it.
func (c candidate) statement(ctx context.Context, p *Policy, subject name.Digest) (*Statement, error) {
	a, err := c.read(ctx, p)
	var registry *RegistryError
	if errors.As(err, &registry) && !answered(registry) {
		return nil, err
	}
	if err != nil || c.kind == "" {
		return nil, nil // unreadable, or of an unknown type
	}
	statement, err := p.verify(a, subject, c.kind)
	if err != nil {
		c.refuse(short(err))
		return nil, nil
	}
	return statement, nil
}

func addStatement(statements []*statement, format Format, label string, verified *Statement, subject name.Digest) []*statement {
	for _, c := range statements {
		if c.kind == verified.PredicateType && c.matches(verified) {
			if !slices.Contains(c.subjects, subject) {
				c.subjects = append(c.subjects, subject)
			}
			return statements
		}
	}
	predicate := verified.Predicate
	if verified.PredicateType == SignatureType {
		predicate = []byte("{}")
	}
	return append(statements, &statement{format: format, kind: verified.PredicateType, label: label, predicate: predicate, subjects: []name.Digest{subject}})
}
