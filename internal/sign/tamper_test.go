package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
)

func mustDigests(t testing.TB, refs ...string) []name.Digest {
	var all []name.Digest
	for _, ref := range refs {
		all = append(all, must[name.Digest](t)(name.NewDigest(ref)))
	}
	return all
}

// tamper returns versions of an attachment that nobody signed.
func tamper(t *testing.T, a attachment) map[string]attachment {
	all := map[string]attachment{}
	otherPayload := func(encoded string) string {
		payload := must[[]byte](t)(base64.StdEncoding.DecodeString(encoded))
		return base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte("{"), []byte("{ "), 1))
	}
	flip := func(encoded string) string {
		sig := must[[]byte](t)(base64.StdEncoding.DecodeString(encoded))
		sig[len(sig)-1] ^= 1
		return base64.StdEncoding.EncodeToString(sig)
	}
	switch a := a.(type) {
	case *bundleAttachment:
		edit := func(why string, change func(envelope map[string]any)) {
			var whole map[string]any
			if err := json.Unmarshal(a.raw, &whole); err != nil {
				t.Fatal(err)
			}
			change(whole["dsseEnvelope"].(map[string]any))
			changed, err := newBundleAttachment(must[[]byte](t)(json.Marshal(whole)), a.kind, "")
			if err != nil {
				t.Fatal(why, err)
			}
			all[why] = changed
		}
		signature := func(e map[string]any) map[string]any { return e["signatures"].([]any)[0].(map[string]any) }
		edit("payload", func(e map[string]any) { e["payload"] = otherPayload(e["payload"].(string)) })
		edit("signature", func(e map[string]any) { s := signature(e); s["sig"] = flip(s["sig"].(string)) })
		edit("payload type", func(e map[string]any) { e["payloadType"] = "application/json" })
	case classicAttachment:
		payload := must[[]byte](t)(a.layer.Payload())
		sig := must[string](t)(a.layer.Base64Signature())
		annotations := must[map[string]string](t)(a.layer.Annotations())
		options := []static.Option{static.WithAnnotations(maps.Clone(annotations))}
		if sig != "" {
			all["payload"] = classicAttachment{must[oci.Signature](t)(static.NewSignature(bytes.Replace(payload, []byte("{"), []byte("{ "), 1), sig, options...))}
			all["signature"] = classicAttachment{must[oci.Signature](t)(static.NewSignature(payload, flip(sig), options...))}
			break
		}
		edit := func(why string, change func(envelope map[string]any)) {
			var envelope map[string]any
			if err := json.Unmarshal(payload, &envelope); err != nil {
				t.Fatal(err)
			}
			change(envelope)
			all[why] = classicAttachment{must[oci.Signature](t)(static.NewAttestation(must[[]byte](t)(json.Marshal(envelope)), options...))}
		}
		signature := func(e map[string]any) map[string]any { return e["signatures"].([]any)[0].(map[string]any) }
		edit("payload", func(e map[string]any) { e["payload"] = otherPayload(e["payload"].(string)) })
		edit("signature", func(e map[string]any) { s := signature(e); s["sig"] = flip(s["sig"].(string)) })
		edit("payload type", func(e map[string]any) { e["payloadType"] = "application/json" })
	}
	return all
}

func TestTampered(t *testing.T) {
	ctx := context.Background()
	for _, format := range formats {
		for _, kind := range []string{SignatureType, cycloneDX} {
			t.Run(fmt.Sprint(format, " ", kind[len(kind)-3:]), func(t *testing.T) {
				client, signer, host := newClient(t), newSigner(t, newKey(t, format)), memoryRegistry(t, true).host
				subject := pushIndex(t, host)[0]
				digest := must[v1.Hash](t)(v1.NewHash(subject.DigestStr()))
				good := must[[]attachment](t)(format.store().make(ctx, signer, &statement{kind: kind, predicate: bom, subjects: []name.Digest{subject}}))[0]
				must[*Statement](t)(signer.Policy().verifySignature(good, digest, kind))
				tampered := tamper(t, good)
				for _, why := range slices.Sorted(maps.Keys(tampered)) {
					if err := format.store().write(ctx, client, subject, []attachment{tampered[why]}); err != nil {
						t.Fatal(err)
					}
					var invalid *InvalidError
					err := client.Attachments(subject).each(ctx, signer.Policy(), kind, func(*Statement) bool { return true })
					if !errors.As(err, &invalid) {
						t.Errorf("%s: %v", why, err)
					}
				}
				// They do not hide a valid attachment.
				if err := format.store().write(ctx, client, subject, []attachment{good}); err != nil {
					t.Fatal(err)
				}
				seen := 0
				if err := client.Attachments(subject).each(ctx, signer.Policy(), kind, func(*Statement) bool { seen++; return true }); err != nil || seen != 1 {
					t.Errorf("%d valid, %v", seen, err)
				}
			})
		}
	}
}

// FuzzBundle checks that unsigned input is refused without a panic.
func FuzzBundle(f *testing.F) {
	signer := newSigner(f, newKey(f, Bundle))
	subject := mustDigests(f, "registry.example/docs@sha256:"+strings.Repeat("0", 64))
	made, err := bundleStore{}.make(context.Background(), signer, &statement{kind: SignatureType, predicate: json.RawMessage("{}"), subjects: subject})
	if err != nil {
		f.Fatal(err)
	}
	good := made[0].(*bundleAttachment)
	digest, err := v1.NewHash(subject[0].DigestStr())
	if err != nil {
		f.Fatal(err)
	}
	payload := good.bundle.GetDsseEnvelope().Payload
	f.Add(good.raw)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := newBundleAttachment(raw, SignatureType, "")
		if err != nil {
			return
		}
		if _, err := signer.Policy().verifySignature(a, digest, SignatureType); err == nil && !bytes.Equal(a.bundle.GetDsseEnvelope().Payload, payload) {
			t.Errorf("accepted %s", raw)
		}
	})
}
