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

// attachAttempts limits how often an Attacher writes an attachment that the registry
// accepts but does not show afterwards. A concurrent writer may have overwritten the list
// with one that lacks it.
const attachAttempts = 5

// atOnce is the number of requests that an Attacher runs in parallel.
const atOnce = 4

// An Attacher attaches signatures and attestations to digests. Sign and Attest read what is
// attached to a digest, and sign what is missing. Write writes all of it at once, because
// without the referrers API attachments share a list. Confirm reads them again: call it last,
// since it finds out whether the registry lists what it accepted.
//
// Errors of all methods are faults of kind Credentials, *RegistryError (also if the
// registry does not list what it accepted) or *InvalidError (the signature does not satisfy
// the signer's own policy, and was not written).
type Attacher struct {
	client     *Client
	policy     *Policy
	signer     *Signer                 // nil for copies, which are signed already
	views      map[string]*Attachments // by digest; they share contents
	contents   *contents
	statements []*statement
	signed     []missingStatement // to be written
	written    bool               // whether anything was written since views were read
	again      bool               // whether views were read after a write
}

// A statement is a predicate that an Attacher attaches to subjects.
type statement struct {
	format    Format
	kind      string
	label     string // in the annotations; "" for none
	predicate json.RawMessage
	subjects  []name.Digest
	made      []attachment // for the subject at the same index; nil until a subject lacks it
}

// matches reports whether a statement of the same predicate type has the same predicate.
func (c *statement) matches(s *Statement) bool {
	return c.kind == SignatureType || samePredicate(s.Predicate, c.predicate)
}

// A missingStatement is a statement and one subject that has no attachment for it.
type missingStatement struct {
	statement *statement
	subject   int // its index in statement.subjects
}

func (g missingStatement) digest() name.Digest { return g.statement.subjects[g.subject] }

func (g missingStatement) notShown() error {
	what := "signature"
	if g.statement.kind != SignatureType {
		what = "attestation of type " + g.statement.kind
	}
	return &RegistryError{fmt.Sprintf("attach to %s", g.digest()), fmt.Errorf("the registry accepted the %s but does not list it", what)}
}

// Attacher returns an Attacher for the signer. It sends no request.
func (c *Client) Attacher(s *Signer) *Attacher {
	return &Attacher{client: c, policy: s.policy, signer: s}
}

// Sign signs the subjects and confirms the result. It returns the number of subjects that
// it wrote to.
func (c *Client) Sign(ctx context.Context, s *Signer, subjects ...name.Digest) (int, error) {
	a := c.Attacher(s)
	written, err := a.Sign(ctx, subjects...)
	if err == nil {
		err = a.Confirm(ctx)
	}
	return written, err
}

// Sign signs the subjects, usually an index and its children. One signature names all
// subjects and is for each of them. Sign skips a subject that already has a signature that
// the signer's policy accepts. It returns the number of subjects that get the signature.
func (a *Attacher) Sign(ctx context.Context, subjects ...name.Digest) (int, error) {
	return a.add(ctx, &statement{format: a.policy.format, kind: SignatureType, predicate: json.RawMessage("{}"), subjects: subjects})
}

// Attest signs a statement with the predicate, a JSON value, about the subjects, as Sign
// does. It skips a subject that already has a valid attestation of the signer with the same
// predicate.
func (a *Attacher) Attest(ctx context.Context, predicateType string, predicate json.RawMessage, subjects ...name.Digest) (int, error) {
	if predicateType == "" || predicateType == SignatureType {
		return 0, fmt.Errorf("attest a predicate of type %q", predicateType)
	}
	if !json.Valid(predicate) {
		return 0, fmt.Errorf("attest a predicate of type %s: it is not JSON", predicateType)
	}
	return a.add(ctx, &statement{format: a.policy.format, kind: predicateType, predicate: predicate, subjects: subjects})
}

// AttestLabelled is like Attest, and also gives the attestation a label: a short text in
// its annotations. Lists of attachments contain the label. It is not signed.
func (a *Attacher) AttestLabelled(ctx context.Context, predicateType, label string, predicate json.RawMessage, subjects ...name.Digest) (int, error) {
	if len(label) > maxLabel {
		return 0, fmt.Errorf("attest a predicate of type %s: its label has more than %d bytes", predicateType, maxLabel)
	}
	return a.add(ctx, &statement{format: a.policy.format, kind: predicateType, label: label, predicate: predicate, subjects: subjects})
}

func (a *Attacher) add(ctx context.Context, c *statement) (int, error) {
	a.statements = append(a.statements, c)
	missing, err := a.missing(ctx, c)
	if err != nil {
		return 0, err
	}
	return len(missing), a.make(ctx, missing)
}

// Confirm calls Write. It reads the attachments of all subjects again, verifies them, and
// writes those that got lost. If nothing was written, it sends no request.
func (a *Attacher) Confirm(ctx context.Context) error {
	if err := a.Write(ctx); err != nil {
		return err
	}
	for attempt := 1; a.written; attempt++ {
		a.views, a.written, a.again = nil, false, true
		missing, err := a.missing(ctx, a.statements...)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return nil
		}
		if attempt == attachAttempts {
			return missing[0].notShown()
		}
		if err := pause(ctx, time.Duration(attempt)*200*time.Millisecond); err != nil {
			return err
		}
		if err := a.make(ctx, missing); err != nil {
			return err
		}
		if err := a.Write(ctx); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the subjects that have no valid attachment for the statements.
func (a *Attacher) missing(ctx context.Context, statements ...*statement) ([]missingStatement, error) {
	var asked []missingStatement
	for _, c := range statements {
		for subject := range c.subjects {
			asked = append(asked, missingStatement{c, subject})
		}
	}
	present := make([]bool, len(asked))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, g := range asked {
		view := a.view(g.digest())
		group.Go(func() (err error) {
			present[i], err = view.contains(ctx, a.policy, g.statement)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []missingStatement
	for i, g := range asked {
		if !present[i] {
			missing = append(missing, g)
		}
	}
	return missing, nil
}

func (a *Attacher) view(subject name.Digest) *Attachments {
	if a.views == nil {
		a.views, a.contents = map[string]*Attachments{}, &contents{}
	}
	if a.views[subject.String()] == nil {
		view := a.client.Attachments(subject)
		view.contents = a.contents
		// If the registry keeps a list of referrers, write an attachment again that only
		// the tag lists.
		view.firstOnly = !a.again
		a.views[subject.String()] = view
	}
	return a.views[subject.String()]
}

// contains reports whether a digest has a valid attachment of the statement's type with its
// predicate.
func (v *Attachments) contains(ctx context.Context, p *Policy, c *statement) (bool, error) {
	found := false
	err := v.each(ctx, p, c.kind, func(s *Statement) bool {
		found = c.matches(s)
		return !found
	})
	var invalid *InvalidError
	if errors.Is(err, ErrNotAttached) || errors.As(err, &invalid) {
		return false, nil
	}
	// An attachment that cannot be read must not prevent others: anybody may have pushed it.
	if v.firstOnly && errors.As(err, new(*unreadError)) {
		return false, nil
	}
	return found, err
}

// Write writes what Sign and Attest signed: to several subjects in parallel, and all that a
// subject gets at once. After an error, Confirm writes what is missing.
func (a *Attacher) Write(ctx context.Context) error {
	type target struct {
		subject string
		format  Format
	}
	byTarget := map[target][]missingStatement{}
	for _, g := range a.signed {
		to := target{g.digest().String(), g.statement.format}
		byTarget[to] = append(byTarget[to], g)
	}
	a.written = a.written || len(a.signed) > 0
	a.signed = nil
	var group errgroup.Group
	group.SetLimit(atOnce)
	for to, missing := range byTarget {
		group.Go(func() error {
			var all []attachment
			for _, g := range missing {
				all = append(all, g.statement.made[g.subject])
			}
			return to.format.store().write(ctx, a.client, missing[0].digest(), all)
		})
	}
	return group.Wait()
}

// make signs the missing statements, each once.
func (a *Attacher) make(ctx context.Context, missing []missingStatement) error {
	for _, g := range missing {
		if err := a.sign(ctx, g.statement); err != nil {
			return err
		}
	}
	a.signed = append(a.signed, missing...)
	return nil
}

func (a *Attacher) sign(ctx context.Context, c *statement) error {
	if c.made != nil {
		return nil
	}
	made, err := c.format.store().make(ctx, a.signer, c)
	if err != nil {
		return err
	}
	// Check first: an identity that the policy does not accept must not get into a registry.
	for i, subject := range c.subjects {
		if _, err := a.policy.verify(made[i], subject, c.kind); err != nil {
			return &InvalidError{Digest: subject, Type: c.kind, Reasons: []error{err}}
		}
	}
	c.made = made
	return nil
}
