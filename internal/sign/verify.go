package sign

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/web"
)

// Verify is what a View of the digest says, for who asks nothing else of it.
func (c *Client) Verify(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	return c.Attachments(subject).Verify(ctx, p)
}

// VerifyListed is Verify, of what the list of a digest's attachments has of them: it tells
// whose the digest is, but not whether others find all that they need to verify it.
func (c *Client) VerifyListed(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	view := c.Attachments(subject)
	view.glance = true
	return c.glance(ctx, view, p)
}

func (c *Client) glance(ctx context.Context, view *Attachments, p *Policy) (*Signature, error) {
	signature, err := view.Verify(ctx, p)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return c.Verify(ctx, view.subject, p) // the list may be wrong
	}
	return signature, err
}

// Verify looks for a signature of the digest that satisfies the policy, best one of
// the present key; others beside it do not matter. Errors are ErrNotAttached (not signed), of type
// *InvalidError (signed, but not like this) or *RegistryError (unknown).
func (v *Attachments) Verify(ctx context.Context, p *Policy) (*Signature, error) {
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
func (v *Attachments) VerifyAttestations(ctx context.Context, predicateType string, p *Policy) ([]Statement, error) {
	var statements []Statement
	err := v.each(ctx, p, predicateType, func(s *Statement) bool {
		statements = append(statements, *s)
		return true
	})
	return statements, err
}

// each calls yield with the valid attachments of a kind until it returns false.
// It is an error if there is none.
func (v *Attachments) each(ctx context.Context, p *Policy, kind string, yield func(*Statement) bool) error {
	all := examined{}
	for _, format := range p.formats() {
		for n, places := range format.store().places(kind) {
			if n > 0 && v.first {
				break
			}
			candidates, err := v.candidates(ctx, format, places, kind)
			if err != nil {
				return err
			}
			if err := all.eachOf(ctx, candidates, p, v.subject, kind, yield); all.valid || err != nil {
				return err
			}
		}
	}
	if all.unread != nil {
		return all.unread
	}
	if len(all.refused) > 0 {
		return &InvalidError{v.subject, kind, all.refused, all.more}
	}
	return &notAttachedError{v.subject, kind}
}

// examined is what came of candidates.
type examined struct {
	valid   bool
	refused []error       // why others were not, of the first
	more    int           // refused beside these
	unread  error         // an *unreadError of one
	seen    map[said]bool // of the kind
}

// said is what a signer says: who attaches it once more, in another wrapping, says
// nothing new.
type said struct {
	predicate [sha256.Size]byte
	by        Signature // without its time
}

// eachOf is each, of some candidates. What cannot be used is passed over, whoever
// attached it; only the network's failure ends it.
func (x *examined) eachOf(ctx context.Context, candidates []candidate, p *Policy, subject name.Digest, kind string, yield func(*Statement) bool) error {
	for _, candidate := range candidates {
		if x.valid && candidate.kind != kind && candidate.kind != "" {
			break // what says to be something else is for when there is nothing better
		}
		a, err := candidate.read(ctx, p)
		var statement *Statement
		if err == nil {
			statement, err = p.verify(a, subject, kind)
		}
		var registry *RegistryError
		switch {
		case errors.As(err, &registry) && !answered(registry):
			return err
		case errors.As(err, &registry):
			x.unread = cmp.Or(x.unread, error(&unreadError{err}))
		case err == nil && !x.isNew(statement):
			candidate.refuse(errRepeated)
		case err == nil:
			x.valid = true
			if !yield(statement) {
				return nil
			}
		case errors.Is(err, errOtherType):
			candidate.forget()
		case errors.Is(err, errRepeated):
		default:
			err = short(err)
			candidate.refuse(err)
			x.refuse(err)
		}
	}
	return nil
}

var errRepeated = errors.New("another attachment states the same")

func (x *examined) isNew(s *Statement) bool {
	one := said{sha256.Sum256(s.Predicate), s.Signature}
	one.by.Time = time.Time{}
	if x.seen[one] {
		return false
	}
	if x.seen == nil {
		x.seen = map[said]bool{}
	}
	x.seen[one] = true
	return true
}

// mostReasons is how many attachments are said to be refused, and why.
const mostReasons = 16

func (x *examined) refuse(why error) {
	if len(x.refused) == mostReasons {
		x.more++
		return
	}
	x.refused = append(x.refused, why)
}

// unreadError is a *RegistryError for an attachment that the registry lists and does not
// send.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// answered reports whether a registry answered. Otherwise the network failed.
func answered(err *RegistryError) bool {
	var answer refusal
	var network net.Error
	if errors.As(err, &answer) {
		return true
	}
	return !errors.As(err, &network) && !errors.Is(err, context.Canceled) && !web.Temporary(err)
}
