package sign

import (
	"context"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A store reads and writes attachments in registries in one format.
type store interface {
	// lists returns the names of the lists that may have attachments of a kind (a predicate
	// type; "" is any kind). A later group is read only if the groups before it have
	// nothing valid.
	lists(kind string) [][]string
	// list returns the candidates in one of the lists of a digest's attachments. It does
	// not read their content.
	list(ctx context.Context, v *Attachments, list string) ([]candidate, error)
	// make signs a statement about all its subjects. It returns one attachment for each
	// subject, in the same order.
	make(ctx context.Context, s *Signer, c *statement) ([]attachment, error)
	// write attaches to a digest the attachments that make returned for it.
	write(ctx context.Context, c *Client, subject name.Digest, all []attachment) error
	// remove removes candidates of one kind from a digest, as far as the registry allows
	// it.
	remove(ctx context.Context, c *Client, subject name.Digest, kind string, all []candidate) error
}

// A candidate is an attachment whose content was not read yet.
type candidate struct {
	kind  string // from its annotations, unverified; "" where they have none
	label string // as kind: see Attacher.AttestLabelled
	id    string // in its list: the digest of a bundle's manifest, the descriptor of a classic layer
	// open finds the attachment's content, once. Its errors are those of read.
	open func() (*content, error)
}

// read fetches the attachment. It reads a large one only if a signature fits a key or
// identity of the policy. A *RegistryError means that reading failed. Any other error means
// that the content is not an attachment, or that nobody whom the policy accepts signed it.
func (c candidate) read(ctx context.Context, p *Policy) (attachment, error) {
	found, err := c.open()
	if err != nil {
		return nil, err
	}
	return found.get(ctx, p)
}

// refuse drops the content and keeps the reason why it cannot be used, so that foreign
// attachments take memory only while they are examined.
func (c candidate) refuse(why error) {
	if found, err := c.open(); err == nil {
		found.set(nil, why, true)
	}
}

// forget drops the content of an attachment of another type. A search for that type fetches
// it again.
func (c candidate) forget() {
	if found, err := c.open(); err == nil {
		found.set(nil, nil, false)
	}
}

// A content is the content of an attachment. It is fetched once, even if several manifests
// name it.
type content struct {
	fetch func(context.Context, *Policy) (attachment, error)

	mu   sync.Mutex
	done bool
	has  attachment
	err  error
}

func (c *content) get(ctx context.Context, p *Policy) (attachment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.has, c.err = c.fetch(ctx, p)
		c.done, c.err = true, short(c.err)
	}
	return c.has, c.err
}

func (c *content) set(has attachment, err error, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has, c.err, c.done = has, err, done
}

// An attachment is a signature or an attestation in one of the formats.
type attachment interface {
	// verify returns the signed statement, or an error if the attachment is not a valid one
	// of the kind for the digest.
	verify(p *trust, digest v1.Hash, kind string) (*Statement, error)
}

func (f Format) store() store {
	if f == Classic {
		return classicStore{}
	}
	return bundleStore{}
}
