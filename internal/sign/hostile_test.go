package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// put writes to the registry, as anybody with push access can.
func (r *testRegistry) put(t *testing.T, path string, content []byte, mediaType string) {
	t.Helper()
	request := must[*http.Request](t)(http.NewRequest(http.MethodPut, "http://"+r.host+path, bytes.NewReader(content)))
	request.Header.Set("Content-Type", mediaType)
	response := must[*http.Response](t)(http.DefaultClient.Do(request))
	response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: %s", path, response.Status)
	}
}

// putBlob uploads a blob that claims to be a bundle and returns its descriptor.
func (r *testRegistry) putBlob(t *testing.T, repository string, content []byte) v1.Descriptor {
	t.Helper()
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	response := must[*http.Response](t)(http.Post("http://"+r.host+"/v2/"+repository+"/blobs/uploads/", "", nil))
	response.Body.Close()
	r.put(t, response.Header.Get("Location")+"?digest="+digest.String(), content, "application/octet-stream")
	return v1.Descriptor{MediaType: bundleMediaType, Digest: digest, Size: size}
}

// refer attaches a manifest that claims to be a bundle of a type and returns its digest.
func (r *testRegistry) refer(t *testing.T, subject name.Digest, kind, distinct string, layers ...v1.Descriptor) v1.Hash {
	t.Helper()
	repository := subject.Context().RepositoryStr()
	hash := must[v1.Hash](t)(v1.NewHash(subject.DigestStr()))
	content := must[[]byte](t)(json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: layers,
		Config:      r.putBlob(t, repository, []byte("{}")),
		Subject:     &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash, Size: 1},
		Annotations: map[string]string{bundlePredicateAnnotation: kind, bundleContentAnnotation: "dsse-envelope", "distinct": distinct},
	}, bundleMediaType}))
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, "/v2/"+repository+"/manifests/"+digest.String(), content, string(types.OCIManifestSchema1))
	return digest
}

// Somebody with push access attaches content that cannot be read, before and after libre
// attaches its own. Libre's attachments still verify. If libre has attached nothing, and
// the registry refuses to show an attachment, libre does not report the image as unsigned.
func TestUnusableAttachmentsAreSkipped(t *testing.T) {
	signer := newSigner(t, newKey(t, Bundle))
	for what, attack := range map[string]struct {
		do      func(t *testing.T, r *testRegistry, subject name.Digest, kind string)
		unknown bool // the signature's state is unknown
	}{
		"a manifest that is refused": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			r.answers(r.refer(t, subject, kind, "refused", r.putBlob(t, subject.Context().RepositoryStr(), []byte("x"))).String(), http.StatusForbidden)
		}, true},
		"a blob that is refused": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			blob := r.putBlob(t, subject.Context().RepositoryStr(), []byte(kind+"refused"))
			r.refer(t, subject, kind, "", blob)
			r.answers(blob.Digest.String(), http.StatusUnauthorized)
		}, true},
		"a blob at which the registry breaks": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			blob := r.putBlob(t, subject.Context().RepositoryStr(), []byte(kind+"broken"))
			r.refer(t, subject, kind, "", blob)
			r.answers(blob.Digest.String(), http.StatusNotImplemented) // a temporary status would be retried, which takes time
		}, true},
		"a manifest that is gone": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			r.answers(r.refer(t, subject, kind, "gone").String(), http.StatusNotFound)
		}, false},
		"a blob that says to be too large": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			r.refer(t, subject, kind, "", v1.Descriptor{MediaType: bundleMediaType, Size: defaultLimits.Attachment + 1, Digest: must[v1.Hash](t)(v1.NewHash(subject.DigestStr()))})
		}, false},
		"a blob of another size": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			blob := r.putBlob(t, subject.Context().RepositoryStr(), bytes.Repeat([]byte("x"), 1<<20))
			blob.Size = 10
			r.refer(t, subject, kind, "", blob)
		}, true},
		"no layer and two": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			blob := r.putBlob(t, subject.Context().RepositoryStr(), []byte("{}"))
			r.refer(t, subject, kind, "")
			r.refer(t, subject, kind, "", blob, blob)
		}, false},
		"no bundle": {func(t *testing.T, r *testRegistry, subject name.Digest, kind string) {
			r.refer(t, subject, kind, "", r.putBlob(t, subject.Context().RepositoryStr(), []byte(`{"mediaType":"`+bundleMediaType+`"}`)))
			r.refer(t, subject, kind, "", r.putBlob(t, subject.Context().RepositoryStr(), []byte(strings.Repeat("[", 10_000))))
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			ctx := context.Background()
			registry := memoryRegistry(t, true)
			subjects := pushIndex(t, registry.host)
			for _, kind := range []string{SignatureType, cycloneDX} {
				attack.do(t, registry, subjects[1], kind)
				attack.do(t, registry, subjects[2], kind)
			}
			client := newClient(t)
			_, err := client.Verify(ctx, subjects[2], signer.Policy())
			var unknown *RegistryError
			if err == nil || errors.As(err, &unknown) != attack.unknown {
				t.Errorf("not signed by us: %v", err)
			}
			must[int](t)(client.Attest(ctx, signer, cycloneDX, bom, subjects[1]))
			must[int](t)(client.Sign(ctx, signer, subjects[1]))
			must[*Signature](t)(newClient(t).Verify(ctx, subjects[1], signer.Policy()))
			must[[]Statement](t)(newClient(t).VerifyAttestations(ctx, subjects[1], cycloneDX, signer.Policy()))
			target := memoryRegistry(t, true)
			to := mustDigests(t, strings.Replace(subjects[1].String(), registry.host, target.host, 1))[0]
			copyManifest(t, registry, target, subjects[1])
			policy := signer.Policy().WithCopies(Copy{Of: registry.host + "/lasuite", In: target.host + "/lasuite"})
			must[int](t)(newClient(t).Copy(ctx, policy, subjects[1:2], []name.Digest{to}))
			must[*Signature](t)(newClient(t).Verify(ctx, to, policy))
		})
	}
}

// A large blob that many manifests name is read once.
func TestRepeatedAttachmentsAreReadOnce(t *testing.T) {
	signer := newSigner(t, newKey(t, Bundle))
	ctx := context.Background()
	registry := memoryRegistry(t, true)
	subject := pushIndex(t, registry.host)[0]
	must[int](t)(newClient(t).Sign(ctx, signer, subject))
	blob := registry.putBlob(t, subject.Context().RepositoryStr(), []byte(`"`+strings.Repeat("x", 4<<20)+`"`))
	for i := range 12 {
		registry.refer(t, subject, cycloneDX, fmt.Sprint(i), blob)
	}
	var reads atomic.Int64
	registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, blob.Digest.String()) {
			reads.Add(1)
		}
		return false
	}
	if _, err := newClient(t).VerifyAttestations(ctx, subject, cycloneDX, signer.Policy()); err == nil {
		t.Error("an attestation that nobody made")
	}
	if reads.Load() != 1 {
		t.Errorf("%d reads of one blob", reads.Load())
	}
	must[*Signature](t)(newClient(t).Verify(ctx, subject, signer.Policy()))
}

// answers makes the registry answer with a status to all paths that end in a digest.
func (r *testRegistry) answers(digest string, status int) {
	before := r.answer
	r.answer = func(w http.ResponseWriter, request *http.Request) bool {
		if strings.HasSuffix(request.URL.Path, digest) && request.Method == http.MethodGet {
			http.Error(w, "no", status)
			return true
		}
		return before != nil && before(w, request)
	}
}

// copyManifest copies a manifest, without the blobs that it names, to another registry.
func copyManifest(t *testing.T, from, to *testRegistry, subject name.Digest) {
	t.Helper()
	copyManifestTo(t, from, to, subject, subject)
}

// copyManifestTo copies it to another repository.
func copyManifestTo(t *testing.T, from, to *testRegistry, subject, target name.Digest) {
	t.Helper()
	path := func(d name.Digest) string {
		return "/v2/" + d.Context().RepositoryStr() + "/manifests/" + d.DigestStr()
	}
	response := must[*http.Response](t)(http.Get("http://" + from.host + path(subject)))
	defer response.Body.Close()
	to.put(t, path(target), must[[]byte](t)(io.ReadAll(response.Body)), response.Header.Get("Content-Type"))
}

// Somebody's manifest may name libre's blob with a wrong size.
func TestWrongSizeOfABlobIsNotBelieved(t *testing.T) {
	signer := newSigner(t, newKey(t, Bundle))
	ctx := context.Background()
	registry := memoryRegistry(t, true)
	subject := pushIndex(t, registry.host)[0]
	client := newClient(t)
	must[int](t)(client.Attest(ctx, signer, cycloneDX, bom, subject))
	ours := must[[]v1.Descriptor](t)(client.referrers(ctx, subject, false, nil))[0]
	var manifest v1.Manifest
	content := must[[]byte](t)(client.registry.ReadArtifact(ctx, subject.Context().Digest(ours.Digest.String()), 1<<20))
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	for i := range 8 { // in any order of the list
		lie := manifest.Layers[0]
		lie.Size, lie.Data = int64(i), nil
		registry.refer(t, subject, cycloneDX, fmt.Sprint(i), lie)
	}
	must[[]Statement](t)(newClient(t).VerifyAttestations(ctx, subject, cycloneDX, signer.Policy()))
}

// The attachments of others are limited for each image and for all images. Libre still
// finds its own within the limits.
func TestLimitsOfAttachments(t *testing.T) {
	ctx := context.Background()
	signer := newSigner(t, newKey(t, Bundle))
	registry := memoryRegistry(t, true)
	subjects := pushIndex(t, registry.host)
	repository := subjects[0].Context().RepositoryStr()
	attach := func(subject name.Digest, kind, seed string, size int) {
		t.Helper()
		r := registry.putBlob(t, repository, append([]byte(seed), bytes.Repeat([]byte("x"), size)...))
		registry.refer(t, subject, kind, "", r)
	}
	client := func(limits Limits) *Client {
		c := newClient(t)
		c.limits = limits.orDefault()
		return c
	}
	var met *RegistryError
	for seed, subject := range subjects[:3] {
		for n := range 3 {
			attach(subject, SignatureType, fmt.Sprint(seed, n), 400<<10)
		}
	}
	unsigned := client(Limits{Foreign: 1 << 20})
	if _, err := unsigned.Verify(ctx, subjects[0], signer.Policy()); !errors.As(err, &met) || !strings.Contains(err.Error(), "limits.attachments in libre.yaml") {
		t.Errorf("1.2 MB of others for one image: %v", err)
	}
	if _, err := client(Limits{Foreign: 2 << 20}).Verify(ctx, subjects[0], signer.Policy()); err == nil || errors.As(err, &met) {
		t.Errorf("within the limit: %v", err)
	}
	all := client(Limits{Foreign: 1300 << 10}) // 5.3 MB for all, and 1.2 MB for each image
	for n := range 5 {
		if _, err := all.Verify(ctx, subjects[n%3], signer.Policy()); errors.As(err, &met) != (n == 4) {
			t.Errorf("image %d: %v", n+1, err)
		}
	}
	must[int](t)(client(Limits{}).Sign(ctx, signer, subjects...))
	must[*Signature](t)(client(Limits{Foreign: 1 << 20}).Verify(ctx, subjects[0], signer.Policy()))
	must[int](t)(client(Limits{}).Attest(ctx, signer, cycloneDX, json.RawMessage(`{"large":"`+strings.Repeat("x", 3<<20)+`"}`), subjects[2]))
	if _, err := client(Limits{Attachment: 1 << 20}).VerifyAttestations(ctx, subjects[2], cycloneDX, signer.Policy()); err == nil || !strings.Contains(err.Error(), "limits.attachment in libre.yaml") {
		t.Errorf("one that is larger than the limit: %v", err)
	}
	must[[]Statement](t)(client(Limits{}).VerifyAttestations(ctx, subjects[2], cycloneDX, signer.Policy()))
}

// A registry that is busy, or whose connection breaks, may have a valid signature: nobody is
// told that there is none.
func TestBusyRegistryDoesNotAnswer(t *testing.T) {
	signer := newSigner(t, newKey(t, Bundle))
	for what, answer := range map[string]http.HandlerFunc{
		"429": func(w http.ResponseWriter, _ *http.Request) { busyAnswer(w, http.StatusTooManyRequests, "0") },
		"429 for an hour": func(w http.ResponseWriter, _ *http.Request) {
			busyAnswer(w, http.StatusTooManyRequests, "3600")
		},
		"503": func(w http.ResponseWriter, _ *http.Request) { busyAnswer(w, http.StatusServiceUnavailable, "0") },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			registry := memoryRegistry(t, true)
			subject := pushIndex(t, registry.host)[0]
			blob := registry.putBlob(t, subject.Context().RepositoryStr(), []byte("a bundle"))
			registry.refer(t, subject, SignatureType, "", blob)
			registry.answer = func(w http.ResponseWriter, r *http.Request) bool {
				hit := r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, blob.Digest.String())
				if hit {
					answer(w, r)
				}
				return hit
			}
			if _, err := newClient(t).Verify(t.Context(), subject, signer.Policy()); !errors.As(err, new(*RegistryError)) || IsUnread(err) {
				t.Errorf("%v, want an error of the registry", err)
			}
		})
	}
}

func busyAnswer(w http.ResponseWriter, status int, retryAfter string) {
	w.Header().Set("Retry-After", retryAfter)
	w.WriteHeader(status)
}
