package sign

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Copy copies the attachments that the policy accepts from some digests to others. It signs
// nothing. It attaches a statement to each digest in to that the statement names, so from
// and to may be the same. It skips attachments that a digest already has, and attestations
// of the types in without. It returns the number of attachments that it wrote; after an error,
// fewer may be there. Its errors are those of Sign.
func (c *Client) Copy(ctx context.Context, p *Policy, from, to []name.Digest, without ...string) (int, error) {
	target := &Attacher{client: c, policy: p}
	written := 0
	for _, subject := range from {
		source := c.Attachments(subject)
		for _, format := range p.formats() {
			candidates, err := source.candidates(ctx, format, slices.Concat(format.store().lists("")...), "")
			if err != nil {
				return written, err
			}
			for _, candidate := range candidates {
				if slices.Contains(without, candidate.kind) {
					continue
				}
				attested, err := candidate.statement(ctx, p, subject)
				if err != nil {
					return written, err
				}
				if attested == nil {
					continue
				}
				subjects := named(attested, to)
				if slices.ContainsFunc(target.statements, func(c *statement) bool { return c.covers(attested, subjects) }) {
					continue
				}
				a, err := candidate.read(ctx, p) // from memory: the loop above has read it
				if err != nil {
					return written, err
				}
				copied := &statement{
					format: format, kind: candidate.kind, predicate: attested.Predicate,
					subjects: subjects, made: slices.Repeat([]attachment{a}, len(subjects)),
				}
				n, err := target.add(ctx, copied)
				if err != nil {
					return written, err
				}
				written += n
			}
		}
	}
	return written, target.Confirm(ctx)
}

// covers reports whether the statement is the same as s and covers all subjects. A
// signature in the format Classic is for one subject only.
func (c *statement) covers(s *Statement, subjects []name.Digest) bool {
	return c.kind == s.PredicateType && c.matches(s) &&
		!slices.ContainsFunc(subjects, func(d name.Digest) bool { return !slices.Contains(c.subjects, d) })
}

// named returns the digests that a statement names as subjects.
func named(s *Statement, all []name.Digest) []name.Digest {
	var some []name.Digest
	for _, digest := range all {
		if slices.ContainsFunc(s.Subjects, func(hash v1.Hash) bool { return hash.String() == digest.DigestStr() }) {
			some = append(some, digest)
		}
	}
	return some
}
