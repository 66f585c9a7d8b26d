package sign

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Missing reads one list if the registry lists the types of attachments. Otherwise it reads
// attachments, but only if one is missing.
func TestMissingTakesOneRequest(t *testing.T) {
	ctx := context.Background()
	registry := memoryRegistry(t, true)
	signer := newSigner(t, newKey(t, Bundle))
	subject := pushIndex(t, registry.host)[0]
	must[int](t)(newClient(t).Attest(ctx, signer, cycloneDX, bom, subject))
	must[int](t)(newClient(t).Attest(ctx, signer, cycloneDX, json.RawMessage(`{"another":"platform"}`), subject))
	must[int](t)(newClient(t).Attest(ctx, signer, slsa, bom, subject))
	must[int](t)(newClient(t).Sign(ctx, signer, subject))
	all := must[[]v1.Descriptor](t)(newClient(t).referrers(ctx, subject, false, func(*v1.Descriptor) bool { return true }))
	ofKind := func(kind string) func(v1.Descriptor) bool {
		return func(d v1.Descriptor) bool { return d.Annotations[bundlePredicateAnnotation] == kind }
	}
	first := slices.IndexFunc(all, ofKind(cycloneDX))
	for what, test := range map[string]struct {
		gone     func(v1.Descriptor) bool
		silent   bool // the registry lists no types
		missing  string
		requests int64 // at most
	}{
		"nothing":                       {func(v1.Descriptor) bool { return false }, false, "", 1},
		"nothing, types not listed":     {func(v1.Descriptor) bool { return false }, true, "", 10},
		"a signature":                   {ofKind(SignatureType), false, SignatureType, 2},
		"a signature, types not listed": {ofKind(SignatureType), true, SignatureType, 10},
		"a provenance":                  {ofKind(slsa), false, slsa, 2},
		"all of a kind":                 {ofKind(cycloneDX), false, cycloneDX, 2},
		"one of two":                    {func(d v1.Descriptor) bool { return d.Digest == all[first].Digest }, false, cycloneDX, 4},
		"one of two, types not listed":  {func(d v1.Descriptor) bool { return d.Digest == all[first].Digest }, true, cycloneDX, 10},
		"everything":                    {func(v1.Descriptor) bool { return true }, false, SignatureType + " " + cycloneDX + " " + slsa, 2},
	} {
		t.Run(what, func(t *testing.T) {
			list := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
			for _, has := range all {
				if test.gone(has) {
					continue
				}
				if test.silent {
					has.Annotations = nil
				}
				list.Manifests = append(list.Manifests, has)
			}
			text := must[[]byte](t)(json.Marshal(list))
			registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" { // the check of the API's version
					registry.requests.Add(-1)
				}
				if !strings.Contains(r.URL.Path, "/referrers/") {
					return false
				}
				w.Header().Set("Content-Type", string(types.OCIImageIndex))
				_, _ = w.Write(text)
				return true
			}
			before := registry.requests.Load()
			got := must[[]string](t)(newClient(t).Missing(ctx, subject, signer.Policy(), Wanted{Kind: SignatureType, Times: 1}, Wanted{Kind: cycloneDX, Times: 2}, Wanted{Kind: slsa, Times: 1}))
			if strings.Join(got, " ") != test.missing {
				t.Errorf("missing %v, want %s", got, test.missing)
			}
			if took := registry.requests.Load() - before; took > test.requests {
				t.Errorf("%d requests, want at most %d", took, test.requests)
			}
		})
	}
}
