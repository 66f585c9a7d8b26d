package kit

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/sign"
)

// An instance is an own instance of Sigstore, which must be trusted instead of the public
// one.
type instance struct {
	keyless *sign.Keyless
	json    string // trusted_root.json, on one line
	trusted *root.TrustedRoot
}

func readInstance(keyless *sign.Keyless) (*instance, error) {
	text, err := file.Read(keyless.TrustedRoot)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root: %w", err)
	}
	trusted, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root %s: not a trusted_root.json of Sigstore", keyless.TrustedRoot) // err may quote it
	}
	var line bytes.Buffer
	err = json.Compact(&line, text)
	return &instance{keyless, line.String(), trusted}, err
}

// issuesSCTs reports whether certificates have entries of a log of certificates.
func (in *instance) issuesSCTs() bool { return len(in.trusted.CTLogs()) > 0 }

// A trustRoot is the spec of policy-controller's kind of this name. It has no logs of
// signatures: their time is that of their timestamps.
type trustRoot struct {
	Keys sigstoreKeys `yaml:"sigstoreKeys"`
}

type sigstoreKeys struct {
	Authorities []certificateAuthority `yaml:"certificateAuthorities"`
	CTLogs      []transparencyLog      `yaml:"ctLogs,omitempty"`
	Timestamps  []certificateAuthority `yaml:"timestampAuthorities"`
}

type certificateAuthority struct {
	Subject distinguishedName `yaml:"subject"`
	URI     string            `yaml:"uri"`
	Chain   string            `yaml:"certChain"` // base64 of PEM, the root last
}

type distinguishedName struct {
	Organization string `yaml:"organization"`
	CommonName   string `yaml:"commonName"`
}

type transparencyLog struct {
	URL       string `yaml:"baseURL"`
	Hash      string `yaml:"hashAlgorithm"`
	PublicKey string `yaml:"publicKey"` // base64 of PEM
}

func (in *instance) trustRoot() (trustRoot, error) {
	var keys sigstoreKeys
	for _, authority := range in.trusted.FulcioCertificateAuthorities() {
		if ca, is := authority.(*root.FulcioCertificateAuthority); is {
			keys.Authorities = append(keys.Authorities, authorityOf(cmp.Or(ca.URI, in.keyless.Fulcio), ca.Root, ca.Intermediates...))
		}
	}
	for _, authority := range in.trusted.TimestampingAuthorities() {
		if ca, is := authority.(*root.SigstoreTimestampingAuthority); is {
			chain := ca.Intermediates
			if ca.Leaf != nil {
				chain = slices.Concat([]*x509.Certificate{ca.Leaf}, chain)
			}
			keys.Timestamps = append(keys.Timestamps, authorityOf(cmp.Or(ca.URI, in.keyless.Timestamp), ca.Root, chain...))
		}
	}
	logs := in.trusted.CTLogs()
	for _, id := range slices.Sorted(maps.Keys(logs)) {
		log := logs[id]
		key, err := cryptoutils.MarshalPublicKeyToPEM(log.PublicKey)
		if err != nil {
			return trustRoot{}, fmt.Errorf("read the trusted root %s: %w", in.keyless.TrustedRoot, err)
		}
		keys.CTLogs = append(keys.CTLogs, transparencyLog{log.BaseURL, "sha-256", base64.StdEncoding.EncodeToString(key)})
	}
	return trustRoot{keys}, nil
}

// authorityOf describes an authority, whose names policy-controller requires and does not
// compare.
func authorityOf(uri string, anchor *x509.Certificate, chain ...*x509.Certificate) certificateAuthority {
	var text bytes.Buffer
	for _, certificate := range append(slices.Clone(chain), anchor) {
		// A buffer takes every write.
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	}
	organization := append(slices.Clone(anchor.Subject.Organization), uri)[0]
	return certificateAuthority{
		Subject: distinguishedName{organization, cmp.Or(anchor.Subject.CommonName, uri)},
		URI:     uri, Chain: base64.StdEncoding.EncodeToString(text.Bytes()),
	}
}
