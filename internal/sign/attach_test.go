package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Attaching several types to an index and its two children takes a fixed number of
// requests, and fewer if all of them are attached already.
func TestAttachRequests(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		format       Format
		referrers    bool
		first, again int64
	}{
		// For each of three subjects: the list, the subject itself, three manifests. Once:
		// a configuration, three blobs, and the check whether the registry keeps lists.
		// Then for each subject the list and three manifests.
		{Bundle, true, 3*(1+1+3) + 1 + 3 + 1 + 3*(1+3), 3 * (1 + 3)},
		// Reading a list takes two requests until it is proved that there is no API, which takes
		// two more. Reading a list and adding all manifests to it takes two.
		{Bundle, false, 3*(2+1+3+2) + 1 + 3 + 1 + 2 + 3*(1+3), 1 + 2 + 3*(1+3)},
		// For each subject: two tags, which are read twice and written. A blob for each type and a
		// configuration for each tag, which differ by subject for signatures only. Then for
		// each subject two tags and three blobs.
		{Classic, true, 3*(2+2*2) + (2 + 1) + 3*(1+1) + 3*(2+3), 3 * (2 + 3)},
	} {
		t.Run(fmt.Sprint(test.format, test.referrers), func(t *testing.T) {
			registry := memoryRegistry(t, test.referrers)
			signer, subjects := newSigner(t, newKey(t, test.format)), pushIndex(t, registry.host)
			var requests atomic.Int64
			registry.answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v2/" { // the check of the API's version
					requests.Add(1)
				}
				return false
			}
			attach := func() int64 {
				requests.Store(0)
				a := newClient(t).Attacher(signer)
				must[int](t)(a.Attest(ctx, cycloneDX, bom, subjects...))
				must[int](t)(a.Attest(ctx, slsa, bom, subjects...))
				must[int](t)(a.Sign(ctx, subjects...))
				must[int](t)(0, a.Confirm(ctx))
				return requests.Load()
			}
			if got := attach(); got != test.first {
				t.Errorf("%d requests, want %d", got, test.first)
			}
			if got := attach(); got != test.again {
				t.Errorf("%d requests where all is there, want %d", got, test.again)
			}
		})
	}
}

// A large document is not in the manifests that name it: reading it back for an index and its two
// children takes one request.
func TestLargeDocumentsAreReadBackOnce(t *testing.T) {
	registry := memoryRegistry(t, true)
	signer, subjects := newSigner(t, newKey(t, Bundle)), pushIndex(t, registry.host)
	var read atomic.Int64
	registry.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			read.Add(1)
		}
		return false
	}
	a := newClient(t).Attacher(signer)
	large := json.RawMessage(fmt.Sprintf(`{"text": %q}`, strings.Repeat("x", smallBlob)))
	must[int](t)(a.Attest(t.Context(), cycloneDX, large, subjects...))
	must[int](t)(0, a.Confirm(t.Context()))
	if got := read.Load(); got != 1 {
		t.Errorf("the document is read %d times", got)
	}
}

// VerifyListed takes one request if the registry has a list of referrers, and accepts only
// valid signatures from it.
func TestVerifyListed(t *testing.T) {
	ctx := context.Background()
	registry := memoryRegistry(t, true)
	signer, subjects := newSigner(t, newKey(t, Bundle)), pushIndex(t, registry.host)
	must[int](t)(newClient(t).Sign(ctx, signer, subjects[:2]...))

	var requests atomic.Int64
	change := func(list string) string { return list }
	registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		requests.Add(1)
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		answer := httptest.NewRecorder()
		registry.handler.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		_, _ = io.WriteString(w, change(answer.Body.String()))
		return true
	}
	must[*Signature](t)(newClient(t).VerifyListed(ctx, subjects[0], signer.Policy()))
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	if _, err := newClient(t).VerifyListed(ctx, subjects[2], signer.Policy()); !errors.Is(err, ErrNotAttached) {
		t.Errorf("what is not signed: %v", err)
	}
	var invalid *InvalidError
	if _, err := newClient(t).VerifyListed(ctx, subjects[0], newSigner(t, newKey(t, Bundle)).Policy()); !errors.As(err, &invalid) {
		t.Errorf("another key: %v", err)
	}
	// A listed signature for another digest does not count for this one.
	var listed string
	change = func(list string) string { listed = list; return list }
	must[*Signature](t)(newClient(t).VerifyListed(ctx, subjects[1], signer.Policy()))
	change = func(string) string { return listed }
	other := pushIndex(t, registry.host)
	if _, err := newClient(t).VerifyListed(ctx, other[2], signer.Policy()); err == nil {
		t.Error("believed the signature of another digest")
	}
	// A registry that damages the contents of its list does not make an image unsigned.
	change = func(list string) string { return strings.ReplaceAll(list, "dsseEnvelope", "faulty") }
	must[*Signature](t)(newClient(t).VerifyListed(ctx, subjects[0], signer.Policy()))
}

// Confirm attaches again what another writer's list lacks, including attachments of an
// earlier run.
func TestConfirm(t *testing.T) {
	ctx := context.Background()
	for _, format := range []Format{Bundle, Classic} {
		client, signer := newClient(t), newSigner(t, newKey(t, format))
		subjects := pushIndex(t, memoryRegistry(t, false).host)
		must[int](t)(client.Attest(ctx, signer, cycloneDX, bom, subjects...))
		a := client.Attacher(signer)
		if written := must[int](t)(a.Attest(ctx, cycloneDX, bom, subjects...)); written != 0 {
			t.Errorf("%s: %d written that were there", format, written)
		}
		must[int](t)(a.Attest(ctx, slsa, bom, subjects...))
		must[int](t)(a.Sign(ctx, subjects...))
		must[int](t)(0, a.Write(ctx))
		for _, subject := range subjects[:2] {
			tag, mediaType := strings.Replace(subject.DigestStr(), ":", "-", 1), types.OCIImageIndex
			other := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
			if format == Classic { // the image with the signature, in place of that with the attestations
				other = must[[]byte](t)(client.registry.ReadArtifact(ctx, subject.Context().Tag(tag+".sig"), maxClassicManifest))
				tag, mediaType = tag+".att", types.OCIManifestSchema1
			}
			must[int](t)(0, client.registry.PutManifest(ctx, subject.Context().Tag(tag), mediaType, other))
		}
		must[int](t)(0, a.Confirm(ctx))
		for _, subject := range subjects {
			must[*Signature](t)(client.Verify(ctx, subject, signer.Policy()))
			for _, kind := range []string{cycloneDX, slsa} {
				if statements := must[[]Statement](t)(client.VerifyAttestations(ctx, subject, kind, signer.Policy())); len(statements) != 1 {
					t.Errorf("%s: %d statements of type %s", format, len(statements), kind)
				}
			}
		}
	}
}

// If the registry refuses an attestation, the signature is not attached without it.
func TestTheSignatureIsWrittenLast(t *testing.T) {
	ctx := context.Background()
	for _, format := range []Format{Bundle, Classic} {
		registry := memoryRegistry(t, false)
		signer, subjects := newSigner(t, newKey(t, format)), pushIndex(t, registry.host)[:1]
		a := newClient(t).Attacher(signer)
		must[int](t)(a.Attest(ctx, cycloneDX, bom, subjects...))
		must[int](t)(a.Attest(ctx, slsa, bom, subjects...))
		must[int](t)(a.Sign(ctx, subjects...))
		isRefused := false
		registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if isRefused || r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			content, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(content))
			if isRefused = err == nil && bytes.Contains(content, []byte(slsa)); isRefused {
				w.WriteHeader(http.StatusForbidden)
			}
			return isRefused
		}
		if err := a.Write(ctx); err == nil {
			t.Errorf("%s: no error", format)
		}
		if _, err := newClient(t).Verify(ctx, subjects[0], signer.Policy()); !errors.Is(err, ErrNotAttached) {
			t.Errorf("%s: %v", format, err)
		}
		must[int](t)(0, a.Confirm(ctx))
		must[*Signature](t)(newClient(t).Verify(ctx, subjects[0], signer.Policy()))
	}
}
