package sign

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
)

// Wanted is an attachment that a digest should have.
type Wanted struct {
	Kind  string // predicate type, or SignatureType
	Times int    // how many of this kind, at least
}

// Missing returns the kinds of attachments that a digest has too few of. It reads the list
// of attachments, which is one request. It verifies the signature, and trusts the list
// about the types of attestations. If the list has too few of a kind, it reads and verifies
// all attachments that may be of that kind. Errors are of type *RegistryError.
func (c *Client) Missing(ctx context.Context, subject name.Digest, p *Policy, wanted ...Wanted) ([]string, error) {
	view := c.Attachments(subject)
	view.listOnly = true
	counts, err := view.countByKind(ctx, p)
	if err != nil {
		return nil, err
	}
	// Some registries list attachments without their kind: these may be of any kind.
	untyped := counts[""]
	for _, want := range wanted {
		untyped -= max(0, want.Times-counts[want.Kind])
	}
	var missing []string
	for _, want := range wanted {
		has := counts[want.Kind] >= want.Times || untyped >= 0
		switch {
		case want.Kind == SignatureType:
			_, err := c.verifyListed(ctx, view, p)
			has, err = attached(err)
			if err != nil {
				return nil, err
			}
		case !has:
			statements, err := view.VerifyAttestations(ctx, want.Kind, p)
			has, err = attached(err)
			if err != nil {
				return nil, err
			}
			has = has && len(statements) >= want.Times
		}
		if !has {
			missing = append(missing, want.Kind)
		}
	}
	return missing, nil
}

// countByKind counts the attachments of each kind in the lists, with "" for those without a
// kind.
func (v *Attachments) countByKind(ctx context.Context, p *Policy) (map[string]int, error) {
	counts := map[string]int{}
	for _, format := range p.formats() {
		candidates, err := v.candidates(ctx, format, format.store().lists("")[0], "")
		if err != nil {
			return nil, err
		}
		for _, has := range candidates {
			counts[has.kind]++
		}
	}
	return counts, nil
}

// attached returns false if err means that nothing valid is attached, and err if the state
// is unknown.
func attached(err error) (bool, error) {
	if errors.Is(err, ErrNotAttached) || errors.As(err, new(*InvalidError)) || errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return err == nil, err
}
