package sign

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A store keeps attachments in registries in one format.
type store interface {
	// places are the lists in which attachments of a kind (a predicate type) may
	// be; of any kind, for "". Those of a group are asked for where nothing valid is
	// in the ones before it.
	places(kind string) [][]string
	// list returns what is in one of the lists of a digest's attachments. It does
	// not read the attachments.
	list(ctx context.Context, v *Attachments, place string) ([]candidate, error)
	// make signs a predicate of all subjects; of the result, the attachment
	// at an index is for the subject at that index.
	make(ctx context.Context, s *Signer, kind string, predicate json.RawMessage, subjects []name.Digest) ([]attachment, error)
	// write attaches to a digest what make made for it.
	write(ctx context.Context, c *Client, subject name.Digest, a attachment) error
}

// A candidate is an attachment that was not read yet.
type candidate struct {
	kind string // what its annotations say, unverified; "" where they say nothing
	// open finds the attachment's content, once; errors are as read's.
	open func() (*content, error)
}

// read fetches the attachment, of what is large only what the policy's signatures fit;
// a *RegistryError says that this did not succeed, another error that what was fetched
// is none, or nobody's that matters.
func (c candidate) read(ctx context.Context, p *Policy) (attachment, error) {
	found, err := c.open()
	if err != nil {
		return nil, err
	}
	return found.get(ctx, p)
}

// refuse forgets the attachment, and keeps why it cannot be used: what somebody else
// attached takes no memory for longer than it takes to look at it.
func (c candidate) refuse(why error) {
	if found, err := c.open(); err == nil {
		found.set(nil, why, true)
	}
}

// forget lets go of an attachment that is something else than what is looked for. It is
// fetched again for who looks for that.
func (c candidate) forget() {
	if found, err := c.open(); err == nil {
		found.set(nil, nil, false)
	}
}

// content is that of an attachment, fetched once, whatever names it.
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
	// verify says what is signed, or why it is not acceptable as one of the
	// kind for the digest.
	verify(p *trust, digest v1.Hash, kind string) (*Statement, error)
}

func (f Format) store() store {
	if f == Classic {
		return classicStore{}
	}
	return bundleStore{}
}
