package sign

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Copy attaches to digests what is said of them in a repository, as far as the policy
// accepts it there: nothing is signed again. What one subject of from carries is attached
// to all of to that it names, so that from and to may be the same. What they carry already
// is left alone. It returns how many attachments were written; errors are as Sign's.
func (c *Client) Copy(ctx context.Context, p *Policy, from, to []name.Digest) (int, error) {
	target := &Attacher{client: c, policy: p}
	written := 0
	for _, subject := range from {
		source := c.Attachments(subject)
		for _, format := range p.formats() {
			candidates, err := source.candidates(ctx, format, slices.Concat(format.store().places("")...), "")
			if err != nil {
				return written, err
			}
			for _, candidate := range candidates {
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
				a, err := candidate.read(ctx, p) // once more what it gave
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

// covers tells whether a claim says the same of all of some digests: a signature in the
// format Classic is of one.
func (c *statement) covers(s *Statement, subjects []name.Digest) bool {
	return c.kind == s.PredicateType && c.saidBy(s) &&
		!slices.ContainsFunc(subjects, func(d name.Digest) bool { return !slices.Contains(c.subjects, d) })
}

// named are the digests that a statement is about.
func named(s *Statement, all []name.Digest) []name.Digest {
	var some []name.Digest
	for _, digest := range all {
		if slices.ContainsFunc(s.Subjects, func(hash v1.Hash) bool { return hash.String() == digest.DigestStr() }) {
			some = append(some, digest)
		}
	}
	return some
}
