package sign

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	bundleMediaType       = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleMediaTypePrefix = "application/vnd.dev.sigstore.bundle"
	emptyMediaType        = "application/vnd.oci.empty.v1+json"

	bundleContentAnnotation   = "dev.sigstore.bundle.content"
	bundlePredicateAnnotation = "dev.sigstore.bundle.predicateType"
	createdAnnotation         = "org.opencontainers.image.created"
	listedBundleAnnotation    = "sh.libre.bundle"
)

// listedBundleSize is up to which size a bundle is in an annotation as well: lists of
// referrers have these, so that who asks for the list needs no further request.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
const listedBundleSize = 8 << 10

// inlineBundleSize is up to which size a bundle is repeated in the manifest
// (the descriptor's data field of the OCI image specification): who has the
// manifest then needs no further request. Registries limit manifests to 4 MiB.
const inlineBundleSize = 64 << 10

// bundleStore is the format Bundle.
type bundleStore struct{}

// A bundleAttachment is one Sigstore bundle.
type bundleAttachment struct {
	raw    []byte // JSON
	bundle *bundle.Bundle
	kind   string
}

func newBundleAttachment(raw []byte, kind string) (*bundleAttachment, error) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("read a Sigstore bundle: %w", err)
	}
	return &bundleAttachment{raw: raw, bundle: b, kind: kind}, nil
}

// tagged are the attachments that are listed at the subject's tag and not by the
// registry, because it has the referrers API since, or keeps no list with it.
const tagged = "tagged"

// All kinds are in one list.
func (bundleStore) places(string) [][]string { return [][]string{{""}, {tagged}} }

func (bundleStore) list(ctx context.Context, c *Client, subject name.Digest, place string) ([]candidate, error) {
	referrers, err := c.referrers(ctx, subject, place == tagged)
	if err != nil {
		return nil, err
	}
	blobs := &bundleBlobs{client: c, known: map[string]*content{}}
	var candidates []candidate
	for _, referrer := range referrers {
		if !maybeBundle(referrer) {
			continue
		}
		says := referrer.Annotations[bundlePredicateAnnotation]
		found := candidate{kind: says, open: sync.OnceValues(func() (*content, error) {
			return blobs.of(ctx, subject.Context().Digest(referrer.Digest.String()))
		})}
		if raw := referrer.Annotations[listedBundleAnnotation]; raw != "" {
			found.inList = &content{fetch: func() (attachment, error) { return newBundleAttachment([]byte(raw), says) }}
		}
		candidates = append(candidates, found)
	}
	return candidates, nil
}

// maybeBundle is false for what is certainly something else. Not every registry
// reports the manifest's own artifactType.
func maybeBundle(referrer v1.Descriptor) bool {
	return strings.HasPrefix(referrer.ArtifactType, bundleMediaTypePrefix) ||
		referrer.Annotations[bundleContentAnnotation] != "" ||
		referrer.ArtifactType == "" || referrer.ArtifactType == emptyMediaType
}

// bundleBlobs are the contents of the attachments in a list: several manifests may name
// the same blob, which is read once.
type bundleBlobs struct {
	client *Client
	mu     sync.Mutex
	known  map[string]*content // by digest and size: a manifest may lie about the size of another's
}

// of reads an attachment's manifest.
func (b *bundleBlobs) of(ctx context.Context, manifest name.Digest) (*content, error) {
	op := fmt.Sprintf("read the attachment %s", manifest)
	text, err := b.client.registry.ReadArtifact(ctx, manifest)
	if notFound(err) {
		return nil, fmt.Errorf("%s: the registry lists it and does not have it", op)
	}
	if err != nil {
		return nil, &RegistryError{op, err}
	}
	var read v1.Manifest
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if len(read.Layers) != 1 {
		return nil, fmt.Errorf("%s: %d layers, a bundle has one", op, len(read.Layers))
	}
	if !strings.HasPrefix(string(read.Layers[0].MediaType), bundleMediaTypePrefix) {
		return nil, fmt.Errorf("%s: not a Sigstore bundle", op)
	}
	layer := read.Layers[0]
	if layer.Size > maxBlobSize {
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d are read", op, layer.Size, maxBlobSize)
	}
	blob := fmt.Sprintf("%s %d", layer.Digest, layer.Size)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[blob] == nil {
		b.known[blob] = &content{fetch: func() (attachment, error) {
			raw, err := b.client.readBlob(ctx, manifest.Context(), layer)
			if err != nil {
				return nil, &RegistryError{op, err}
			}
			return newBundleAttachment(raw, read.Annotations[bundlePredicateAnnotation])
		}}
	}
	return b.known[blob], nil
}

func (bundleStore) make(ctx context.Context, s *Signer, kind string, predicate json.RawMessage, subjects []name.Digest) ([]attachment, error) {
	statement, err := newStatement(kind, predicate, subjects)
	if err != nil {
		return nil, err
	}
	signed, err := s.sign(ctx, &sign.DSSEData{Data: statement, PayloadType: payloadType}, func(*sign.BundleOptions) {})
	if err != nil {
		return nil, err
	}
	raw, err := protojson.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("write a Sigstore bundle: %w", err)
	}
	a, err := newBundleAttachment(raw, kind)
	if err != nil {
		return nil, err
	}
	return slices.Repeat([]attachment{a}, len(subjects)), nil
}

func (bundleStore) write(ctx context.Context, c *Client, subject name.Digest, a attachment) error {
	made := a.(*bundleAttachment)
	op := fmt.Sprintf("attach to %s", subject)
	descriptor, err := c.descriptor(ctx, subject)
	if err != nil {
		return err
	}
	config, err := c.putBlob(ctx, subject.Context(), []byte("{}"), emptyMediaType)
	if err != nil {
		return &RegistryError{op, err}
	}
	layer, err := c.putBlob(ctx, subject.Context(), made.raw, bundleMediaType)
	if err != nil {
		return &RegistryError{op, err}
	}
	if len(made.raw) <= inlineBundleSize {
		layer.Data = made.raw
	}
	// The first three as cosign has them.
	annotations := map[string]string{
		bundleContentAnnotation:   "dsse-envelope",
		bundlePredicateAnnotation: made.kind,
		createdAnnotation:         time.Now().UTC().Format(time.RFC3339),
	}
	if made.kind == SignatureType && len(made.raw) <= listedBundleSize {
		annotations[listedBundleAnnotation] = string(made.raw)
	}
	manifest, err := json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{
		Manifest: v1.Manifest{
			SchemaVersion: 2,
			MediaType:     types.OCIManifestSchema1,
			Config:        config,
			Layers:        []v1.Descriptor{layer},
			Subject:       descriptor,
			Annotations:   annotations,
		},
		ArtifactType: bundleMediaType,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(manifest))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := c.registry.PutManifest(ctx, subject.Context().Digest(digest.String()), types.OCIManifestSchema1, manifest); err != nil {
		return &RegistryError{op, err}
	}
	return nil
}

func (a *bundleAttachment) verify(p *trust, digest v1.Hash, kind string) (*Statement, error) {
	sum, err := hex.DecodeString(digest.Hex)
	if err != nil {
		return nil, fmt.Errorf("digest %s: %w", digest, err)
	}
	result, err := p.bundle.Verify(a.bundle, verify.NewPolicy(verify.WithArtifactDigest(digest.Algorithm, sum), p.options...))
	if err != nil {
		return nil, a.explain(p, err)
	}
	envelope := a.bundle.GetDsseEnvelope()
	if envelope == nil || envelope.PayloadType != payloadType {
		return nil, errors.New("the bundle holds no in-toto statement")
	}
	statement, err := readStatement(envelope.Payload, kind, digest)
	if err != nil {
		return nil, err
	}
	statement.Signature.Format = Bundle
	if certificate := result.Signature.Certificate; certificate != nil {
		statement.Signature.Issuer = certificate.Issuer
		statement.Signature.Subject = certificate.SubjectAlternativeName
	}
	if len(result.VerifiedTimestamps) > 0 {
		statement.Signature.Time = result.VerifiedTimestamps[0].Timestamp
	}
	return statement, nil
}

// errOtherKey is why a key's trust does not accept the signature of another one.
var errOtherKey = errors.New("signed with another key")

// explain says it shorter where the reason is as plain as another key.
func (a *bundleAttachment) explain(p *trust, err error) error {
	content, contentErr := a.bundle.VerificationContent()
	if contentErr != nil {
		return err
	}
	key := content.PublicKey()
	switch {
	case p.hint != "" && key == nil:
		return errors.New("signed with a certificate, not with the key")
	case p.hint == "" && key != nil:
		return errors.New("signed with a key, not with a certificate")
	case p.hint != "" && key.Hint() != p.hint:
		return errOtherKey
	}
	return err
}
