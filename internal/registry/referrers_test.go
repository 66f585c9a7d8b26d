package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
)

// taggable implements the interface that go-containerregistry's pusher accepts.
type taggable []byte

func (t taggable) RawManifest() ([]byte, error)      { return t, nil }
func (taggable) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// referrers returns manifests that name a subject, one of them without a type of its own.
func referrers(t *testing.T, client *Client, subject name.Digest) (all [][]byte) {
	t.Helper()
	ctx := context.Background()
	if err := client.PutBlob(ctx, subject.Context(), emptyConfig); err != nil {
		t.Fatal(err)
	}
	head, err := client.Head(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	config, err := memoryOrigin{}.add(emptyConfig, "application/vnd.oci.empty.v1+json")
	if err != nil {
		t.Fatal(err)
	}
	for i, artifact := range []string{"application/vnd.example.first", "", "application/vnd.example.third"} {
		all = append(all, mustJSON(t, struct {
			v1.Manifest
			ArtifactType string `json:"artifactType,omitempty"`
		}{v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{config},
			Subject:     &v1.Descriptor{MediaType: head.MediaType, Digest: head.Digest, Size: head.Size},
			Annotations: map[string]string{"n": fmt.Sprint(i), "text": "<&>"},
		}, artifact}))
	}
	return all
}

func byDigest(t *testing.T, repository name.Repository, content []byte) name.Digest {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return repository.Digest(digest.String())
}

// Referrers are listed as go-containerregistry's pusher lists them, with fewer requests.
func TestPutManifestWithSubject(t *testing.T) {
	ctx := context.Background()
	for kind, want := range map[string]struct{ first, next []string }{
		"referrers":       {[]string{"PUT manifests", "GET referrers"}, []string{"PUT manifests"}},
		"libre serve":     {[]string{"PUT manifests"}, []string{"PUT manifests"}},
		"no referrers":    {[]string{"PUT manifests", "GET referrers", "HEAD manifests", "GET referrers", "GET manifests", "PUT manifests"}, []string{"PUT manifests", "GET manifests", "PUT manifests"}},
		"docker-registry": {[]string{"PUT manifests", "GET referrers", "HEAD manifests", "GET referrers", "GET manifests", "PUT manifests"}, []string{"PUT manifests", "GET manifests", "PUT manifests"}},
	} {
		t.Run(kind, func(t *testing.T) {
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			var lists [2][]byte
			for i, put := range []func(name.Digest, []byte) error{
				func(reference name.Digest, content []byte) error {
					registry.since()
					err := client.PutManifest(ctx, reference, types.OCIManifestSchema1, content)
					got, expected := registry.since(), want.next
					if want.first != nil {
						expected, want.first = want.first, nil
					}
					expectRequests(t, got, slices.Clone(expected)...)
					return err
				},
				func(reference name.Digest, content []byte) error {
					return remote.Put(reference, taggable(content), remoteOptions(client)...)
				},
			} {
				subject, err := client.PushArtifact(ctx, catalog.Ref{Repository: fmt.Sprintf("part%d-default", i), Tag: "5.4.1-1"}, note)
				if err != nil {
					t.Fatal(err)
				}
				all := referrers(t, client, subject)
				for _, content := range all {
					if err := put(byDigest(t, subject.Context(), content), content); err != nil {
						t.Fatal(err)
					}
				}
				listed, err := remote.Referrers(subject, remoteOptions(client)...)
				if err != nil {
					t.Fatal(err)
				}
				if lists[i], err = listed.RawManifest(); err != nil {
					t.Fatal(err)
				}
				if kind == "referrers" {
					lists[i] = inOrder(t, lists[i])
				}
				for _, content := range all {
					if digest := byDigest(t, subject.Context(), content).DigestStr(); !bytes.Contains(lists[i], []byte(digest)) {
						t.Errorf("%s is not listed", digest)
					}
				}
				// Write again, as after a run that was killed before it wrote the list.
				if err := client.PutManifest(ctx, byDigest(t, subject.Context(), all[0]), types.OCIManifestSchema1, all[0]); err != nil {
					t.Error(err)
				}
			}
			if !bytes.Equal(lists[0], lists[1]) {
				t.Errorf("listed\n%s, by the library\n%s", lists[0], lists[1])
			}
		})
	}
}

// inOrder sorts a list of referrers, which go-containerregistry's registry returns in any
// order.
func inOrder(t *testing.T, list []byte) []byte {
	t.Helper()
	var index v1.IndexManifest
	if err := json.Unmarshal(list, &index); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return mustJSON(t, index)
}

// A gateway that answers everything with a page has no referrers API. The tag of the list
// may name something other than a list.
func TestNoListOfReferrers(t *testing.T) {
	ctx := context.Background()
	registry := record(t, handlerOf(t, "no referrers"))
	registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what == "GET referrers" {
			_, _ = io.WriteString(w, "<html>Welcome</html>")
		}
		return what == "GET referrers"
	}
	client := registry.client(t)
	subject, err := client.PushArtifact(ctx, noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	all := referrers(t, client, subject)
	if err := client.PutManifest(ctx, byDigest(t, subject.Context(), all[0]), types.OCIManifestSchema1, all[0]); err != nil {
		t.Fatal(err)
	}
	tag := subject.Context().Tag(strings.Replace(subject.DigestStr(), ":", "-", 1))
	if got, err := client.Get(ctx, tag); err != nil || !bytes.Contains(got.Content, []byte(byDigest(t, subject.Context(), all[0]).DigestStr())) {
		t.Errorf("listed %+v, %v", got, err)
	}
	if err := client.putManifest(ctx, tag, manifest{mediaType: types.OCIManifestSchema1, content: all[1]}); err != nil {
		t.Fatal(err)
	}
	if listed, byAPI, err := client.Referrers(ctx, subject, nil); err != nil || byAPI || len(listed) > 0 {
		t.Errorf("listed %+v, %v, %v", listed, byAPI, err)
	}
	if err := client.PutManifest(ctx, byDigest(t, subject.Context(), all[2]), types.OCIManifestSchema1, all[2]); err != nil {
		t.Fatal(err)
	}
	if listed, _, err := client.Referrers(ctx, subject, nil); err != nil || len(listed) != 1 || listed[0].ArtifactType != "application/vnd.example.third" {
		t.Errorf("listed %+v, %v", listed, err)
	}
}

// Referrers that are written together take one update of the list that replaces the referrers
// API. The namespace is asked for the API twice.
func TestPutReferrersAtOnce(t *testing.T) {
	ctx := t.Context()
	puts := []string{"PUT manifests", "PUT manifests", "PUT manifests"}
	const ask, read, write, look = "GET referrers", "GET manifests", "PUT manifests", "HEAD manifests"
	for kind, want := range map[string]struct{ first, next, list []string }{
		"referrers":       {append(puts, ask), puts, []string{ask}},
		"libre serve":     {puts, puts, []string{ask}},
		"no referrers":    {append(puts, ask, look, ask, read, write), append(puts, read, write), []string{read}},
		"docker-registry": {append(puts, ask, look, ask, read, write), append(puts, read, write), []string{read}},
	} {
		t.Run(kind, func(t *testing.T) {
			registry := record(t, handlerOf(t, kind))
			client := registry.client(t)
			for i, puts := range [][]string{want.first, want.next} {
				subject, err := client.PushArtifact(ctx, catalog.Ref{Repository: fmt.Sprintf("part%d-default", i), Tag: "5.4.1-1"}, note)
				if err != nil {
					t.Fatal(err)
				}
				all := referrers(t, client, subject)
				registry.since()
				if err := client.PutReferrers(ctx, subject, types.OCIManifestSchema1, all...); err != nil {
					t.Fatal(err)
				}
				expectRequests(t, registry.since(), slices.Clone(puts)...)
				if listed, _, err := client.Referrers(ctx, subject, nil); err != nil || len(listed) != len(all) {
					t.Errorf("listed %+v, %v", listed, err)
				}
				expectRequests(t, registry.since(), slices.Clone(want.list)...)
			}
		})
	}
}

// If the registry refuses one of several referrers, those before it are listed.
func TestReferrersBeforeARefusedOneAreListed(t *testing.T) {
	registry := record(t, handlerOf(t, "no referrers"))
	client := registry.client(t)
	subject, err := client.PushArtifact(t.Context(), noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	all, put := referrers(t, client, subject), 0
	registry.meddle = func(_ int, what string, w http.ResponseWriter, _ *http.Request) bool {
		if what != "PUT manifests" {
			return false
		}
		put++
		if put == len(all) {
			w.WriteHeader(http.StatusForbidden)
		}
		return put == len(all)
	}
	if err := client.PutReferrers(t.Context(), subject, types.OCIManifestSchema1, all...); err == nil {
		t.Error("no error")
	}
	if listed, _, err := client.Referrers(t.Context(), subject, nil); err != nil || len(listed) != len(all)-1 {
		t.Errorf("listed %+v, %v", listed, err)
	}
}

// A blob is sent once to each repository, also if two registries have a repository of the
// same name.
func TestPutBlob(t *testing.T) {
	ctx := context.Background()
	here, there := record(t, handlerOf(t, "referrers")), record(t, handlerOf(t, "referrers"))
	client := here.client(t)
	put := func(ref catalog.Ref, in *recorded, want ...string) {
		t.Helper()
		repository := mustTag(t, in.client(t), ref).Context()
		if err := client.PutBlob(ctx, repository, []byte("blob")); err != nil {
			t.Fatal(err)
		}
		expectRequests(t, in.since(), want...)
		digest, size, err := v1.SHA256(strings.NewReader("blob"))
		if err == nil {
			_, err = client.Blob(ctx, repository.Digest(digest.String()), v1.Descriptor{Digest: digest, Size: size}, mostSmall)
		}
		if err != nil {
			t.Error(err)
		}
		in.since()
	}
	put(imageRef, here, "POST blobs/uploads")
	put(imageRef, here)
	put(imageRef, there, "POST blobs/uploads")
	put(noteRef, here, "POST blobs/uploads?mount", "PUT blobs/uploads") // it mounts nothing
	put(imageRef, here)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
