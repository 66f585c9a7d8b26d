package sign

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/web"
)

// Verify verifies the digest's signature as Attachments.Verify does, for callers that need
// nothing else.
func (c *Client) Verify(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	return c.Attachments(subject).Verify(ctx, p)
}

// VerifyListed verifies the digest's signature with the content of the list of its
// attachments, usually in one request. It returns who signed the digest. It does not check
// whether others can fetch everything that they need to verify it. If the list has no valid
// signature, it reads the attachments as Verify does.
func (c *Client) VerifyListed(ctx context.Context, subject name.Digest, p *Policy) (*Signature, error) {
	return c.Listed(subject).VerifyListed(ctx, p)
}

// VerifyListed works as Client.VerifyListed. The Attachments must come from Listed.
func (v *Attachments) VerifyListed(ctx context.Context, p *Policy) (*Signature, error) {
	signature, err := v.Verify(ctx, p)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return v.client.Verify(ctx, v.subject, p) // the registry may have damaged the list
	}
	return signature, err
}

// Verify returns a signature of the digest that the policy accepts, preferably by the
// present key. It ignores other signatures. Errors are ErrNotAttached (not signed),
// *InvalidError (no signature is accepted) or *RegistryError (unknown).
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

// VerifyAttestations returns all statements of a type about the digest that the policy
// accepts, at least one. Its errors are those of Verify.
func (v *Attachments) VerifyAttestations(ctx context.Context, predicateType string, p *Policy) ([]Statement, error) {
	var statements []Statement
	err := v.each(ctx, p, predicateType, func(s *Statement) bool {
		statements = append(statements, *s)
		return true
	})
	return statements, err
}

// each calls yield with the valid attachments of a kind until yield returns false. It
// returns an error if there is none.
func (v *Attachments) each(ctx context.Context, p *Policy, kind string, yield func(*Statement) bool) error {
	all := examined{}
	for _, format := range p.formats() {
		for n, lists := range format.store().lists(kind) {
			if n > 0 && v.firstOnly {
				break
			}
			candidates, err := v.candidates(ctx, format, lists, kind)
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

// examined is the result of reading candidates.
type examined struct {
	valid   bool
	refused []error               // the first errors
	more    int                   // number of further errors
	unread  error                 // an *unreadError
	seen    map[statementKey]bool // statements of this kind so far
}

// A statementKey identifies a statement and its signer. The same statement in two bundles
// has one key.
type statementKey struct {
	predicate [sha256.Size]byte
	by        Signature // without the time
}

// eachOf calls yield for each valid candidate. It skips unusable attachments, which anybody
// may have pushed. It fails only if the network fails.
func (x *examined) eachOf(ctx context.Context, candidates []candidate, p *Policy, subject name.Digest, kind string, yield func(*Statement) bool) error {
	for _, candidate := range candidates {
		if x.valid && candidate.kind != kind && candidate.kind != "" {
			break // attachments that claim another type are read only if nothing else is valid
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
	one := statementKey{sha256.Sum256(s.Predicate), s.Signature}
	one.by.Time = time.Time{}
	if x.seen[one] {
		return false
	}
	if x.seen == nil {
		x.seen = map[statementKey]bool{}
	}
	x.seen[one] = true
	return true
}

// mostReasons limits the number of refused attachments whose reasons are kept.
const mostReasons = 16

func (x *examined) refuse(why error) {
	if len(x.refused) == mostReasons {
		x.more++
		return
	}
	x.refused = append(x.refused, why)
}

// An unreadError is a *RegistryError about an attachment that the registry lists but does
// not send.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// IsUnread reports whether an error means that no readable attachment is valid, and that at
// least one could not be read. Anybody may have attached that one.
func IsUnread(err error) bool { return errors.As(err, new(*unreadError)) }

// answered reports whether the registry answered the request: with something else, or with a
// refusal. If not, the network failed, or the registry was busy.
func answered(err *RegistryError) bool {
	var answer refusal
	var network net.Error
	if errors.As(err, &answer) {
		return !slices.Contains(busy, answer.Status())
	}
	return !errors.As(err, &network) && !errors.As(err, new(*web.LimitError)) && !errors.Is(err, context.Canceled) && !web.Broken(err)
}

// busy are the statuses of a registry, or of a proxy in front of it, that cannot answer now. 500
// is not among them: an attachment may cause it.
var busy = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
