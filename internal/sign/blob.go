package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What anybody may attach is bounded by what it takes here. What is larger than
// smallBlob is read into memory only where a signature of the policy's fits it.
const (
	smallBlob = 64 << 10
	maxBlob   = 64 << 20 // cosign's default limit is twice that; libre's largest documents are a tenth of it

	maxForeign    = 4 << 30  // bytes of large blobs of others that are looked at for one subject
	maxAllForeign = 16 << 30 // for all of them
	lookedAt      = 2        // large blobs at once, each in a file without a name
)

// A blob is where an attachment's content is.
type blob struct {
	repository name.Repository
	digest     v1.Hash
	size       int64
	data       []byte // the content, where the manifest has it; unverified

	certificate string // of who signed, in PEM, where it is beside the content
}

// read reads a blob: a *RegistryError says that this did not succeed, another error
// that no signature fits it.
func (v *View) read(ctx context.Context, b blob, p *Policy) ([]byte, error) {
	op := fmt.Sprintf("read the attachment %s", b.repository.Digest(b.digest.String()))
	if b.size > maxBlob {
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d are read", op, b.size, maxBlob)
	}
	if digest, _, err := v1.SHA256(bytes.NewReader(b.data)); err == nil && digest == b.digest {
		return b.data, nil
	}
	if b.size > smallBlob {
		return v.readLarge(ctx, op, b, p)
	}
	var content bytes.Buffer
	if err := v.client.copyBlob(ctx, &content, b); err != nil {
		return nil, &RegistryError{op, err}
	}
	return content.Bytes(), nil
}

// readLarge keeps a blob in a file until it is known to be signed.
func (v *View) readLarge(ctx context.Context, op string, b blob, p *Policy) ([]byte, error) {
	select {
	case v.client.looks <- struct{}{}:
		defer func() { <-v.client.looks }()
	case <-ctx.Done():
		return nil, &RegistryError{op, ctx.Err()}
	}
	if v.foreign.Add(b.size) > maxForeign || v.client.foreign.Add(b.size) > maxAllForeign {
		return nil, &RegistryError{op, errors.New("too much is attached that others signed: delete it in the registry")}
	}
	file, err := os.CreateTemp("", "libre-attachment-")
	if err != nil {
		return nil, &RegistryError{op, err}
	}
	defer file.Close()
	os.Remove(file.Name())
	if err := v.client.copyBlob(ctx, file, b); err != nil {
		return nil, &RegistryError{op, err}
	}
	sealed, err := seal(file, b.size, b.certificate)
	if err == nil {
		err = p.fits(sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	v.foreign.Add(-b.size)
	v.client.foreign.Add(-b.size)
	content := make([]byte, b.size)
	_, err = file.ReadAt(content, 0)
	return content, err
}

// copyBlob fetches a blob, of exactly the size that its manifest says.
func (c *Client) copyBlob(ctx context.Context, to io.Writer, b blob) error {
	content, err := c.registry.ReadBlob(ctx, b.repository, b.digest)
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := io.Copy(to, io.LimitReader(content, b.size+1))
	if err == nil && n != b.size {
		err = fmt.Errorf("%s does not have the %d bytes that its manifest says", b.digest, b.size)
	}
	return err
}
