package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var formats = []Format{Bundle, Classic}

const (
	cycloneDX = "https://cyclonedx.org/bom"
	slsa      = "https://slsa.dev/provenance/v1"
)

var bom = json.RawMessage(`{"bomFormat":"CycloneDX","specVersion":"1.6","note":"<&>","big":9007199254740993}`)

func TestRoundTrip(t *testing.T) {
	registries(t, func(t *testing.T, host string) {
		for _, format := range formats {
			t.Run(string(format), func(t *testing.T) { roundTrip(t, host, newKey(t, format)) })
		}
	})
}

func roundTrip(t *testing.T, host string, config Config) {
	ctx := context.Background()
	client, signer := newClient(t), newSigner(t, config)
	policy := must[*Policy](t)(config.Policy(ctx))
	subjects := pushIndex(t, host)

	for _, subject := range subjects {
		_, err := client.Verify(ctx, subject, policy)
		if want := subject.String() + " is not signed"; !errors.Is(err, ErrNotAttached) || err.Error() != want {
			t.Errorf("unsigned: %v, want %s", err, want)
		}
		_, err = client.VerifyAttestations(ctx, subject, cycloneDX, policy)
		if want := subject.String() + " has no attestation of type " + cycloneDX; !errors.Is(err, ErrNotAttached) || err.Error() != want {
			t.Errorf("unattested: %v, want %s", err, want)
		}
	}
	attached := func(want attachedTypes) {
		t.Helper()
		for _, subject := range subjects {
			if got := must[attachedTypes](t)(client.Attached(ctx, subject, config.Format)); !reflect.DeepEqual(got, want) {
				t.Errorf("attached %+v, want %+v", got, want)
			}
		}
	}
	attached(attachedTypes{})

	write := func(want int, do func() (int, error)) {
		t.Helper()
		if got := must[int](t)(do()); got != want {
			t.Errorf("%d subjects written to, want %d", got, want)
		}
	}
	sbom := func() (int, error) { return client.Attest(ctx, signer, cycloneDX, bom, subjects...) }
	write(3, sbom)
	attached(attachedTypes{Predicates: []string{cycloneDX}})
	if _, err := client.Verify(ctx, subjects[0], policy); !errors.Is(err, ErrNotAttached) {
		t.Errorf("attested, not signed: %v", err)
	}
	provenance := json.RawMessage(`{"buildDefinition": {}}`)
	write(3, func() (int, error) { return client.Attest(ctx, signer, slsa, provenance, subjects...) })
	// The next run completes a run that was killed halfway.
	write(1, func() (int, error) { return client.Sign(ctx, signer, subjects[1]) })
	write(2, func() (int, error) { return client.Sign(ctx, signer, subjects...) })
	attached(attachedTypes{Signature: true, Predicates: []string{cycloneDX, slsa}})
	write(0, sbom)
	write(0, func() (int, error) { return client.Sign(ctx, signer, subjects...) })

	var hashes []v1.Hash
	for _, subject := range subjects {
		hashes = append(hashes, must[v1.Hash](t)(v1.NewHash(subject.DigestStr())))
	}
	for _, subject := range subjects {
		signature := must[*Signature](t)(client.Verify(ctx, subject, policy))
		if want := (Signature{Format: config.Format, Key: signature.Key, For: subject.Context().Name()}); *signature != want || !strings.HasSuffix(signature.Key, "cosign.pub") {
			t.Errorf("signature %+v, want %+v", *signature, want)
		}
		statements := must[[]Statement](t)(client.VerifyAttestations(ctx, subject, cycloneDX, policy))
		want := []Statement{{PredicateType: cycloneDX, Predicate: bom, Subjects: hashes, Signature: *signature}}
		if !reflect.DeepEqual(statements, want) {
			t.Errorf("statements\n%+v, want\n%+v", statements, want)
		}
	}

	// Another predicate of the same type does not replace the first.
	write(3, func() (int, error) { return client.Attest(ctx, signer, cycloneDX, json.RawMessage(`{}`), subjects...) })
	if statements := must[[]Statement](t)(client.VerifyAttestations(ctx, subjects[2], cycloneDX, policy)); len(statements) != 2 {
		t.Errorf("%d statements, want 2", len(statements))
	}
	write(0, sbom)

	// Libre's signatures do not count for the owner of another key, who adds his own.
	other := newKey(t, config.Format)
	otherPolicy := must[*Policy](t)(other.Policy(ctx))
	var invalid *InvalidError
	if _, err := client.Verify(ctx, subjects[0], otherPolicy); !errors.As(err, &invalid) || errors.Is(err, ErrNotAttached) {
		t.Errorf("another key: %v", err)
	}
	if _, err := client.VerifyAttestations(ctx, subjects[0], slsa, otherPolicy); !errors.As(err, &invalid) {
		t.Errorf("another key: %v", err)
	}
	write(3, func() (int, error) { return client.Sign(ctx, newSigner(t, other), subjects...) })
	must[*Signature](t)(client.Verify(ctx, subjects[0], otherPolicy))
	must[*Signature](t)(client.Verify(ctx, subjects[0], policy))
	public := must[crypto.PublicKey](t)(ReadPublicKey(publicKeyName(config.Key)))
	either := must[*Policy](t)(KeyPolicy("", public))
	if signature := must[*Signature](t)(client.Verify(ctx, subjects[0], either)); signature.Format != config.Format {
		t.Errorf("found in format %s", signature.Format)
	}
}

func TestWrongKeySaysSo(t *testing.T) {
	ctx := context.Background()
	client, subjects := newClient(t), pushIndex(t, memoryRegistry(t, true).host)
	for format, want := range map[Format]string{
		Bundle:  "signed with another key",
		Classic: "invalid signature when validating ASN.1 encoded signature",
	} {
		must[int](t)(client.Sign(ctx, newSigner(t, newKey(t, format)), subjects[0]))
		_, err := client.Verify(ctx, subjects[0], must[*Policy](t)(newKey(t, format).Policy(ctx)))
		if want := fmt.Sprintf("no valid signature of %s: %s", subjects[0], want); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// A signature for one digest that is attached to another does not count.
func TestMovedAttachment(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			host := memoryRegistry(t, true).host
			config := newKey(t, format)
			client, signer := newClient(t), newSigner(t, config)
			from, to := pushIndex(t, host)[0], pushIndex(t, host)[0]
			for kind, write := range map[string]func() (int, error){
				SignatureType: func() (int, error) { return client.Sign(ctx, signer, from) },
				cycloneDX:     func() (int, error) { return client.Attest(ctx, signer, cycloneDX, bom, from) },
			} {
				must[int](t)(write())
				found := must[[]candidate](t)(client.Attachments(from).candidates(ctx, format, format.store().lists(kind)[0], kind))
				if len(found) == 0 || found[0].kind != kind {
					t.Fatalf("found %+v", found)
				}
				a := must[attachment](t)(found[0].read(ctx, signer.Policy()))
				if err := format.store().write(ctx, client, to, []attachment{a}); err != nil {
					t.Fatal(err)
				}
				var invalid *InvalidError
				if err := client.Attachments(to).each(ctx, signer.Policy(), kind, func(*Statement) bool { return false }); !errors.As(err, &invalid) {
					t.Errorf("%s of another digest: %v", kind, err)
				}
			}
			// A signature for this digest counts, even beside invalid ones.
			must[int](t)(client.Sign(ctx, signer, to))
			must[*Signature](t)(client.Verify(ctx, to, signer.Policy()))
		})
	}
}

// An attestation whose annotations claim another type does not count as that type.
func TestMislabelledAttachment(t *testing.T) {
	ctx, host := context.Background(), memoryRegistry(t, true).host
	client, signer, subject := newClient(t), newSigner(t, newKey(t, Bundle)), pushIndex(t, host)[0]
	made := must[[]attachment](t)(bundleStore{}.make(ctx, signer, &statement{kind: cycloneDX, predicate: bom, subjects: []name.Digest{subject}}))
	b := made[0].(*bundleAttachment)
	for _, label := range []string{slsa, ""} {
		b.kind = label
		if err := (bundleStore{}).write(ctx, client, subject, []attachment{b}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.VerifyAttestations(ctx, subject, slsa, signer.Policy()); !errors.Is(err, ErrNotAttached) {
		t.Errorf("a bill of materials as provenance: %v", err)
	}
	if _, err := client.Verify(ctx, subject, signer.Policy()); !errors.Is(err, ErrNotAttached) {
		t.Errorf("a bill of materials as signature: %v", err)
	}
	// cosign 2.6 annotates all attestations as signatures. They are found nevertheless.
	b.kind = SignatureType
	other := pushIndex(t, host)[0]
	made = must[[]attachment](t)(bundleStore{}.make(ctx, signer, &statement{kind: cycloneDX, predicate: bom, subjects: []name.Digest{other}}))
	b = made[0].(*bundleAttachment)
	b.kind = SignatureType
	if err := (bundleStore{}).write(ctx, client, other, []attachment{b}); err != nil {
		t.Fatal(err)
	}
	must[[]Statement](t)(client.VerifyAttestations(ctx, other, cycloneDX, signer.Policy()))
	if _, err := client.Verify(ctx, other, signer.Policy()); !errors.Is(err, ErrNotAttached) {
		t.Errorf("a bill of materials as signature: %v", err)
	}
}

func TestRegistryErrors(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			t.Run(fmt.Sprint(format, status), func(t *testing.T) {
				registry := memoryRegistry(t, true)
				signer := newSigner(t, newKey(t, format))
				subjects := pushIndex(t, registry.host)
				must[int](t)(newClient(t).Sign(ctx, signer, subjects...))
				requests := registry.requests.Load()
				must[*Signature](t)(newClient(t).Verify(ctx, subjects[0], signer.Policy()))
				requests = registry.requests.Load() - requests
				// If any request fails, it is unknown whether the digest is signed.
				for failing := range requests {
					n := int64(0)
					registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
						if n++; n-1 != failing {
							return false
						}
						n-- // retries count, too
						http.Error(w, `{"errors":[]}`, status)
						return true
					}
					var registryError *RegistryError
					_, err := newClient(t).Verify(ctx, subjects[0], signer.Policy())
					if !errors.As(err, &registryError) || errors.Is(err, ErrNotAttached) || strings.Contains(err.Error(), "\n") {
						t.Errorf("request %d answered with %d: %v", failing, status, err)
					}
				}
			})
		}
	}
}

// A registry accepts a manifest and forgets it, once or always.
func TestForgottenWrite(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		for forgets, works := range map[int]bool{1: true, attachAttempts: false} {
			t.Run(fmt.Sprint(format, forgets), func(t *testing.T) {
				registry := memoryRegistry(t, false)
				signer, subject := newSigner(t, newKey(t, format)), pushIndex(t, registry.host)[0]
				forgotten := 0
				registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
					tag := strings.Contains(r.URL.Path, "/manifests/sha256-")
					if r.Method != http.MethodPut || !tag || forgotten == forgets {
						return false
					}
					forgotten++
					w.WriteHeader(http.StatusCreated)
					return true
				}
				written, err := newClient(t).Sign(ctx, signer, subject)
				var registryError *RegistryError
				if works && (err != nil || written != 1) {
					t.Errorf("written %d, %v", written, err)
				}
				if want := "attach to " + subject.String() + ": the registry accepted the signature but does not list it"; !works && (!errors.As(err, &registryError) || err.Error() != want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			})
		}
	}
}

func TestRequests(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		format    Format
		referrers bool
	}{{Bundle, true}, {Bundle, false}, {Classic, true}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			registry := memoryRegistry(t, test.referrers)
			signer := newSigner(t, newKey(t, test.format))
			subjects := pushIndex(t, registry.host)
			client := newClient(t)
			must[int](t)(client.Attest(ctx, signer, cycloneDX, bom, subjects...))
			must[int](t)(client.Sign(ctx, signer, subjects...))
			count := func(do func()) int64 {
				before := registry.requests.Load()
				do()
				return registry.requests.Load() - before
			}
			// The list and the manifest that contains the signature, or the tag and the layer. The
			// client knows whether there is the referrers API.
			if got := count(func() { must[*Signature](t)(client.Verify(ctx, subjects[0], signer.Policy())) }); got != 2 {
				t.Errorf("%d requests to verify a signature, want 2", got)
			}
			if got := count(func() { must[attachedTypes](t)(client.Attached(ctx, subjects[0], test.format)) }); got > 2 {
				t.Errorf("%d requests to list attachments", got)
			}
		})
	}
}

// Other referrers of an image are ignored.
func TestForeignReferrers(t *testing.T) {
	ctx := context.Background()
	for _, referrers := range []bool{true, false} {
		registry := memoryRegistry(t, referrers)
		client, signer, subject := newClient(t), newSigner(t, newKey(t, Bundle)), pushIndex(t, registry.host)[0]
		descriptor := must[*v1.Descriptor](t)(client.descriptor(ctx, subject))
		for i, artifact := range []string{"application/vnd.example.thing", emptyMediaType, bundleMediaType} {
			config := must[v1.Descriptor](t)(client.putBlob(ctx, subject.Context(), []byte("{}"), emptyMediaType))
			manifest := must[[]byte](t)(json.Marshal(map[string]any{
				"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": artifact,
				"config": config, "layers": []v1.Descriptor{config}, "subject": descriptor,
				"annotations": map[string]string{"n": fmt.Sprint(i)},
			}))
			digest, _, err := v1.SHA256(bytes.NewReader(manifest))
			if err != nil {
				t.Fatal(err)
			}
			if err := client.registry.PutManifest(ctx, subject.Context().Digest(digest.String()), types.OCIManifestSchema1, manifest); err != nil {
				t.Fatal(err)
			}
		}
		if got := must[int](t)(client.Sign(ctx, signer, subject)); got != 1 {
			t.Errorf("%d written", got)
		}
		must[*Signature](t)(client.Verify(ctx, subject, signer.Policy()))
	}
}

// An attestation that is too large for the manifest is in a blob only.
func TestLargeAttestation(t *testing.T) {
	ctx := context.Background()
	large := must[json.RawMessage](t)(json.Marshal(map[string]string{"bomFormat": "CycloneDX", "note": strings.Repeat("x", 3<<20)}))
	registries(t, func(t *testing.T, host string) {
		for _, format := range formats {
			client, signer, subjects := newClient(t), newSigner(t, newKey(t, format)), pushIndex(t, host)
			must[int](t)(client.Attest(ctx, signer, cycloneDX, large, subjects...))
			statements := must[[]Statement](t)(client.VerifyAttestations(ctx, subjects[1], cycloneDX, signer.Policy()))
			if len(statements) != 1 || string(statements[0].Predicate) != string(large) {
				t.Errorf("%s: %d statements", format, len(statements))
			}
			if format == Bundle {
				referrers := must[[]v1.Descriptor](t)(client.referrers(ctx, subjects[1], false, nil))
				if got := referrers[0].Size; got > 10_000 {
					t.Errorf("a manifest of %d bytes", got)
				}
			}
		}
	})
}

// One client and one signer work on many images concurrently.
func TestAtOnce(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		host := memoryRegistry(t, false).host
		client, signer := newClient(t), newSigner(t, newKey(t, format))
		var group sync.WaitGroup
		for range 8 {
			subjects := pushIndex(t, host)
			group.Go(func() {
				_, signErr := client.Sign(ctx, signer, subjects...)
				_, attestErr := client.Attest(ctx, signer, cycloneDX, bom, subjects...)
				_, err := client.Verify(ctx, subjects[2], signer.Policy())
				if err := errors.Join(signErr, attestErr, err); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}
