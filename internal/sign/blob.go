package sign

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Anybody with push access may attach anything, so reading has limits. A blob larger than
// smallBlob is read into memory only if a signature fits a key or identity of the policy.
const (
	smallBlob     = 64 << 10
	maxLargeReads = 2 // large blobs that are examined at once, each in an unnamed temporary file
)

// Limits bounds the resources that reading attachments takes. Zero fields have their
// defaults.
type Limits struct {
	Attachment int64 // bytes of one attachment
	Foreign    int64 // bytes of large attachments that others signed, for one subject; four times that for all subjects
}

// defaultLimits allows attachments of half the size that cosign allows. That is ten times
// the size of the largest documents that libre writes.
var defaultLimits = Limits{Attachment: 64 << 20, Foreign: 4 << 30}

func (l Limits) orDefault() Limits {
	return Limits{cmp.Or(l.Attachment, defaultLimits.Attachment), cmp.Or(l.Foreign, defaultLimits.Foreign)}
}

// A blob describes where an attachment's content is.
type blob struct {
	repository name.Repository
	digest     v1.Hash
	size       int64
	data       []byte // the content, if the manifest contains it; unverified

	certificate string // the signer's, in PEM, if it is stored beside the content
}

// read reads a blob. A *RegistryError means that reading failed. Any other error means that
// the blob is too large or that no signature fits it.
func (v *Attachments) read(ctx context.Context, b blob, p *Policy) ([]byte, error) {
	op := fmt.Sprintf("read the attachment %s", b.repository.Digest(b.digest.String()))
	limits := v.client.limits
	if b.size > limits.Attachment {
		return nil, fmt.Errorf("%s: it has %d bytes, more than the limit of %d: to raise it, set limits.attachment in libre.yaml", op, b.size, limits.Attachment)
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

// readLarge fetches a blob into a file and reads it into memory only if a signature fits.
// It does not fetch a refused blob a second time.
func (v *Attachments) readLarge(ctx context.Context, op string, b blob, p *Policy) ([]byte, error) {
	which := fmt.Sprintf("%s %d %s", b.digest, b.size, b.certificate)
	if refused, ok := v.refused.Load(which); ok {
		return nil, fmt.Errorf("%s: %w", op, refused.(error))
	}
	select {
	case v.client.largeReads <- struct{}{}:
		defer func() { <-v.client.largeReads }()
	case <-ctx.Done():
		return nil, &RegistryError{op, ctx.Err()}
	}
	limit := v.client.limits.Foreign
	if v.foreign.Add(b.size) > limit || v.client.foreign.Add(b.size) > 4*limit {
		return nil, &RegistryError{op, fmt.Errorf("attachments of others exceed the limit of %d bytes for one image, or four times that for all: delete them in the registry, or set limits.attachments in libre.yaml", limit)}
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
		v.refused.Store(which, short(err))
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	v.foreign.Add(-b.size)
	v.client.foreign.Add(-b.size)
	content := make([]byte, b.size)
	_, err = file.ReadAt(content, 0)
	return content, err
}

// copyBlob fetches a blob. It fails if the size differs from the one in the manifest.
func (c *Client) copyBlob(ctx context.Context, to io.Writer, b blob) error {
	content, err := c.registry.ReadBlob(ctx, b.repository, b.digest)
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := io.Copy(to, io.LimitReader(content, b.size+1))
	if err == nil && n != b.size {
		err = fmt.Errorf("%s does not have the %d bytes that its manifest gives", b.digest, b.size)
	}
	return err
}
