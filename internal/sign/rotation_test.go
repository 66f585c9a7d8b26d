package sign

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// The signatures of a former key are accepted until it ends, and are reported as those of a
// former key. Signing again changes no digest, keeps the old signatures, and is needed only
// once.
func TestResignSignsAllStatementsOfAFormerKey(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			past, future := newKey(t, format), newKey(t, format)
			oldPub, newPub := publicKeyName(past.Key), publicKeyName(future.Key)
			subjects := pushIndex(t, memoryRegistry(t, true).host)
			oldSigner := newSigner(t, past)
			must[int](t)(newClient(t).Attest(ctx, oldSigner, cycloneDX, bom, subjects[0], subjects[1]))
			must[int](t)(newClient(t).Attest(ctx, oldSigner, slsa, bom, subjects...))
			must[int](t)(newClient(t).Sign(ctx, oldSigner, subjects...))

			both := future
			both.PublicKeys = []PublicKey{{File: oldPub, Until: time.Now().Add(time.Hour)}, {File: newPub}}
			policy := must[*Policy](t)(both.Policy(ctx))
			is := func(policy *Policy, key string, former bool) {
				t.Helper()
				for _, subject := range subjects {
					got := must[*Signature](t)(newClient(t).Verify(ctx, subject, policy))
					if got.Key != key || got.Former != former {
						t.Errorf("signed with %s, former %v; want %s, %v", got.Key, got.Former, key, former)
					}
					listed := must[*Signature](t)(newClient(t).VerifyListed(ctx, subject, policy))
					if *listed != *got {
						t.Errorf("from the list: %+v, want %+v", listed, got)
					}
					if command := policy.CosignCommand(subject, SignatureType, got.Key); !strings.Contains(command, "--key "+key+" ") {
						t.Error(command)
					}
				}
			}
			is(policy, oldPub, true)
			signer := newSigner(t, both)
			const said = 2 + 3 + 3
			for _, dry := range []bool{true, false} {
				if written := must[int](t)(newClient(t).Resign(ctx, signer, policy, dry, subjects...)); written != said {
					t.Errorf("dry %v: %d written, want %d", dry, written, said)
				}
			}
			if written := must[int](t)(newClient(t).Resign(ctx, signer, policy, false, subjects...)); written != 0 {
				t.Errorf("%d written again", written)
			}
			is(policy, newPub, false)
			alone := must[*Policy](t)(Config{Format: format, PublicKeys: []PublicKey{{File: newPub}}}.Policy(ctx))
			is(alone, newPub, false)
			for kind, on := range map[string][]name.Digest{cycloneDX: subjects[:2], slsa: subjects} {
				for _, subject := range on {
					statements := must[[]Statement](t)(newClient(t).VerifyAttestations(ctx, subject, kind, alone))
					if len(statements) != 1 || !samePredicate(statements[0].Predicate, bom) {
						t.Errorf("%s of %s: %+v", kind, subject, statements)
					}
				}
			}
			if _, err := newClient(t).VerifyAttestations(ctx, subjects[2], cycloneDX, alone); err == nil {
				t.Error("said of another digest")
			}
			// A verifier with only the old key still accepts the image.
			must[*Signature](t)(newClient(t).Verify(ctx, subjects[0], oldSigner.Policy()))
		})
	}
}

func TestExpiredKeyIsRefused(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		past, future := newKey(t, format), newKey(t, format)
		subject := pushIndex(t, memoryRegistry(t, false).host)[0]
		must[int](t)(newClient(t).Sign(ctx, newSigner(t, past), subject))
		ended := PublicKey{File: publicKeyName(past.Key), Until: time.Date(2020, 5, 2, 0, 0, 0, 0, time.UTC)}
		config := Config{Format: format, PublicKeys: []PublicKey{{File: publicKeyName(future.Key)}, ended}}
		_, err := newClient(t).Verify(ctx, subject, must[*Policy](t)(config.Policy(ctx)))
		var invalid *InvalidError
		if want := "signed with " + ended.File + ", which was accepted until 2020-05-01"; !errors.As(err, &invalid) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		// Nothing that the expired key signed is signed again, and the expired key cannot
		// sign.
		config.Key = future.Key
		if written := must[int](t)(newClient(t).Resign(ctx, newSigner(t, config), must[*Policy](t)(config.Policy(ctx)), false, subject)); written != 0 {
			t.Errorf("%d written", written)
		}
		config.Key = past.Key
		if _, err := config.Signer(ctx, Prompts{}); err == nil || !strings.Contains(err.Error(), "expired on 2020-05-01") {
			t.Errorf("signs with a key that ended: %v", err)
		}
		config.PublicKeys = config.PublicKeys[:1]
		if _, err := config.Signer(ctx, Prompts{}); err == nil || !strings.Contains(err.Error(), "publicKey does not include the public key of "+past.Key) {
			t.Errorf("signs with a key that nobody accepts: %v", err)
		}
	}
}

// The present key can be found without the private key.
func TestPresentKey(t *testing.T) {
	one, two, three := newKey(t, Bundle), newKey(t, Bundle), newKey(t, Bundle)
	soon, later := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	pub := func(c Config, until time.Time) PublicKey { return PublicKey{publicKeyName(c.Key), until} }
	for i, test := range []struct {
		config Config
		want   Config
	}{
		{Config{PublicKeys: []PublicKey{pub(one, time.Time{}), pub(two, time.Time{})}}, one},
		{Config{PublicKeys: []PublicKey{pub(one, soon), pub(two, time.Time{}), pub(three, time.Time{})}}, two},
		{Config{PublicKeys: []PublicKey{pub(one, soon), pub(two, later)}}, two},
		{Config{PublicKeys: []PublicKey{pub(one, later), pub(two, soon)}}, one},
		{Config{Key: three.Key, PublicKeys: []PublicKey{pub(one, time.Time{}), pub(two, soon), pub(three, soon)}}, three},
		{Config{Key: three.Key}, three},
	} {
		for _, way := range must[*Policy](t)(test.config.Policy(context.Background())).ways {
			if isPresent := way.File == publicKeyName(test.want.Key); way.former == isPresent {
				t.Errorf("%d: %s is a former key: %v", i, way.File, way.former)
			}
		}
	}
}
