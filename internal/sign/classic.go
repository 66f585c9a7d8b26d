package sign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	rekor "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// classicPredicateAnnotation is the annotation of an attestation's layer that contains its
// predicate type.
const classicPredicateAnnotation = "predicateType"

// classicStore implements the format Classic.
type classicStore struct{}

// A classicAttachment is one layer of a .sig or .att image.
type classicAttachment struct{ layer oci.Signature }

// classicTag returns the tag of the image that holds the attachments of a kind.
func classicTag(subject name.Digest, kind string) (name.Tag, error) {
	if kind == SignatureType {
		return ociremote.SignatureTag(subject)
	}
	return ociremote.AttestationTag(subject)
}

// attestations stands for all kinds except signatures: one tag holds them all.
const attestations = "attestations"

func (classicStore) lists(kind string) [][]string {
	switch kind {
	case "":
		return [][]string{{SignatureType, attestations}}
	case SignatureType:
		return [][]string{{SignatureType}}
	}
	return [][]string{{attestations}}
}

// These limits apply to the manifest that holds all signatures, or all attestations, of an
// image.
const (
	maxClassicManifest = 1 << 20 // bytes
	maxClassicConfig   = 1 << 20
	maxClassicLayers   = 1000 // the limit of cosign
)

func (classicStore) list(ctx context.Context, v *Attachments, list string) ([]candidate, error) {
	op := fmt.Sprintf("list what is attached to %s", v.subject)
	tag, err := classicTag(v.subject, list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	text, err := v.client.registry.ReadArtifact(ctx, tag, maxClassicManifest)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &RegistryError{op, err}
	}
	var manifest struct {
		Layers []json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, &RegistryError{op, err}
	}
	if len(manifest.Layers) > maxClassicLayers {
		return nil, &RegistryError{op, fmt.Errorf("%d layers, at most %d are read", len(manifest.Layers), maxClassicLayers)}
	}
	var candidates []candidate
	for _, raw := range manifest.Layers {
		var layer v1.Descriptor
		if json.Unmarshal(raw, &layer) != nil {
			continue // none
		}
		says := SignatureType
		if list != SignatureType {
			says = layer.Annotations[classicPredicateAnnotation]
		}
		found := v.classicContent(layer)
		label := layer.Annotations[labelAnnotation]
		if len(label) > maxLabel {
			label = ""
		}
		candidates = append(candidates, candidate{kind: says, label: label, id: string(raw), open: func() (*content, error) { return found, nil }})
	}
	return candidates, nil
}

// classicContent returns the content that a layer describes. The signature is among the
// layer's annotations, so one blob may belong to several attachments.
func (v *Attachments) classicContent(layer v1.Descriptor) *content {
	return &content{fetch: func(ctx context.Context, p *Policy) (attachment, error) {
		raw, err := v.read(ctx, blob{
			repository: v.subject.Context(), digest: layer.Digest, size: layer.Size,
			certificate: layer.Annotations[static.CertificateAnnotationKey],
		}, p)
		if err != nil {
			return nil, err
		}
		signed, err := classicLayer(layer, raw)
		if err != nil {
			return nil, fmt.Errorf("read an attachment of %s: %w", v.subject, err)
		}
		return classicAttachment{signed}, nil
	}}
}

// classicLayer returns a layer with its content. Its annotations are unverified.
func classicLayer(layer v1.Descriptor, content []byte) (oci.Signature, error) {
	encoded, has := layer.Annotations[static.SignatureAnnotationKey]
	if !has {
		return nil, fmt.Errorf("it is missing the annotation %s", static.SignatureAnnotationKey)
	}
	options := []static.Option{static.WithLayerMediaType(layer.MediaType), static.WithAnnotations(layer.Annotations)}
	if text := layer.Annotations[static.BundleAnnotationKey]; text != "" {
		var logged rekor.RekorBundle
		if err := json.Unmarshal([]byte(text), &logged); err != nil {
			return nil, err
		}
		options = append(options, static.WithBundle(&logged))
	}
	if text := layer.Annotations[static.RFC3161TimestampAnnotationKey]; text != "" {
		var stamp rekor.RFC3161Timestamp
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, err
		}
		options = append(options, static.WithRFC3161Timestamp(&stamp))
	}
	if certificate := layer.Annotations[static.CertificateAnnotationKey]; certificate != "" {
		options = append(options, static.WithCertChain([]byte(certificate), []byte(layer.Annotations[static.ChainAnnotationKey])))
	}
	return static.NewSignature(content, encoded, options...)
}

// layerKind returns the predicate type from the annotation that libre and cosign set. It is
// unverified.
func layerKind(layer oci.Signature) (string, error) {
	annotations, err := layer.Annotations()
	if kind := annotations[classicPredicateAnnotation]; kind != "" || err != nil {
		return kind, err
	}
	return SignatureType, nil
}

func (a classicAttachment) verify(p *trust, digest v1.Hash, kind string) (*Statement, error) {
	options := p.classic // a copy
	signature, err := a.signature(p, &options)
	if err != nil {
		return nil, err
	}
	if kind == SignatureType {
		options.ClaimVerifier = cosign.SimpleClaimVerifier
		if _, err := cosign.VerifyImageSignature(context.Background(), a.layer, digest, &options); err != nil {
			return nil, err
		}
		named, err := a.named()
		return &Statement{PredicateType: SignatureType, Subjects: []v1.Hash{digest}, Signature: *signature, names: named}, err
	}
	options.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
	if _, err := cosign.VerifyBlobAttestation(context.Background(), a.layer, digest, &options); err != nil {
		return nil, err
	}
	content, err := a.layer.Payload()
	if err != nil {
		return nil, err
	}
	var envelope ssldsse.Envelope
	if err := json.Unmarshal(content, &envelope); err != nil {
		return nil, fmt.Errorf("read a signed envelope: %w", err)
	}
	signed, err := envelope.DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("read a signed envelope: %w", err)
	}
	statement, err := readStatement(signed, kind, digest)
	if err != nil {
		return nil, err
	}
	statement.Signature = *signature
	return statement, nil
}

// named returns the repository that a signature names.
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#simple-signing
func (a classicAttachment) named() ([]string, error) {
	content, err := a.layer.Payload()
	if err != nil {
		return nil, err
	}
	var signed struct {
		Critical struct {
			Identity struct {
				Reference string `json:"docker-reference"`
			} `json:"identity"`
		} `json:"critical"`
	}
	err = json.Unmarshal(content, &signed)
	return []string{signed.Critical.Identity.Reference}, err
}

// signature returns the signer of a layer and the time of signing. The time is verified.
// The signer comes from the annotations, and the caller verifies it.
func (a classicAttachment) signature(p *trust, options *cosign.CheckOpts) (*Signature, error) {
	signature := &Signature{Format: Classic}
	leaf, err := a.layer.Cert()
	if err != nil {
		return nil, err
	}
	switch {
	case p.hint != "" && leaf != nil:
		return nil, errors.New("signed with a certificate, not with the key")
	case p.hint != "":
		return signature, nil
	case leaf == nil:
		return nil, errors.New("signed with a key, not with a certificate")
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, err
	}
	signature.Issuer, signature.Subject = summary.Issuer, summary.SubjectAlternativeName
	if !options.UseSignedTimestamps {
		return signature, nil
	}
	stamp, err := cosign.VerifyRFC3161Timestamp(a.layer, options)
	if err != nil {
		return nil, err
	}
	if stamp != nil {
		signature.Time = stamp.Time
	}
	if logged, err := a.layer.Bundle(); err != nil || (stamp == nil && logged == nil) {
		return nil, errors.New("signed at an unknown time: neither a timestamp nor a log entry")
	}
	return signature, nil
}
