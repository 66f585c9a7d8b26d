package sign

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const noteType = "https://example.org/note"

// labels returns the labels of notes from the lists of a subject.
func labels(t *testing.T, client *Client, p *Policy, subject name.Digest) []string {
	t.Helper()
	var found []string
	_, err := client.Missing(context.Background(), subject, p, Wanted{Kind: noteType, Is: func(labels []string) bool {
		found = labels
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func notes(t *testing.T, client *Client, p *Policy, subject name.Digest) string {
	t.Helper()
	statements, err := client.VerifyAttestations(context.Background(), subject, noteType, p)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, s := range statements {
		all = append(all, string(s.Predicate))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func attestNotes(t *testing.T, client *Client, signer *Signer, versions []int, subjects ...name.Digest) {
	t.Helper()
	ctx := context.Background()
	for _, version := range versions {
		a := client.Attacher(signer)
		if _, err := a.AttestLabelled(ctx, noteType, fmt.Sprintf("%d x", version), json.RawMessage(fmt.Sprint(version)), subjects...); err != nil {
			t.Fatal(err)
		}
		if err := a.Confirm(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDetach removes former attestations. It leaves attestations of others and of other
// types.
func TestDetach(t *testing.T) {
	for _, format := range []Format{Bundle, Classic} {
		t.Run(string(format), func(t *testing.T) {
			registries(t, func(t *testing.T, host string) {
				ctx := context.Background()
				client, signer, other := newClient(t), newSigner(t, newKey(t, format)), newSigner(t, newKey(t, format))
				subjects := pushIndex(t, host)
				attestNotes(t, client, signer, []int{1, 2}, subjects...)
				attestNotes(t, client, other, []int{1}, subjects...)
				if _, err := client.Attest(ctx, signer, "https://example.org/else", json.RawMessage("7"), subjects...); err != nil {
					t.Fatal(err)
				}
				if _, err := client.Sign(ctx, signer, subjects...); err != nil {
					t.Fatal(err)
				}
				if got, want := labels(t, client, signer.Policy(), subjects[0]), []string{"1 x", "1 x", "2 x"}; !slices.Equal(got, want) {
					t.Errorf("labels %q, want %q", got, want)
				}
				newest := func(s *Statement) bool { return string(s.Predicate) == "2" }
				for range 2 { // the second time there is nothing to do
					if err := client.Detach(ctx, signer.Policy(), noteType, newest, subjects...); err != nil {
						t.Fatal(err)
					}
				}
				for _, subject := range subjects {
					if got := notes(t, client, signer.Policy(), subject); got != "2" {
						t.Errorf("%s has the notes %s, want 2", subject, got)
					}
					if got := notes(t, client, other.Policy(), subject); got != "1" {
						t.Errorf("%s has the other's notes %s, want 1", subject, got)
					}
					if _, err := client.VerifyAttestations(ctx, subject, "https://example.org/else", signer.Policy()); err != nil {
						t.Error(err)
					}
					if _, err := client.Verify(ctx, subject, signer.Policy()); err != nil {
						t.Error(err)
					}
				}
				// A later attestation is added to the remaining ones.
				attestNotes(t, client, signer, []int{3}, subjects...)
				if got := notes(t, client, signer.Policy(), subjects[1]); got != "2 3" {
					t.Errorf("notes %s, want 2 3", got)
				}
			})
		})
	}
}

// TestDetachWhereNothingIsDeleted keeps both attestations, in whatever way the registry
// refuses.
func TestDetachWhereNothingIsDeleted(t *testing.T) {
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound} {
		reg := memoryRegistry(t, true)
		reg.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodDelete
		}
		client, signer := newClient(t), newSigner(t, newKey(t, Bundle))
		subjects := pushIndex(t, reg.host)
		attestNotes(t, client, signer, []int{1, 2}, subjects...)
		err := client.Detach(context.Background(), signer.Policy(), noteType, func(s *Statement) bool { return string(s.Predicate) == "2" }, subjects...)
		if err != nil {
			t.Errorf("status %d: %v", status, err)
		}
		if got := labels(t, client, signer.Policy(), subjects[0]); !slices.Equal(got, []string{"1 x", "2 x"}) {
			t.Errorf("status %d: labels %q", status, got)
		}
	}
}

// TestCopiesAndResignedKeepLabels checks copies in another registry, and attestations that
// are signed again.
func TestCopiesAndResignedKeepLabels(t *testing.T) {
	for _, format := range []Format{Bundle, Classic} {
		ctx := context.Background()
		client, former, signer := newClient(t), newSigner(t, newKey(t, format)), newSigner(t, newKey(t, format))
		from, to := memoryRegistry(t, true).host, memoryRegistry(t, false).host
		subjects := pushIndex(t, from)
		attestNotes(t, client, former, []int{1}, subjects...)
		if _, err := client.Resign(ctx, signer, former.Policy(), false, subjects...); err != nil {
			t.Fatal(err)
		}
		if got := labels(t, client, signer.Policy(), subjects[0]); !slices.Equal(got, []string{"1 x", "1 x"}) {
			t.Errorf("%s: labels %q after signing again", format, got)
		}
		var copies []name.Digest
		for _, subject := range subjects {
			repository, err := name.NewRepository(to + "/" + subject.Context().RepositoryStr())
			if err != nil {
				t.Fatal(err)
			}
			copies = append(copies, repository.Digest(subject.DigestStr()))
		}
		index, err := remote.Index(subjects[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.WriteIndex(copies[0], index); err != nil {
			t.Fatal(err)
		}
		policy := former.Policy().WithCopies(Copy{Of: from + "/lasuite", In: to + "/lasuite"})
		if _, err := client.Copy(ctx, policy, subjects, copies); err != nil {
			t.Fatal(err)
		}
		if got := labels(t, client, policy, copies[0]); !slices.Equal(got, []string{"1 x"}) {
			t.Errorf("%s: labels %q of the copy", format, got)
		}
	}
}

// TestLabelsOfListsWithoutAnnotations reads the labels from the statements.
func TestLabelsOfListsWithoutAnnotations(t *testing.T) {
	for _, without := range []bool{false, true} {
		reg := memoryRegistry(t, true)
		client, signer := newClient(t), newSigner(t, newKey(t, Bundle))
		subjects := pushIndex(t, reg.host)
		attestNotes(t, client, signer, []int{1, 2}, subjects...)
		reads := 0
		reg.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				reads++
			}
			if !without || !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			recorded := httptest.NewRecorder()
			reg.handler.ServeHTTP(recorded, r)
			var list v1.IndexManifest
			if err := json.Unmarshal(recorded.Body.Bytes(), &list); err != nil {
				t.Error(err)
			}
			for i := range list.Manifests {
				list.Manifests[i].Annotations = nil
			}
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_ = json.NewEncoder(w).Encode(list)
			return true
		}
		for want, has := range map[string]bool{"2 x": true, "3 x": false} {
			reads = 0
			missing, err := newClient(t).Missing(context.Background(), subjects[0], signer.Policy(), Wanted{
				Kind: noteType, Is: func(labels []string) bool { return slices.Contains(labels, want) },
				Label: func(s *Statement) string { return string(s.Predicate) + " x" },
			})
			if err != nil || (len(missing) == 0) != has {
				t.Errorf("without annotations %t: missing %v, want %s: %v", without, missing, want, err)
			}
			if has && (reads > 0) != without {
				t.Errorf("without annotations %t: %d manifests were read", without, reads)
			}
		}
	}
}
