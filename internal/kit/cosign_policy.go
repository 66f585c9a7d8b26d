package kit

import (
	"slices"
	"strings"

	"github.com/libresh/libre/internal/sign"
)

// Verifiers of images in a cluster, which CosignPolicy writes policies for.
const (
	Kyverno          = "kyverno"
	PolicyController = "policy-controller"
)

// CosignPolicy writes policies that let a cluster run the images only if they are signed,
// for Kyverno or sigstore's policy-controller. A cluster needs one of them.
//
// What they verify was read from their sources (Kyverno 1.19, policy-controller 0.15), and
// tried. policy-controller accepts bundles only of an identity
// (https://github.com/sigstore/policy-controller/issues/1958). A classic signature of an
// identity has no log entry, which both require.
func CosignPolicy(places Places, config sign.Config, verifiers ...string) ([]File, error) {
	const doing = "writing policies for Kyverno and policy-controller"
	s, err := newSigners(config)
	if err != nil {
		return nil, err
	}
	if s.identity != nil && s.format == sign.Classic {
		return nil, unreadable(doing, "they verify signatures of an identity in the format bundle only, and yours is classic", setBundle)
	}
	var files []File
	if slices.Contains(verifiers, Kyverno) {
		file, err := kyvernoPolicy(places, s)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if slices.Contains(verifiers, PolicyController) {
		if s.identity == nil && s.format == sign.Bundle {
			return nil, unreadable("writing a policy for policy-controller", "it verifies signatures with a key in the format classic only, and yours is bundle", setClassic+"; or give --cosign-policy="+Kyverno)
		}
		policy, err := controllerPolicy(places, s)
		if err != nil {
			return nil, err
		}
		files = append(files, policy...)
	}
	return files, nil
}

// policyName is the name of the objects.
const policyName = "libre-signatures"

// certificateIdentity is an identity, as both tools name it. The patterns are for all of
// the text.
type certificateIdentity struct {
	Issuer  string `yaml:"issuer"`
	Subject string `yaml:"subjectRegExp"`
}

func (s signers) certificateIdentities() []certificateIdentity {
	return []certificateIdentity{{s.identity.Issuer, "^(?:" + s.identity.Subject + ")$"}}
}

// A clusterImagePolicy is the spec of sigstore's policy-controller:
// https://docs.sigstore.dev/policy-controller/overview/
type clusterImagePolicy struct {
	Images      []imageGlob `yaml:"images"`
	Authorities []authority `yaml:"authorities"` // one of them is enough
}

type imageGlob struct {
	Glob string `yaml:"glob"`
}

type authority struct {
	Name    string         `yaml:"name"`
	Key     *authorityKey  `yaml:"key,omitempty"`
	Keyless *authorityName `yaml:"keyless,omitempty"`
	// Timestamp, even empty, has the time of a signature read from its timestamp. Rekor v2,
	// which Sigstore's public instance uses, has no time of its own.
	Timestamp *trustRootRef `yaml:"rfc3161timestamp,omitempty"`
	Format    string        `yaml:"signatureFormat"` // legacy or bundle
	// Attestations must be there. Of bundles, policy-controller verifies no others, and a
	// signature is one.
	Attestations []attestation `yaml:"attestations,omitempty"`
}

type attestation struct {
	Name          string `yaml:"name"`
	PredicateType string `yaml:"predicateType"`
}

type authorityKey struct {
	Data          string `yaml:"data"`
	HashAlgorithm string `yaml:"hashAlgorithm"`
}

type authorityName struct {
	URL          string                `yaml:"url,omitempty"`
	Identities   []certificateIdentity `yaml:"identities"`
	trustRootRef `yaml:",inline"`
	IgnoreSCT    bool `yaml:"insecureIgnoreSCT,omitempty"`
}

// trustRootRef names a TrustRoot. Without a name it is Sigstore's public instance.
type trustRootRef struct {
	Name string `yaml:"trustRootRef,omitempty"`
}

// controllerPolicy writes the policy and, for an own instance of Sigstore, its trusted root.
func controllerPolicy(places Places, s signers) ([]File, error) {
	var policy clusterImagePolicy
	since := "0.13"
	for _, prefix := range places.prefixes() {
		if rest, is := strings.CutPrefix(prefix, "docker.io"); is {
			prefix = "index.docker.io" + rest // as policy-controller calls it
		}
		policy.Images = append(policy.Images, imageGlob{prefix + "/**"})
	}
	for i, key := range s.keys {
		policy.Authorities = append(policy.Authorities, authority{
			Name: keyName(i), Key: &authorityKey{Data: key.PEM, HashAlgorithm: "sha256"}, Format: "legacy",
		})
	}
	if s.identity != nil {
		since = "0.15"
		keyless := &authorityName{URL: "https://fulcio.sigstore.dev", Identities: s.certificateIdentities()}
		if s.instance != nil {
			keyless.URL, keyless.trustRootRef, keyless.IgnoreSCT = "", trustRootRef{policyName}, !s.instance.issuesSCTs()
		}
		policy.Authorities = []authority{{Name: "identity", Keyless: keyless, Timestamp: &keyless.trustRootRef, Format: "bundle", Attestations: []attestation{{"signature", sign.SignatureType}}}}
	}
	comment := "For sigstore's policy-controller " + since + " or newer. It looks at namespaces with the label\npolicy.sigstore.dev/include: \"true\".\n"
	written, err := YAML("policy-controller.yaml", comment+s.ends(), object{"policy.sigstore.dev/v1beta1", "ClusterImagePolicy", metadata{policyName}, policy})
	if err != nil || s.instance == nil {
		return []File{written}, err
	}
	trusted, err := s.instance.trustRoot()
	if err != nil {
		return nil, err
	}
	root, err := YAML("policy-controller-trust-root.yaml", "Your instance of Sigstore, for policy-controller.yaml.\n", object{"policy.sigstore.dev/v1alpha1", "TrustRoot", metadata{policyName}, trusted})
	return []File{written, root}, err
}
