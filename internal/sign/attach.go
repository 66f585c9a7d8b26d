package sign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// attachAttempts is how often an attachment is written that the registry takes
// and then does not show: another writer may have put back a list without it.
const attachAttempts = 3

// Sign signs the subjects, usually an index and its children: the signature
// names them all and is attached to each, but to those that carry one already
// that the signer's policy accepts. Afterwards each signature was read back and
// verified. It returns how many subjects were written to.
//
// Errors are of type *CredentialError, *RegistryError (also where the registry
// does not show what it took) or *InvalidError (where what was signed does not
// satisfy the signer's own policy: nothing was written then).
func (c *Client) Sign(ctx context.Context, s *Signer, subjects ...name.Digest) (int, error) {
	return c.attach(ctx, s, SignatureType, json.RawMessage("{}"), subjects)
}

// Attest says the predicate, a JSON value, of the subjects, as Sign signs them.
// A subject that carries a valid attestation of the signer with the same
// predicate is skipped.
func (c *Client) Attest(ctx context.Context, s *Signer, predicateType string, predicate json.RawMessage, subjects ...name.Digest) (int, error) {
	if predicateType == "" || predicateType == SignatureType {
		return 0, fmt.Errorf("attest a predicate of type %q", predicateType)
	}
	if !json.Valid(predicate) {
		return 0, fmt.Errorf("attest a predicate of type %s: it is no JSON", predicateType)
	}
	return c.attach(ctx, s, predicateType, predicate, subjects)
}

func (c *Client) attach(ctx context.Context, s *Signer, kind string, predicate json.RawMessage, subjects []name.Digest) (int, error) {
	missing := map[int]bool{}
	for i, subject := range subjects {
		has, err := c.carries(ctx, s.policy, subject, kind, predicate)
		if err != nil {
			return 0, err
		}
		if !has {
			missing[i] = true
		}
	}
	if len(missing) == 0 {
		return 0, nil
	}
	store := s.policy.format.store()
	made, err := store.make(ctx, s, kind, predicate, subjects)
	if err != nil {
		return 0, err
	}
	// An identity that the policy does not accept must not get into a registry.
	for i, subject := range subjects {
		digest, err := v1.NewHash(subject.DigestStr())
		if err != nil {
			return 0, fmt.Errorf("attach to %s: %w", subject, err)
		}
		if _, err := made[i].verify(s.policy, digest, kind); err != nil {
			return 0, &InvalidError{subject, kind, []error{err}}
		}
	}
	written := 0
	for i, subject := range subjects {
		if !missing[i] {
			continue
		}
		if err := c.attachOne(ctx, s.policy, store, subject, kind, predicate, made[i]); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

// attachOne writes an attachment and reads it back.
func (c *Client) attachOne(ctx context.Context, p *Policy, store store, subject name.Digest, kind string, predicate json.RawMessage, a attachment) error {
	for attempt := 1; ; attempt++ {
		if err := store.write(ctx, c, subject, a); err != nil {
			return err
		}
		has, err := c.carries(ctx, p, subject, kind, predicate)
		switch {
		case err != nil:
			return err
		case has:
			return nil
		case attempt == attachAttempts:
			return &RegistryError{fmt.Sprintf("attach to %s", subject), errors.New("the registry took the attachment and does not show it")}
		}
		if err := pause(ctx, time.Duration(attempt)*200*time.Millisecond); err != nil {
			return err
		}
	}
}

// carries says whether a subject has a valid attachment of the kind and with
// the predicate.
func (c *Client) carries(ctx context.Context, p *Policy, subject name.Digest, kind string, predicate json.RawMessage) (bool, error) {
	found := false
	err := c.each(ctx, p, subject, kind, func(s *Statement) bool {
		found = kind == SignatureType || samePredicate(s.Predicate, predicate)
		return !found
	})
	var invalid *InvalidError
	if errors.Is(err, ErrNotAttached) || errors.As(err, &invalid) {
		return false, nil
	}
	return found, err
}
