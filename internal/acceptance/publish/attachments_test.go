package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

const predicateAnnotation = "dev.sigstore.bundle.predicateType"

// everything lists all kinds of attachments.
var everything = []string{sign.SignatureType, state.CycloneDXType, state.SPDXType, state.ProvenanceType}

// subjects returns the target of a tag and its children, in the backend.
func (w *watched) subjects(t testing.TB, refName string) []name.Digest {
	t.Helper()
	tag, err := name.NewTag(w.backend + "/" + namespace + "/" + refName)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	all := []name.Digest{tag.Context().Digest(got.Digest.String())}
	if got.MediaType.IsIndex() {
		all = append(all, children(t, tag)...)
	}
	return all
}

// attached returns the list of a digest's attachments.
func attached(t testing.TB, subject name.Digest) []v1.Descriptor {
	t.Helper()
	index, err := remote.Referrers(subject)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return list.Manifests
}

// write sends a request as anybody with push access can.
func write(t testing.TB, method, url, mediaType string, body []byte) {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, url, response.Status)
	}
}

// detach removes attachments of some kinds from digests. It deletes the manifests if the
// registry keeps lists, else their entries in the list at the subject's tag.
func (w *watched) detach(t testing.TB, byTag bool, subjects []name.Digest, kinds ...string) {
	t.Helper()
	for _, subject := range subjects {
		var kept []v1.Descriptor
		manifests := "http://" + w.backend + "/v2/" + subject.Context().RepositoryStr() + "/manifests/"
		for _, has := range attached(t, subject) {
			switch {
			case !slices.Contains(kinds, has.Annotations[predicateAnnotation]):
				kept = append(kept, has)
			case !byTag:
				write(t, http.MethodDelete, manifests+has.Digest.String(), "", nil)
			}
		}
		if byTag {
			w.list(t, subject, kept)
		}
	}
}

// list replaces the list at a subject's tag.
func (w *watched) list(t testing.TB, subject name.Digest, manifests []v1.Descriptor) {
	t.Helper()
	list, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append([]v1.Descriptor{}, manifests...)})
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + w.backend + "/v2/" + subject.Context().RepositoryStr() + "/manifests/" + strings.Replace(subject.DigestStr(), ":", "-", 1)
	write(t, http.MethodPut, address, string(types.OCIImageIndex), list)
}

// said returns the predicates of a digest's attestations by kind.
func (w *watched) said(t testing.TB, subject name.Digest) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, kind := range attestations[:2] { // a provenance has the time of its making
		statements, err := w.signing.Client.Attachments(subject).VerifyAttestations(context.Background(), kind, w.signing.Policy)
		if err != nil {
			t.Errorf("%s: %v", subject, err)
		}
		for _, statement := range statements {
			all[kind] = append(all[kind], string(statement.Predicate))
		}
	}
	return all
}

// forge attaches a bundle of another image to a digest, as an attachment of a kind.
func (w *watched) forge(t testing.TB, byTag bool, subject, other name.Digest, kind string) {
	t.Helper()
	for _, has := range attached(t, other) {
		if has.Annotations[predicateAnnotation] != kind {
			continue
		}
		got, err := remote.Get(other.Context().Digest(has.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		forged := bytes.ReplaceAll(got.Manifest, []byte(other.DigestStr()), []byte(subject.DigestStr()))
		image, err := got.Image()
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(subject.Context().Digest(has.Digest.String()), image); err != nil { // with its blobs
			t.Fatal(err)
		}
		digest, size, err := v1.SHA256(bytes.NewReader(forged))
		if err != nil {
			t.Fatal(err)
		}
		write(t, http.MethodPut, "http://"+w.backend+"/v2/"+subject.Context().RepositoryStr()+"/manifests/"+digest.String(), string(got.MediaType), forged)
		if byTag {
			w.list(t, subject, append(attached(t, subject), v1.Descriptor{
				MediaType: got.MediaType, Digest: digest, Size: size, Annotations: has.Annotations, ArtifactType: has.ArtifactType,
			}))
		}
	}
}
