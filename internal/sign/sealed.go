package sign

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// maxOutline is the largest size, in bytes, of a large attachment without its payload.
// Signature, certificates, timestamps and log entries take some thousand bytes.
const maxOutline = 64 << 10

// A sealed attachment is a file whose payload was not read into memory yet: a Sigstore
// bundle or a DSSE envelope.
type sealed struct {
	file     io.ReaderAt
	from, to int64 // the offsets of the payload, which is in base64
	outline
}

// An outline is a sealed attachment without its payload: the parts that decide whether the
// signature fits.
type outline struct {
	envelope
	Bundled  *envelope `json:"dsseEnvelope"`
	Material struct {
		Certificate rawCertificate `json:"certificate"`
		Chain       struct {
			Certificates []rawCertificate `json:"certificates"`
		} `json:"x509CertificateChain"`
	} `json:"verificationMaterial"`
}

// https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md
type envelope struct {
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		Sig []byte `json:"sig"`
	} `json:"signatures"`
}

type rawCertificate struct {
	RawBytes []byte `json:"rawBytes"`
}

// seal finds the payload in a JSON file and reads everything else. certificate, in PEM, is
// the signer's for an envelope, which contains none.
func seal(file io.ReaderAt, size int64, certificate string) (*sealed, error) {
	s := &sealed{file: file}
	scan := &payloadScan{in: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 32<<10), sealed: s}
	rest, err := scan.run()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(rest, &s.outline); err != nil {
		return nil, errNoEnvelope
	}
	if s.Bundled != nil {
		s.envelope = *s.Bundled
	}
	if s.to == 0 || len(s.Signatures) == 0 {
		return nil, errNoEnvelope
	}
	if block, _ := pem.Decode([]byte(certificate)); block != nil {
		s.Material.Certificate.RawBytes = block.Bytes
	}
	return s, nil
}

var errNoEnvelope = errors.New("it has no signed statement")

// A payloadScan reads JSON once and leaves out the first string that is the value of a
// member "payload".
type payloadScan struct {
	in     *bufio.Reader
	offset int64
	rest   bytes.Buffer
	*sealed
}

func (p *payloadScan) run() ([]byte, error) {
	wanted := false // the next string is the payload
	for {
		b, err := p.next()
		switch {
		case errors.Is(err, io.EOF):
			return p.rest.Bytes(), nil
		case err != nil:
			return nil, err
		case b == '"' && wanted && p.to == 0:
			p.from = p.offset
			if err := p.skip(); err != nil {
				return nil, err
			}
			wanted = false
		case b == '"':
			var text []byte
			if text, err = p.text(); err != nil {
				return nil, err
			}
			wanted = string(text) == "payload"
		case b != ':' && b != ' ' && b != '\n' && b != '\t' && b != '\r':
			wanted = false
		}
	}
}

// next reads a byte and keeps it.
func (p *payloadScan) next() (byte, error) {
	if p.rest.Len() >= maxOutline {
		return 0, fmt.Errorf("more than %d bytes of it are not a signed statement", maxOutline)
	}
	b, err := p.in.ReadByte()
	if err == nil {
		p.offset++
		p.rest.WriteByte(b)
	}
	return b, err
}

// text reads the rest of a string and returns it without decoding.
func (p *payloadScan) text() ([]byte, error) {
	from := p.rest.Len()
	for escaped := false; ; {
		b, err := p.next()
		if err != nil {
			return nil, errors.Join(errNoEnvelope, err)
		}
		if b == '"' && !escaped {
			return p.rest.Bytes()[from : p.rest.Len()-1], nil
		}
		escaped = b == '\\' && !escaped
	}
}

// skip skips the rest of a string. Base64 contains no escaped characters.
func (p *payloadScan) skip() error {
	for {
		part, err := p.in.ReadSlice('"')
		p.offset += int64(len(part))
		if err == nil {
			p.to = p.offset - 1
			p.rest.WriteByte('"')
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return errNoEnvelope
		}
	}
}

// payload returns the decoded payload.
func (s *sealed) payload() io.Reader {
	return base64.NewDecoder(base64.StdEncoding, io.NewSectionReader(s.file, s.from, s.to-s.from))
}

// signed returns a new reader of the bytes that a signature is for.
// https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md#signature-definition
func (s *sealed) signed() (io.Reader, error) {
	length, err := io.Copy(io.Discard, s.payload())
	if err != nil {
		return nil, errNoEnvelope
	}
	head := fmt.Sprintf("DSSEv1 %d %s %d ", len(s.PayloadType), s.PayloadType, length)
	return io.MultiReader(bytes.NewReader([]byte(head)), s.payload()), nil
}

// leaf returns the signer's certificate, or nil if a key made the signature.
func (s *sealed) leaf() (*x509.Certificate, error) {
	raw := s.Material.Certificate.RawBytes
	if chain := s.Material.Chain.Certificates; len(chain) > 0 {
		raw = chain[0].RawBytes
	}
	if raw == nil {
		return nil, nil
	}
	return x509.ParseCertificate(raw)
}

// fits returns an error if none of the policy's keys or identities signed the attachment.
// The caller still verifies attachments that fit.
func (p *Policy) fits(s *sealed) error {
	var refused error
	for _, way := range p.ways {
		verifier, err := way.verifierOf(s)
		if err == nil {
			err = s.verifies(verifier)
		}
		if err == nil {
			return nil
		}
		refused = err
	}
	return refused
}

func (s *sealed) verifies(verifier signature.Verifier) error {
	for _, one := range s.Signatures[:min(len(s.Signatures), 4)] {
		signed, err := s.signed()
		if err != nil {
			return err
		}
		if verifier.VerifySignature(bytes.NewReader(one.Sig), signed) == nil {
			return nil
		}
	}
	return errOtherKey
}

// verifierOf returns a verifier for the only key that can have signed. For an identity,
// this is the key in the attachment's certificate, if the authority issued that to the
// identity.
func (t *trust) verifierOf(s *sealed) (signature.Verifier, error) {
	leaf, err := s.leaf()
	switch {
	case err != nil:
		return nil, err
	case t.hint != "" && leaf != nil:
		return nil, errors.New("signed with a certificate, not with the key")
	case t.hint != "":
		return t.classic.SigVerifier, nil
	case leaf == nil:
		return nil, errors.New("signed with a key, not with a certificate")
	}
	if _, err := verify.VerifyLeafCertificate(leaf.NotBefore, leaf, t.classic.TrustedMaterial); err != nil {
		return nil, err
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, err
	}
	if err := t.identity.Verify(summary); err != nil {
		return nil, err
	}
	return signature.LoadDefaultVerifier(leaf.PublicKey)
}
