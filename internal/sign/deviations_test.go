package sign

import (
	"context"
	"strings"
	"testing"

	libreregistry "github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/testkit"
)

// Some registries deviate from the specification. Later readers still find the attachments,
// nothing is attached twice, and attachments can be copied from and to such registries.
func TestAttachAtRegistriesThatDeviate(t *testing.T) {
	signers := map[Format]*Signer{Bundle: newSigner(t, newKey(t, Bundle)), Classic: newSigner(t, newKey(t, Classic))}
	client := func(t *testing.T) *Client {
		return NewClient(must[*libreregistry.Client](t)(libreregistry.NewClient("localhost", libreregistry.Options{})), Limits{})
	}
	for kind, quirks := range testkit.Deviations {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for format, signer := range signers {
				ctx := context.Background()
				plain := memoryRegistry(t, true)
				subjects := pushIndex(t, plain.host)
				host := newRegistry(t, quirks.Around(plain.handler)).host
				for i, subject := range subjects {
					subjects[i] = mustDigests(t, strings.Replace(subject.String(), plain.host, host, 1))[0]
				}
				attach := func() int {
					a := client(t).Attacher(signer)
					written := must[int](t)(a.Attest(ctx, cycloneDX, bom, subjects...))
					written += must[int](t)(a.Sign(ctx, subjects...))
					must[int](t)(0, a.Confirm(ctx))
					return written
				}
				if written := attach(); written != 2*len(subjects) {
					t.Errorf("%s: %d written", format, written)
				}
				// Attachments that only the tag lists are attached again if the registry has a list.
				if written := attach(); written != 0 && !quirks.Forgetful {
					t.Errorf("%s: %d written that were there", format, written)
				}
				verifies := func(to int) {
					t.Helper()
					must[*Signature](t)(client(t).Verify(ctx, subjects[to], signer.Policy()))
					must[[]Statement](t)(client(t).VerifyAttestations(ctx, subjects[to], cycloneDX, signer.Policy()))
				}
				verifies(0)
				verifies(1)
				must[*Signature](t)(client(t).VerifyListed(ctx, subjects[0], signer.Policy()))
			}
		})
	}
}
