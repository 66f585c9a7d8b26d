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
	// Is, if not nil, replaces Times. It reports whether the labels of the attachments of
	// this kind show that the digest has what it should have. It first gets the labels in
	// the list. If these do not suffice, it gets the Label of each verified statement:
	// anybody may attach others, and some registries list attachments without annotations.
	Is    func(labels []string) bool
	Label func(*Statement) string
}

// Missing returns the kinds of attachments that a digest has too few of. It reads the list
// of attachments, which is one request. It verifies the signature, and trusts the list
// about the types of attestations. If the list has too few of a kind, it reads and verifies
// all attachments that may be of that kind. Errors are of type *RegistryError.
func (c *Client) Missing(ctx context.Context, subject name.Digest, p *Policy, wanted ...Wanted) ([]string, error) {
	return c.Listed(subject).Missing(ctx, p, wanted...)
}

// Missing is Client.Missing for Attachments that Listed returned.
func (v *Attachments) Missing(ctx context.Context, p *Policy, wanted ...Wanted) ([]string, error) {
	labels, err := v.labelsByKind(ctx, p)
	if err != nil {
		return nil, err
	}
	// Some registries list attachments without their kind. These may be of any kind.
	untyped := len(labels[""])
	for _, want := range wanted {
		if want.Is == nil {
			untyped -= max(0, want.Times-len(labels[want.Kind]))
		}
	}
	var missing []string
	for _, want := range wanted {
		has := len(labels[want.Kind]) >= want.Times || untyped >= 0
		switch {
		case want.Is != nil:
			has = want.Is(labels[want.Kind])
			if !has && len(labels[""])+len(labels[want.Kind]) > 0 { // labels of others, or no labels
				if has, err = v.isLabelled(ctx, p, want); err != nil {
					return nil, err
				}
			}
		case want.Kind == SignatureType:
			_, err := v.VerifyListed(ctx, p)
			has, err = attached(err)
			if err != nil {
				return nil, err
			}
		case !has:
			statements, err := v.VerifyAttestations(ctx, want.Kind, p)
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

// isLabelled calls Is with the labels of the verified statements.
func (v *Attachments) isLabelled(ctx context.Context, p *Policy, want Wanted) (bool, error) {
	statements, err := v.VerifyAttestations(ctx, want.Kind, p)
	if _, err := attached(err); err != nil {
		return false, err
	}
	var labels []string
	for i := range statements {
		labels = append(labels, want.Label(&statements[i]))
	}
	return want.Is(labels), nil
}

// labelsByKind returns the labels of the attachments in the lists, by kind. The label of an
// attachment without one is "", and so is the kind.
func (v *Attachments) labelsByKind(ctx context.Context, p *Policy) (map[string][]string, error) {
	labels := map[string][]string{}
	for _, format := range p.formats() {
		candidates, err := v.candidates(ctx, format, format.store().lists("")[0], "")
		if err != nil {
			return nil, err
		}
		for _, has := range candidates {
			labels[has.kind] = append(labels[has.kind], has.label)
		}
	}
	return labels, nil
}

// attached returns false if err means that nothing valid is attached, and err if the state
// is unknown.
func attached(err error) (bool, error) {
	if errors.Is(err, ErrNotAttached) || errors.As(err, new(*InvalidError)) || errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return err == nil, err
}
