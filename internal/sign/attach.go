package sign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"
)

// attachAttempts is how often an attachment is written that the registry takes
// and then does not show: another writer may have put back a list without it.
const attachAttempts = 5

// atOnce is how many requests an Attacher has under way.
const atOnce = 4

// An Attacher attaches what is said of some digests, one kind after another. A
// registry is asked what a digest carries before the first is written, and again
// by Confirm, which must come last: until then nobody knows whether the registry
// shows what it took. Errors of all its methods are faults of kind Credentials,
// *RegistryError (also where the registry does not show what it took) or
// *InvalidError (where what was signed does not satisfy the signer's own policy:
// it was not written then).
type Attacher struct {
	client     *Client
	policy     *Policy
	signer     *Signer                 // nil where all is made
	views      map[string]*Attachments // by digest
	statements []*statement
	written    bool // whether anything was, since the views
	again      bool // whether views are of what was written
}

// A statement is what subjects are to carry.
type statement struct {
	format    Format
	kind      string
	predicate json.RawMessage
	subjects  []name.Digest
	made      []attachment // for the subject at the same index; nil until one lacks it
}

// saidBy compares with a statement of the same kind.
func (c *statement) saidBy(s *Statement) bool {
	return c.kind == SignatureType || samePredicate(s.Predicate, c.predicate)
}

// A gap is a subject that lacks what a claim says of it.
type gap struct {
	claim   *statement
	subject int // its index
}

func (g gap) digest() name.Digest { return g.claim.subjects[g.subject] }

func (g gap) notShown() error {
	what := "signature"
	if g.claim.kind != SignatureType {
		what = "attestation of type " + g.claim.kind
	}
	return &RegistryError{fmt.Sprintf("attach to %s", g.digest()), fmt.Errorf("the registry accepted the %s and does not show it", what)}
}

// Attacher asks nothing yet.
func (c *Client) Attacher(s *Signer) *Attacher {
	return &Attacher{client: c, policy: s.policy, signer: s}
}

// Sign signs the subjects with an Attacher of their own.
func (c *Client) Sign(ctx context.Context, s *Signer, subjects ...name.Digest) (int, error) {
	a := c.Attacher(s)
	written, err := a.Sign(ctx, subjects...)
	if err == nil {
		err = a.Confirm(ctx)
	}
	return written, err
}

// Sign signs the subjects, usually an index and its children: the signature
// names them all and is attached to each, but to those that carry one already
// that the signer's policy accepts. It returns how many subjects were written to.
func (a *Attacher) Sign(ctx context.Context, subjects ...name.Digest) (int, error) {
	return a.add(ctx, &statement{format: a.policy.format, kind: SignatureType, predicate: json.RawMessage("{}"), subjects: subjects})
}

// Attest says the predicate, a JSON value, of the subjects, as Sign signs them.
// A subject that carries a valid attestation of the signer with the same
// predicate is skipped.
func (a *Attacher) Attest(ctx context.Context, predicateType string, predicate json.RawMessage, subjects ...name.Digest) (int, error) {
	if predicateType == "" || predicateType == SignatureType {
		return 0, fmt.Errorf("attest a predicate of type %q", predicateType)
	}
	if !json.Valid(predicate) {
		return 0, fmt.Errorf("attest a predicate of type %s: it is not JSON", predicateType)
	}
	return a.add(ctx, &statement{format: a.policy.format, kind: predicateType, predicate: predicate, subjects: subjects})
}

func (a *Attacher) add(ctx context.Context, c *statement) (int, error) {
	a.statements = append(a.statements, c)
	gaps, err := a.gaps(ctx, c)
	if err != nil {
		return 0, err
	}
	return len(gaps), a.fill(ctx, gaps)
}

// Confirm reads back what the subjects carry, verifies it, and writes again what
// got lost. Where nothing had to be written, what was read before will do.
func (a *Attacher) Confirm(ctx context.Context) error {
	for attempt := 1; a.written; attempt++ {
		a.views, a.written, a.again = nil, false, true
		gaps, err := a.gaps(ctx, a.statements...)
		if err != nil {
			return err
		}
		if len(gaps) == 0 {
			return nil
		}
		if attempt == attachAttempts {
			return gaps[0].notShown()
		}
		if err := pause(ctx, time.Duration(attempt)*200*time.Millisecond); err != nil {
			return err
		}
		if err := a.fill(ctx, gaps); err != nil {
			return err
		}
	}
	return nil
}

// gaps are the subjects that lack what is claimed of them.
func (a *Attacher) gaps(ctx context.Context, claims ...*statement) ([]gap, error) {
	var asked []gap
	for _, c := range claims {
		for subject := range c.subjects {
			asked = append(asked, gap{c, subject})
		}
	}
	carried := make([]bool, len(asked))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, g := range asked {
		view := a.view(g.digest())
		group.Go(func() (err error) {
			carried[i], err = view.carries(ctx, a.policy, g.claim)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var gaps []gap
	for i, g := range asked {
		if !carried[i] {
			gaps = append(gaps, g)
		}
	}
	return gaps, nil
}

func (a *Attacher) view(subject name.Digest) *Attachments {
	if a.views == nil {
		a.views = map[string]*Attachments{}
	}
	if a.views[subject.String()] == nil {
		view := a.client.Attachments(subject)
		// What only the tag lists is written anew where the registry has a list.
		view.first = !a.again
		a.views[subject.String()] = view
	}
	return a.views[subject.String()]
}

// carries says whether a digest has a valid attachment of the claim's kind and
// with its predicate.
func (v *Attachments) carries(ctx context.Context, p *Policy, c *statement) (bool, error) {
	found := false
	err := v.each(ctx, p, c.kind, func(s *Statement) bool {
		found = c.saidBy(s)
		return !found
	})
	var invalid *InvalidError
	if errors.Is(err, ErrNotAttached) || errors.As(err, &invalid) {
		return false, nil
	}
	// Somebody may have attached what cannot be read, so that nothing else be attached.
	if v.first && errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return found, err
}

// fill writes to several subjects at once, to each one attachment after another.
func (a *Attacher) fill(ctx context.Context, gaps []gap) error {
	bySubject := map[string][]gap{}
	for _, g := range gaps {
		if err := a.make(ctx, g.claim); err != nil {
			return err
		}
		subject := g.digest().String()
		bySubject[subject] = append(bySubject[subject], g)
	}
	a.written = a.written || len(gaps) > 0
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, gaps := range bySubject {
		group.Go(func() error {
			for _, g := range gaps {
				if err := g.claim.format.store().write(ctx, a.client, g.digest(), g.claim.made[g.subject]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// make signs what is claimed.
func (a *Attacher) make(ctx context.Context, c *statement) error {
	if c.made != nil {
		return nil
	}
	made, err := c.format.store().make(ctx, a.signer, c.kind, c.predicate, c.subjects)
	if err != nil {
		return err
	}
	// An identity that the policy does not accept must not get into a registry.
	for i, subject := range c.subjects {
		if _, err := a.policy.verify(made[i], subject, c.kind); err != nil {
			return &InvalidError{Digest: subject, Type: c.kind, Reasons: []error{err}}
		}
	}
	c.made = made
	return nil
}
