package sign

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// Somebody with push access copies a signed image with all its attachments to another
// repository. The image counts as not signed there, unless the policy lists the copy. A
// signature for that repository verifies beside the copied one.
func TestSignatureForAnotherRepositoryIsRefused(t *testing.T) {
	ctx := context.Background()
	const docs = "/lasuite/docs-backend-default@"
	for _, format := range []Format{Bundle, Classic} {
		t.Run(string(format), func(t *testing.T) {
			signer := newSigner(t, newKey(t, format))
			here, there := memoryRegistry(t, true), memoryRegistry(t, true)
			for what, attack := range map[string]struct {
				to       *testRegistry
				path     string
				listed   Copy // a Copy that accepts the signature; none accepts another name
				unlisted Copy
			}{
				"another namespace": {here, "/production/docs-backend-default@",
					Copy{here.host + "/lasuite", here.host + "/production"}, Copy{here.host + "/production", here.host + "/lasuite"}},
				"another registry": {there, docs,
					Copy{here.host + "/lasuite", there.host + "/lasuite/"}, Copy{here.host + "/lasuite", there.host}},
				"no namespace": {there, "/docs-backend-default@",
					Copy{here.host + "/lasuite", there.host}, Copy{here.host, there.host}},
				"a namespace below": {here, "/lasuite/production/docs-backend-default@",
					Copy{here.host + "/lasuite", here.host + "/lasuite/production"}, Copy{here.host + "/lasuite", here.host + "/lasuite"}},
				"another component": {here, "/lasuite/docs-frontend-default@", Copy{}, Copy{here.host + "/lasuite", here.host + "/lasuite"}},
				"another app there": {there, "/lasuite/notes-backend-default@", Copy{}, Copy{here.host + "/lasuite", there.host + "/lasuite"}},
			} {
				t.Run(what, func(t *testing.T) {
					from := pushIndex(t, here.host)[1]
					must[int](t)(newClient(t).Sign(ctx, signer, from))
					must[int](t)(newClient(t).Attest(ctx, signer, cycloneDX, bom, from))
					to := mustDigests(t, strings.Replace(strings.Replace(from.String(), here.host, attack.to.host, 1), docs, attack.path, 1))[0]
					plant(t, here, attack.to, signer, from, to)

					refuses := func(p *Policy) {
						t.Helper()
						var wrong *RepositoryError
						if _, err := newClient(t).Verify(ctx, to, p); !errors.As(err, &wrong) || !errors.As(err, new(*InvalidError)) || wrong.For != from.Context().Name() || wrong.In != to.Context().Name() {
							t.Errorf("signature: %v", err)
						}
						if _, err := newClient(t).VerifyListed(ctx, to, p); !errors.As(err, &wrong) {
							t.Errorf("from the list: %v", err)
						}
						if _, err := newClient(t).VerifyAttestations(ctx, to, cycloneDX, p); !errors.As(err, &wrong) {
							t.Errorf("attestation: %v", err)
						}
					}
					refuses(signer.Policy())
					refuses(signer.Policy().WithCopies(attack.unlisted))
					if attack.listed != (Copy{}) {
						got := must[*Signature](t)(newClient(t).Verify(ctx, to, signer.Policy().WithCopies(attack.listed)))
						if got.For != from.Context().Name() {
							t.Errorf("signed for %s, want %s", got.For, from.Context().Name())
						}
					}
					if written, err := newClient(t).Sign(ctx, signer, to); err != nil || written != 1 {
						t.Errorf("signed there: %d, %v", written, err)
					}
					if written, err := newClient(t).Attest(ctx, signer, cycloneDX, bom, to); err != nil || written != 1 {
						t.Errorf("attested there: %d, %v", written, err)
					}
					if got := must[*Signature](t)(newClient(t).Verify(ctx, to, signer.Policy())); got.For != to.Context().Name() {
						t.Errorf("signed for %s", got.For)
					}
				})
			}
		})
	}
}

// plant copies a manifest and its attachments from one repository to another, as an
// attacker does who ignores names.
func plant(t *testing.T, from, to *testRegistry, signer *Signer, subject, target name.Digest) {
	t.Helper()
	copyManifestTo(t, from, to, subject, target)
	client := newClient(t)
	for _, format := range signer.policy.formats() {
		for _, list := range format.store().lists("")[0] {
			for _, candidate := range must[[]candidate](t)(format.store().list(context.Background(), client.Attachments(subject), list)) {
				a := must[attachment](t)(candidate.read(context.Background(), signer.policy))
				if err := format.store().write(context.Background(), client, target, []attachment{a}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
