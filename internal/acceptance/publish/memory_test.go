package publish

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// Foreign attachments of a signed image do not prevent verification, and take at most half
// as much memory again as without them.
func TestMemoryOfVerifyIsBounded(t *testing.T) {
	signer, key := keyOf(t, sign.Bundle)
	before := memoryBefore(t, signer, key)
	junk := func(a *attacked, size int, seed string) v1.Descriptor {
		return a.blob(append([]byte(seed), bytes.Repeat([]byte("x"), size)...))
	}
	bundled := func(material, payload string) []byte {
		return []byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{` + material + `},"dsseEnvelope":{"payload":"` + payload +
			`","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUCIQDx"}]}}`)
	}
	each := func(do func(a *attacked, kind string)) func(*attacked) {
		return func(a *attacked) {
			for _, kind := range carried {
				do(a, kind)
			}
		}
	}
	hold(t, signer, key, before, []attack{
		{"one blob of 100 MB in 12 manifests", each(func(a *attacked, kind string) {
			big := junk(a, 100_000_000, "")
			a.attach(kind, nil, big, big, big)
		}), ""},
		{"different blobs of 60 MB", each(func(a *attacked, kind string) {
			a.attach(kind, nil, junk(a, 60_000_000, kind+"1"), junk(a, 60_000_000, kind+"2"))
		}), ""},
		{"bundles with payloads of 60 MB", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"publicKey":{"hint":"x"}`, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(kind), 1<<20)))))
		}), ""},
		{"wide material", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"publicKey":{},"tlogEntries":[{}`+strings.Repeat(",{}", 5<<20)+`]`, "e30=")))
		}), ""},
		{"deep material", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"x":`+strings.Repeat("[", 10<<20)+strings.Repeat("]", 10<<20), "e30=")))
		}), ""},
		{"huge certificates", each(func(a *attacked, kind string) {
			certificate := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(kind), 500_000))
			a.attach(kind, nil, a.blob(bundled(`"certificate":{"rawBytes":"`+certificate+`"}`, "e30=")),
				a.blob(bundled(`"x509CertificateChain":{"certificates":[{"rawBytes":"`+certificate+`"}]}`, "e30=")))
		}), ""},
		{"huge signatures and wide envelopes", each(func(a *attacked, kind string) {
			envelope := func(signatures string) v1.Descriptor {
				return a.blob([]byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{"payload":"e30=","payloadType":"` + kind + `","signatures":[` + signatures + `]}}`))
			}
			a.attach(kind, nil, envelope(`{"sig":"`+strings.Repeat("AAAA", 10<<20)+`"}`), envelope(`{}`+strings.Repeat(`,{}`, 5<<20)),
				envelope(`{"sig":"AAAA","keyid":"`+strings.Repeat("k", 40<<20)+`"}`))
		}), ""},
		{"ours once more, with much around it", each(func(a *attacked, kind string) {
			ours := a.ours(kind)
			for _, around := range []string{strings.Repeat(" ", 50<<20), `"x":"` + strings.Repeat("x", 50<<20) + `",`, strings.Repeat(`"x":{},`, 5<<20)} {
				a.attach(kind, nil, a.blob(append([]byte("{"+around), ours[1:]...)))
			}
		}), ""},
		{"ours 100 times", each(func(a *attacked, kind string) {
			var all []v1.Descriptor
			for n := range 100 {
				all = append(all, a.blob(append(bytes.Repeat([]byte(" "), n+1), a.ours(kind)...)))
			}
			a.attach(kind, nil, all...)
		}), ""},
		{"thousands of small ones", each(func(a *attacked, kind string) {
			var all []v1.Descriptor
			for n := range 250 {
				all = append(all, junk(a, 2000, kind+fmt.Sprint(n)), a.blob(bundled(`"publicKey":{}`, base64.StdEncoding.EncodeToString([]byte(kind+fmt.Sprint(n))))))
			}
			a.attach(kind, nil, all...)
		}), ""},
		{"manifests with huge annotations", each(func(a *attacked, kind string) {
			small := junk(a, 100, kind)
			a.attach(kind, map[string]string{"x": strings.Repeat("x", 3<<20)}, small, small, small, small)
			a.attach(kind, map[string]string{listedAs: strings.Repeat("{", 3<<20)}, small, small)
		}), ""},
		{"manifests that hold what they describe", each(func(a *attacked, kind string) {
			held := junk(a, 2<<20, kind)
			held.Data = append([]byte(kind), bytes.Repeat([]byte("x"), 2<<20)...)
			a.attach(kind, nil, held, held, held, held)
		}), ""},
		{"wide manifests", each(func(a *attacked, kind string) {
			wide := map[string]string{}
			for n := range 200_000 {
				wide[fmt.Sprint(n)] = ""
			}
			small := junk(a, 100, kind)
			a.attach(kind, wide, small, small)
		}), ""},
		{"a tag that is moved to a wide index", func(a *attacked) {
			a.put("/v2/"+attackedRef+"/manifests/1.0-1", []byte(`{"schemaVersion":2,"mediaType":"`+string(types.OCIImageIndex)+`","manifests":[{}`+strings.Repeat(",{}", 1_200_000)+`]}`), string(types.OCIImageIndex))
		}, "is not signed"},
		{"a tag that is moved to a wide image", func(a *attacked) {
			a.put("/v2/"+attackedRef+"/manifests/1.0-1", []byte(`{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+`","config":{},"layers":[{}`+strings.Repeat(",{}", 1_200_000)+`]}`), string(types.OCIManifestSchema1))
		}, "is not signed"},
		{"a list of 60 MB", func(a *attacked) { a.list(1, 180_000) }, ""},
		{"a list of many attachments", func(a *attacked) { a.list(1, 20_000, bundleType) }, "more than 10000 attachments"},
		{"a list in many parts", func(a *attacked) { a.list(300, 1000) }, ""},
		{"a list without end", func(a *attacked) { a.list(1<<30, 1) }, "more than 1000 pages"},
		{"a list that is compressed", func(a *attacked) {
			a.listing(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
				_, _ = io.WriteString(z, `{"schemaVersion":2,"manifests":[`)
				_, _ = io.CopyN(z, repeated(`{},`), 300<<20)
			})
		}, "more than 268435456 bytes"},
		{"refusals without end", func(a *attacked) {
			a.attach(sign.SignatureType, nil, junk(a, 100, "refused"))
			refused := junk(a, 100, "refused").Digest.String()
			a.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, refused) {
					return false
				}
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.CopyN(w, repeated("no, and again "), 200<<20)
				return true
			}
		}, ""},
		{"a tag that is moved to a wide record", func(a *attacked) {
			var wide strings.Builder
			for n := range 150_000 {
				fmt.Fprintf(&wide, `"%d":null,`, n)
			}
			blob := a.blob([]byte(`{"schema":1,"components":{` + wide.String() + `"x":{}},"needs":{` + wide.String() + `"x":{}}}`))
			blob.MediaType = "application/json"
			layer, err := json.Marshal(blob)
			a.must(err)
			a.put("/v2/"+attackedRef+"/manifests/1.0-1", []byte(`{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+`","artifactType":"`+state.RecordType+`","config":{},"layers":[`+string(layer)+`]}`), string(types.OCIManifestSchema1))
		}, "more than 524288 bytes"},
	})
}
