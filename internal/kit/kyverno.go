package kit

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/sign"
)

// An imageValidatingPolicy is the spec of Kyverno's kind of this name, which replaces
// verifyImages of ClusterPolicy since Kyverno 1.17:
// https://kyverno.io/docs/policy-types/image-validating-policy/
type imageValidatingPolicy struct {
	FailurePolicy    string              `yaml:"failurePolicy"`
	Actions          []string            `yaml:"validationActions"`
	MatchConstraints matchConstraints    `yaml:"matchConstraints"`
	Images           []imageGlob         `yaml:"matchImageReferences"`
	Attestors        []attestor          `yaml:"attestors"`
	Validations      []kyvernoValidation `yaml:"validations"`
	Webhook          kyvernoWebhook      `yaml:"webhookConfiguration"`
}

type matchConstraints struct {
	Rules []resourceRule `yaml:"resourceRules"`
}

type resourceRule struct {
	Groups     []string `yaml:"apiGroups,flow"`
	Versions   []string `yaml:"apiVersions,flow"`
	Operations []string `yaml:"operations,flow"`
	Resources  []string `yaml:"resources,flow"`
}

type attestor struct {
	Name   string         `yaml:"name"`
	Cosign cosignAttestor `yaml:"cosign"`
}

type cosignAttestor struct {
	Key     *attestorKey     `yaml:"key,omitempty"`
	Keyless *attestorKeyless `yaml:"keyless,omitempty"`
	Log     attestorLog      `yaml:"ctlog"`
	Root    *attestorValue   `yaml:"trustedRoot,omitempty"` // since Kyverno 1.19
}

type attestorKey struct {
	Data          string `yaml:"data"`
	HashAlgorithm string `yaml:"hashAlgorithm"`
}

type attestorKeyless struct {
	Identities []certificateIdentity `yaml:"identities"`
}

type attestorValue struct {
	Value string `yaml:"value"`
}

// attestorLog has no log for keys. For an identity, Kyverno reads the time of a signature
// from its timestamp only if it does not ask for a log entry; Rekor v2, which Sigstore's
// public instance uses, has no time of its own.
type attestorLog struct {
	IgnoreLog bool `yaml:"insecureIgnoreTlog"`
	IgnoreSCT bool `yaml:"insecureIgnoreSCT,omitempty"` // of certificates
}

type kyvernoValidation struct {
	Expression string `yaml:"expression"`
	Message    string `yaml:"message"`
}

type kyvernoWebhook struct {
	TimeoutSeconds int `yaml:"timeoutSeconds"`
}

func kyvernoPolicy(places Places, s signers) (File, error) {
	policy := imageValidatingPolicy{
		FailurePolicy: "Fail", Actions: []string{"Deny"},
		MatchConstraints: matchConstraints{[]resourceRule{{[]string{""}, []string{"v1"}, []string{"CREATE", "UPDATE"}, []string{"pods"}}}},
		Webhook:          kyvernoWebhook{30},
	}
	since := "1.17"
	if s.format == sign.Bundle {
		since = "1.18"
	}
	for _, prefix := range places.prefixes() {
		policy.Images = append(policy.Images, imageGlob{prefix + "/*"}) // * includes slashes here
	}
	for i, key := range s.keys {
		policy.Attestors = append(policy.Attestors, attestor{keyName(i), cosignAttestor{
			Key: &attestorKey{Data: key.PEM, HashAlgorithm: "sha256"}, Log: attestorLog{IgnoreLog: true, IgnoreSCT: true},
		}})
	}
	if s.identity != nil {
		cosign := cosignAttestor{Keyless: &attestorKeyless{s.certificateIdentities()}, Log: attestorLog{IgnoreLog: true}}
		if s.instance != nil {
			cosign.Root, cosign.Log.IgnoreSCT, since = &attestorValue{s.instance.json}, !s.instance.issuesSCTs(), "1.19"
		}
		policy.Attestors = []attestor{{"identity", cosign}}
	}
	var names []string
	for _, attestor := range policy.Attestors {
		names = append(names, "attestors."+attestor.Name)
	}
	// The number of attestors that accept the image: one is enough.
	for _, containers := range []string{"containers", "initContainers", "ephemeralContainers"} {
		policy.Validations = append(policy.Validations, kyvernoValidation{
			Expression: fmt.Sprintf("images.%s.map(image, verifyImageSignatures(image, [%s])).all(accepted, accepted > 0)", containers, strings.Join(names, ", ")),
			Message:    "an image is not signed by its catalogue",
		})
	}
	return YAML("kyverno.yaml", "For Kyverno "+since+" or newer.\n"+s.ends(), object{"policies.kyverno.io/v1", "ImageValidatingPolicy", metadata{policyName}, policy})
}

// keyName is the name of a key in policies; in Kyverno's expressions it is an identifier.
func keyName(i int) string { return fmt.Sprintf("key%d", i+1) }
