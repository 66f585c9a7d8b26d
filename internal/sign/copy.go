package sign

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// Copy attaches to a digest what the same digest carries in another repository,
// as far as the policy accepts it: nothing is signed again. What it carries
// already is left alone. Errors are as Sign's.
func (c *Client) Copy(ctx context.Context, p *Policy, from, to name.Digest) error {
	source := c.View(from)
	target := &Attacher{client: c, policy: p}
	for _, format := range p.formats() {
		candidates, err := source.candidates(ctx, format, slices.Concat(format.store().places("")...), "")
		if err != nil {
			return err
		}
		for _, candidate := range candidates {
			statement, err := candidate.statement(p, from)
			if err != nil {
				return err
			}
			if statement == nil {
				continue
			}
			said := func(c *claim) bool { return c.kind == candidate.kind && c.saidBy(statement) }
			if slices.ContainsFunc(target.claims, said) {
				continue
			}
			a, err := candidate.read() // once more what it gave
			if err != nil {
				return err
			}
			claim := &claim{format: format, kind: candidate.kind, predicate: statement.Predicate, subjects: []name.Digest{to}, made: []attachment{a}}
			if _, err := target.add(ctx, claim); err != nil {
				return err
			}
		}
	}
	return target.Confirm(ctx)
}
