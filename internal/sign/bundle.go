package sign

import (
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
	inTotoPredicateAnnotation = "in-toto.io/predicate-type"
)

// listedBundleSize is the largest size, in bytes, of a bundle that is also stored in an
// annotation of its manifest. A list of referrers contains these annotations, so a reader
// of the list needs no further request.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
const listedBundleSize = 8 << 10

// inlineBundleSize is the largest size, in bytes, of a bundle that is also stored in the
// manifest (the descriptor's data field of the OCI image specification). A reader of the
// manifest then needs no further request. Registries limit manifests to 4 MiB.
const inlineBundleSize = 64 << 10

// bundleStore implements the format Bundle.
type bundleStore struct{}

// A bundleAttachment is one Sigstore bundle.
type bundleAttachment struct {
	raw         []byte // JSON
	bundle      *bundle.Bundle
	kind, label string
}

func newBundleAttachment(raw []byte, kind, label string) (*bundleAttachment, error) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("read a Sigstore bundle: %w", err)
	}
	return &bundleAttachment{raw: raw, bundle: b, kind: kind, label: label}, nil
}

// tagged names the list at the subject's tag. It has attachments that the referrers API
// does not return, if the registry got the API later or keeps no list.
const tagged = "tagged"

// lists names the list that has all kinds, and the list at the subject's tag.
func (bundleStore) lists(string) [][]string { return [][]string{{""}, {tagged}} }

// These are limits, in bytes, for reading attachments that anybody may have pushed: for one
// manifest (a bundle of inlineBundleSize in base64 fits), and for all bundles in one list.
const (
	maxBundleManifest = 128 << 10
	maxListedBundles  = 1 << 20
)

func (bundleStore) list(ctx context.Context, v *Attachments, list string) ([]candidate, error) {
	listed := 0
	referrers, err := v.client.referrers(ctx, v.subject, list == tagged, func(d *v1.Descriptor) bool {
		if !maybeBundle(*d) {
			return false
		}
		says, raw, label := d.Annotations[bundlePredicateAnnotation], d.Annotations[listedBundleAnnotation], d.Annotations[labelAnnotation]
		*d = v1.Descriptor{Digest: d.Digest, Size: d.Size, Annotations: map[string]string{}}
		if len(says) <= maxKind {
			d.Annotations[bundlePredicateAnnotation] = says
		}
		if len(label) <= maxLabel {
			d.Annotations[labelAnnotation] = label
		}
		if v.listOnly && len(raw) <= listedBundleSize && listed+len(raw) <= maxListedBundles {
			listed += len(raw)
			d.Annotations[listedBundleAnnotation] = raw
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var candidates []candidate
	for _, referrer := range referrers {
		says := referrer.Annotations[bundlePredicateAnnotation]
		found := candidate{kind: says, label: referrer.Annotations[labelAnnotation], id: referrer.Digest.String(), open: sync.OnceValues(func() (*content, error) {
			manifest := v.subject.Context().Digest(referrer.Digest.String())
			if referrer.Size > maxBundleManifest {
				return nil, fmt.Errorf("read the attachment %s: its manifest has %d bytes, which is too large", manifest, referrer.Size)
			}
			return v.ofManifest(ctx, manifest)
		})}
		if raw := referrer.Annotations[listedBundleAnnotation]; raw != "" {
			inList := &content{fetch: func(context.Context, *Policy) (attachment, error) { return newBundleAttachment([]byte(raw), says, "") }}
			found.open = func() (*content, error) { return inList, nil }
		}
		candidates = append(candidates, found)
	}
	return candidates, nil
}

// maxKind is the largest length of a predicate type, in bytes.
const maxKind = 1 << 10

// createdNow is the value of createdAnnotation, which nothing signs.
func createdNow() string { return time.Now().UTC().Format(time.RFC3339) }

// maybeBundle returns false if a referrer is certainly not a bundle. Some registries do not
// report the manifest's own artifactType.
func maybeBundle(referrer v1.Descriptor) bool {
	return strings.HasPrefix(referrer.ArtifactType, bundleMediaTypePrefix) ||
		referrer.Annotations[bundleContentAnnotation] != "" ||
		referrer.ArtifactType == "" || referrer.ArtifactType == emptyMediaType
}

// ofManifest reads an attachment's manifest and finds the content that it names.
func (v *Attachments) ofManifest(ctx context.Context, manifest name.Digest) (*content, error) {
	op := fmt.Sprintf("read the attachment %s", manifest)
	text, err := v.client.registry.ReadArtifact(ctx, manifest, maxBundleManifest)
	if notFound(err) {
		return nil, fmt.Errorf("%s: the registry lists it but does not have it", op)
	}
	if err != nil {
		return nil, &RegistryError{op, err}
	}
	var read struct {
		Layers      []json.RawMessage `json:"layers"`
		Annotations map[string]string `json:"annotations"`
	}
	var layer v1.Descriptor
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, short(fmt.Errorf("%s: %w", op, err))
	}
	if len(read.Layers) != 1 {
		return nil, fmt.Errorf("%s: %d layers, expected one", op, len(read.Layers))
	}
	if err := json.Unmarshal(read.Layers[0], &layer); err != nil {
		return nil, short(fmt.Errorf("%s: %w", op, err))
	}
	if !strings.HasPrefix(string(layer.MediaType), bundleMediaTypePrefix) {
		return nil, fmt.Errorf("%s: not a Sigstore bundle", op)
	}
	says := read.Annotations[bundlePredicateAnnotation]
	return v.content(blob{repository: manifest.Context(), digest: layer.Digest, size: layer.Size, data: layer.Data}, func(raw []byte) (attachment, error) {
		return newBundleAttachment(raw, says, read.Annotations[labelAnnotation])
	}), nil
}

func (bundleStore) make(ctx context.Context, s *Signer, c *statement) ([]attachment, error) {
	statement, err := newStatement(c.kind, c.predicate, c.subjects)
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
	a, err := newBundleAttachment(raw, c.kind, c.label)
	if err != nil {
		return nil, err
	}
	return slices.Repeat([]attachment{a}, len(c.subjects)), nil
}

func (bundleStore) write(ctx context.Context, c *Client, subject name.Digest, all []attachment) error {
	op := fmt.Sprintf("attach to %s", subject)
	described, err := c.descriptor(ctx, subject)
	if err != nil {
		return err
	}
	config, err := c.putBlob(ctx, subject.Context(), []byte("{}"), emptyMediaType)
	if err != nil {
		return &RegistryError{op, err}
	}
	var manifests [][]byte
	for _, a := range all {
		made := a.(*bundleAttachment)
		layer, err := c.putBlob(ctx, subject.Context(), made.raw, bundleMediaType)
		if err != nil {
			return &RegistryError{op, err}
		}
		manifest, err := made.manifest(described, config, layer)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		manifests = append(manifests, manifest)
	}
	if err := c.registry.PutReferrers(ctx, subject, types.OCIManifestSchema1, manifests...); err != nil {
		return &RegistryError{op, err}
	}
	return nil
}

// manifest returns the manifest that attaches the bundle to a subject.
func (a *bundleAttachment) manifest(subject *v1.Descriptor, config, layer v1.Descriptor) ([]byte, error) {
	if len(a.raw) <= inlineBundleSize {
		layer.Data = a.raw
	}
	// cosign sets the first three, too.
	annotations := map[string]string{
		bundleContentAnnotation:   "dsse-envelope",
		bundlePredicateAnnotation: a.kind,
		createdAnnotation:         createdNow(),
	}
	if a.kind == SignatureType && len(a.raw) <= listedBundleSize {
		annotations[listedBundleAnnotation] = string(a.raw)
	}
	if a.label != "" {
		annotations[labelAnnotation] = a.label
		// With it, Trivy finds the VEX document without reading other attestations.
		annotations[inTotoPredicateAnnotation] = a.kind
	}
	return json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{
		Manifest: v1.Manifest{
			SchemaVersion: 2,
			MediaType:     types.OCIManifestSchema1,
			Config:        config,
			Layers:        []v1.Descriptor{layer},
			Subject:       subject,
			Annotations:   annotations,
		},
		ArtifactType: bundleMediaType,
	})
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
		return nil, errors.New("the bundle has no in-toto statement")
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

// errOtherKey means that a key signed that the policy does not accept.
var errOtherKey = errors.New("signed with another key")

// explain replaces an error by a shorter one if the reason is simply another key or a
// certificate.
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
