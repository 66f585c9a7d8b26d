package sign

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	rekor "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	cosigntypes "github.com/sigstore/cosign/v2/pkg/types"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

func (classicStore) make(ctx context.Context, s *Signer, c *statement) ([]attachment, error) {
	if c.kind != SignatureType {
		a, err := s.classicAttestation(ctx, c)
		return slices.Repeat([]attachment{a}, len(c.subjects)), err
	}
	// In this format a signature is for one digest.
	var made []attachment
	for _, subject := range c.subjects {
		a, err := s.classicSignature(ctx, subject)
		if err != nil {
			return nil, err
		}
		made = append(made, a)
	}
	return made, nil
}

func (s *Signer) classicSignature(ctx context.Context, subject name.Digest) (attachment, error) {
	content, err := payload.Cosign{Image: subject}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", subject, err)
	}
	signed, authorities, err := s.classicSign(ctx, &sign.PlainData{Data: content})
	if err != nil {
		return nil, err
	}
	sig := signed.GetMessageSignature().GetSignature()
	options, err := classicProof(ctx, signed, authorities, sig)
	if err != nil {
		return nil, err
	}
	options = append([]static.Option{static.WithAnnotations(map[string]string{createdAnnotation: createdNow()})}, options...)
	layer, err := static.NewSignature(content, base64.StdEncoding.EncodeToString(sig), options...)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", subject, err)
	}
	return classicAttachment{layer}, nil
}

func (s *Signer) classicAttestation(ctx context.Context, c *statement) (attachment, error) {
	kind := c.kind
	statement, err := newStatement(kind, c.predicate, c.subjects)
	if err != nil {
		return nil, err
	}
	signed, authorities, err := s.classicSign(ctx, &sign.DSSEData{Data: statement, PayloadType: payloadType})
	if err != nil {
		return nil, err
	}
	envelope := ssldsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement)}
	for _, sig := range signed.GetDsseEnvelope().GetSignatures() {
		envelope.Signatures = append(envelope.Signatures, ssldsse.Signature{Sig: base64.StdEncoding.EncodeToString(sig.GetSig())})
	}
	content, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("attest %s: %w", kind, err)
	}
	// WithAnnotations replaces all annotations, so it comes first.
	annotations := map[string]string{classicPredicateAnnotation: kind, createdAnnotation: createdNow()}
	if c.label != "" {
		annotations[labelAnnotation] = c.label
	}
	options := []static.Option{
		static.WithAnnotations(annotations),
		static.WithLayerMediaType(cosigntypes.DssePayloadType),
	}
	// In this format the timestamp is for the envelope, not for the signature in it.
	proof, err := classicProof(ctx, signed, authorities, content)
	if err != nil {
		return nil, err
	}
	layer, err := static.NewAttestation(content, append(options, proof...)...)
	if err != nil {
		return nil, fmt.Errorf("attest %s: %w", kind, err)
	}
	return classicAttachment{layer}, nil
}

// classicSign signs with a certificate or a key, and returns the timestamp authorities. It
// does not call them, because the format timestamps other bytes than a bundle does. It
// calls no log, because the format cannot hold its entries.
func (s *Signer) classicSign(ctx context.Context, content sign.Content) (*protobundle.Bundle, []*sign.TimestampAuthority, error) {
	var authorities []*sign.TimestampAuthority
	signed, err := s.sign(ctx, content, func(options *sign.BundleOptions) {
		authorities = options.TimestampAuthorities
		options.TimestampAuthorities = nil
		options.TransparencyLogs = nil
	})
	return signed, authorities, err
}

// classicProof returns a bundle's certificate as a layer's annotation, and a timestamp for
// the bytes that this format timestamps. For a key it returns nothing.
func classicProof(ctx context.Context, signed *protobundle.Bundle, authorities []*sign.TimestampAuthority, dated []byte) ([]static.Option, error) {
	issued := signed.GetVerificationMaterial().GetCertificate()
	if issued == nil {
		return nil, nil
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.GetRawBytes()})
	options := []static.Option{static.WithCertChain(leaf, nil)}
	// The format holds one timestamp only.
	for _, authority := range authorities[:min(1, len(authorities))] {
		time, err := authority.GetTimestamp(ctx, dated)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		options = append(options, static.WithRFC3161Timestamp(rekor.TimestampToRFC3161Timestamp(time)))
	}
	return options, nil
}

// write writes the tags in the order in which the attachments need them, so that the
// signature is last.
func (classicStore) write(ctx context.Context, c *Client, subject name.Digest, all []attachment) error {
	op := fmt.Sprintf("attach to %s", subject)
	var tags []name.Tag
	layers := map[name.Tag][]oci.Signature{}
	for _, a := range all {
		layer := a.(classicAttachment).layer
		kind, err := layerKind(layer)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		tag, err := classicTag(subject, kind)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if layers[tag] == nil {
			tags = append(tags, tag)
		}
		layers[tag] = append(layers[tag], layer)
	}
	for _, tag := range tags {
		present, err := c.classicImage(ctx, tag)
		if err != nil {
			return &RegistryError{op, err}
		}
		image, err := withLayers(present, layers[tag])
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if err := c.putClassicImage(ctx, tag, image, layers[tag]); err != nil {
			return &RegistryError{op, err}
		}
	}
	return nil
}

// putClassicImage writes the image at a tag. The registry has all its layers but the given
// ones.
func (c *Client) putClassicImage(ctx context.Context, tag name.Tag, image v1.Image, layers []oci.Signature) error {
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	mediaType, err := image.MediaType()
	if err != nil {
		return err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return err
	}
	blobs := [][]byte{config}
	for _, layer := range layers {
		content, err := layer.Payload()
		if err != nil {
			return err
		}
		blobs = append(blobs, content)
	}
	for _, blob := range blobs {
		if err := c.registry.PutBlob(ctx, tag.Context(), blob); err != nil {
			return err
		}
	}
	return c.registry.PutManifest(ctx, tag, mediaType, manifest)
}

// classicImage reads the image at a tag, so that a layer can be added. If the tag does not
// exist, the image has no layers.
func (c *Client) classicImage(ctx context.Context, tag name.Tag) (v1.Image, error) {
	manifest, err := c.registry.ReadArtifact(ctx, tag, maxClassicManifest)
	if notFound(err) {
		return empty.Signatures(), nil
	}
	if err != nil {
		return nil, err
	}
	var read v1.Manifest
	if err := json.Unmarshal(manifest, &read); err != nil {
		return nil, err
	}
	config, err := c.registry.Blob(ctx, tag, read.Config, maxClassicConfig)
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(storedImage{manifest, config, cmp.Or(read.MediaType, types.OCIManifestSchema1)})
}

// storedImage is an image in a registry. Its manifest and configuration were read, its
// layers were not.
type storedImage struct {
	manifest, config []byte
	mediaType        types.MediaType
}

func (s storedImage) RawManifest() ([]byte, error)        { return s.manifest, nil }
func (s storedImage) RawConfigFile() ([]byte, error)      { return s.config, nil }
func (s storedImage) MediaType() (types.MediaType, error) { return s.mediaType, nil }
func (s storedImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	return nil, fmt.Errorf("layer %s was not read", digest)
}

// withLayers returns the image with more layers.
func withLayers(image v1.Image, layers []oci.Signature) (v1.Image, error) {
	var more []mutate.Addendum
	for _, layer := range layers {
		annotations, err := layer.Annotations()
		if err != nil {
			return nil, err
		}
		more = append(more, mutate.Addendum{Layer: layer, Annotations: annotations})
	}
	return mutate.Append(image, more...)
}
