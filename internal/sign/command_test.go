package sign

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestCosignCommand(t *testing.T) {
	here := must[name.Digest](t)(name.NewDigest("127.0.0.1:5000/docs@sha256:" + strings.Repeat("0", 64)))
	plain := must[name.Digest](t)(name.NewDigest("registry.example/docs@sha256:"+strings.Repeat("0", 64), name.Insecure))
	config := newKey(t, Bundle)
	policy := must[*Policy](t)(config.Policy(context.Background()))
	for _, test := range []struct {
		subject    name.Digest
		kind, want string
	}{
		{here, SignatureType, "cosign verify --key 'it'\\''s.pub' --insecure-ignore-tlog=true "},
		{plain, slsa, "cosign verify-attestation --type https://slsa.dev/provenance/v1 --key 'it'\\''s.pub' --insecure-ignore-tlog=true --allow-http-registry=true "},
	} {
		if got := policy.CosignCommand(test.subject, test.kind, "it's.pub"); got != test.want+test.subject.String() {
			t.Errorf("got  %s\nwant %s", got, test.want+test.subject.String())
		}
	}
}
