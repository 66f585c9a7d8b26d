package sign

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Copy attaches to a digest what the same digest carries in another repository,
// as far as the policy accepts it: nothing is signed again. What it carries
// already is left alone. Errors are as Sign's.
func (c *Client) Copy(ctx context.Context, p *Policy, from, to name.Digest) error {
	digest, err := v1.NewHash(from.DigestStr())
	if err != nil {
		return fmt.Errorf("copy what is attached to %s: %w", from, err)
	}
	for _, format := range p.formats() {
		candidates, err := format.store().list(ctx, c, from, "")
		if err != nil {
			return err
		}
		for _, candidate := range candidates {
			a, err := candidate.read(ctx)
			var answer *RegistryError
			if errors.As(err, &answer) {
				return err
			}
			if err != nil || candidate.kind == "" {
				continue // none of ours
			}
			statement, err := a.verify(p, digest, candidate.kind)
			if err != nil {
				continue
			}
			has, err := c.carries(ctx, p, to, candidate.kind, statement.Predicate)
			if err == nil && !has {
				err = c.attachOne(ctx, p, format.store(), to, candidate.kind, statement.Predicate, a)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
