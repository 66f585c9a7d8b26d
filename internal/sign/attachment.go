package sign

import (
	"context"
	"encoding/json"

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
	list(ctx context.Context, c *Client, subject name.Digest, place string) ([]candidate, error)
	// make signs a predicate of all subjects; of the result, the attachment
	// at an index is for the subject at that index.
	make(ctx context.Context, s *Signer, kind string, predicate json.RawMessage, subjects []name.Digest) ([]attachment, error)
	// write attaches to a digest what make made for it.
	write(ctx context.Context, c *Client, subject name.Digest, a attachment) error
}

// A candidate is an attachment that was not read yet.
type candidate struct {
	kind string // what its annotations say, unverified; "" where they say nothing
	// read fetches the attachment; a *RegistryError says that this did not
	// succeed, another error that what was fetched is none.
	read func() (attachment, error)
	// inList gives what the list itself has of the attachment; nil for nothing.
	inList func() (attachment, error)
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
