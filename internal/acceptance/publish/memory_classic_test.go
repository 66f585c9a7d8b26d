package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/sign"
)

// The limits also hold for attachments in the format of cosign 2 and earlier.
func TestMemoryOfVerifyIsBoundedWithClassicSignatures(t *testing.T) {
	signer, key := keyOf(t, sign.Classic)
	before := memoryBefore(t, signer, key)
	// beside adds layers to those that are attached to the index, or replaces them.
	beside := func(alone bool, layers func(a *attacked) []json.RawMessage) func(a *attacked) {
		return func(a *attacked) {
			for _, suffix := range []string{"sig", "att"} {
				tag, err := name.NewTag(a.host + "/" + attackedRef + ":" + strings.Replace(a.subjects[0].DigestStr(), ":", "-", 1) + "." + suffix)
				a.must(err)
				got, err := remote.Get(tag)
				a.must(err)
				var manifest map[string]json.RawMessage
				var genuine []json.RawMessage
				a.must(json.Unmarshal(got.Manifest, &manifest))
				a.must(json.Unmarshal(manifest["layers"], &genuine))
				all := layers(a)
				if !alone {
					all = append(all, genuine...)
				}
				manifest["layers"], err = json.Marshal(all)
				a.must(err)
				content, err := json.Marshal(manifest)
				a.must(err)
				a.put("/v2/"+attackedRef+"/manifests/"+tag.TagStr(), content, string(got.MediaType))
			}
		}
	}
	layer := func(a *attacked, mediaType string, content []byte, annotations map[string]string) json.RawMessage {
		blob := a.blob(content)
		blob.MediaType, blob.Annotations = types.MediaType(mediaType), annotations
		text, err := json.Marshal(blob)
		a.must(err)
		return text
	}
	const simple, envelope = "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"
	signed := map[string]string{"dev.cosignproject.cosign/signature": "MEUCIQDx"}
	hold(t, signer, key, before, []attack{
		{"layers of 60 MB", beside(false, func(a *attacked) []json.RawMessage {
			return []json.RawMessage{
				layer(a, simple, bytes.Repeat([]byte("x"), 60_000_000), signed),
				layer(a, envelope, bytes.Repeat([]byte("y"), 60_000_000), signed),
				layer(a, envelope, bytes.Repeat([]byte("z"), 100_000_000), signed),
			}
		}), ""},
		{"one layer of 50 MB 500 times", beside(false, func(a *attacked) (all []json.RawMessage) {
			one := layer(a, envelope, bytes.Repeat([]byte("x"), 50_000_000), signed)
			for range 500 {
				all = append(all, one)
			}
			return all
		}), ""},
		{"envelopes with payloads of 60 MB, and wide ones", beside(false, func(a *attacked) []json.RawMessage {
			return []json.RawMessage{
				layer(a, envelope, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"`+strings.Repeat("AAAA", 15<<20)+`","signatures":[{"sig":"AAAA"}]}`), signed),
				layer(a, envelope, []byte(`{"payloadType":"x","payload":"AAAA","signatures":[{}`+strings.Repeat(",{}", 10<<20)+`]}`), signed),
				layer(a, simple, []byte(`{"critical":`+strings.Repeat(`{"x":`, 5<<20)+`1`+strings.Repeat(`}`, 5<<20)+`}`), signed),
			}
		}), ""},
		{"annotations of nearly 1 MB", beside(false, func(a *attacked) []json.RawMessage {
			return []json.RawMessage{layer(a, simple, []byte("{}"), map[string]string{
				"dev.cosignproject.cosign/signature": strings.Repeat("A", 400_000), "dev.sigstore.cosign/bundle": strings.Repeat("{", 300_000),
				"dev.sigstore.cosign/certificate": strings.Repeat("-", 200_000),
			})}
		}), ""},
		{"900 small ones", beside(false, func(a *attacked) (all []json.RawMessage) {
			for n := range 900 {
				all = append(all, layer(a, simple, []byte(fmt.Sprint(n)), signed))
			}
			return all
		}), ""},
		{"nothing of ours, and large ones", beside(true, func(a *attacked) []json.RawMessage {
			return []json.RawMessage{layer(a, envelope, bytes.Repeat([]byte("x"), 60_000_000), signed)}
		}), "no valid signature"},
		{"a manifest that is too large", beside(false, func(a *attacked) []json.RawMessage {
			return []json.RawMessage{layer(a, simple, []byte("{}"), map[string]string{"x": strings.Repeat("x", 3<<20)})}
		}), "1048576"},
	})
}
