package sign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// FuzzSeal checks that seal, which does not read an attachment whole, finds the same
// payload as a JSON decoder.
func FuzzSeal(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := seal(bytes.NewReader(text), int64(len(text)), "")
		if err != nil {
			return
		}
		_, _ = s.leaf()
		payload, err := io.ReadAll(s.payload())
		if err != nil || bytes.Count(text, []byte("payload\"")) != 1 || bytes.Contains(text, []byte(`\`)) {
			return
		}
		var whole struct {
			Payload  string `json:"payload"`
			Envelope struct {
				Payload string `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if json.Unmarshal(text, &whole) != nil {
			return
		}
		if want, err := base64.StdEncoding.DecodeString(whole.Payload + whole.Envelope.Payload); err == nil && len(want) > 0 && !bytes.Equal(payload, want) {
			t.Errorf("payload %q, want %q", payload, want)
		}
	})
}

// FuzzStatement checks that an accepted statement is about the digest and has the type.
func FuzzStatement(f *testing.F) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := readStatement(payload, "https://slsa.dev/provenance/v1", digest)
		if err == nil && (s.PredicateType != "https://slsa.dev/provenance/v1" || !bytes.Contains(payload, []byte(digest.Hex))) {
			t.Errorf("accepted %s", payload)
		}
	})
}

// FuzzClassicLayer checks that any annotations of a signature in cosign's former format are
// read without a panic, and name one repository at most.
func FuzzClassicLayer(f *testing.F) {
	f.Fuzz(func(t *testing.T, annotations, content []byte) {
		var layer v1.Descriptor
		if json.Unmarshal(annotations, &layer.Annotations) != nil {
			return
		}
		signed, err := classicLayer(layer, content)
		if err != nil {
			return
		}
		_, _ = signed.Cert()
		_, _ = signed.Chain()
		_, _ = layerKind(signed)
		if named, err := (classicAttachment{signed}).named(); err == nil && len(named) != 1 {
			t.Errorf("names %q", named)
		}
	})
}
