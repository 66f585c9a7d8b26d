package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
)

// attachedIn pushes a note with referrers to a repository of a namespace, and returns its digest.
func attachedIn(t *testing.T, registry *recorded, namespace, repository string) name.Digest {
	t.Helper()
	client, err := NewClient(registry.host+"/"+namespace, Options{})
	if err != nil {
		t.Fatal(err)
	}
	subject, err := client.PushArtifact(t.Context(), catalog.Ref{Repository: repository, Tag: "5.4.1-1"}, note)
	if err == nil {
		err = client.PutReferrers(t.Context(), subject, types.OCIManifestSchema1, referrers(t, client, subject)...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return subject
}

// A reader stops asking for the referrers API once it has read a list that replaces it, and only
// in that list's namespace.
func TestReadersLearnThatThereIsNoReferrersAPI(t *testing.T) {
	registry := record(t, handlerOf(t, "no referrers"))
	bare, err := registry.client(t).PushArtifact(t.Context(), noteRef, note)
	if err != nil {
		t.Fatal(err)
	}
	attached, next, other := attachedIn(t, registry, "lasuite", "attached"), attachedIn(t, registry, "lasuite", "next"), attachedIn(t, registry, "other", "attached")
	reader := NewReader(Options{})
	for _, step := range []struct {
		subject name.Digest
		want    int
		asks    []string
	}{
		{bare, 0, []string{"GET referrers", "GET manifests"}},
		{attached, 3, []string{"GET referrers", "GET manifests", "HEAD manifests", "GET referrers"}},
		{next, 3, []string{"GET manifests"}},
		{bare, 0, []string{"GET manifests"}},
		{other, 3, []string{"GET referrers", "GET manifests", "HEAD manifests", "GET referrers"}},
	} {
		registry.since()
		listed, byAPI, err := reader.Referrers(t.Context(), step.subject, nil)
		if err != nil || byAPI || len(listed) != step.want {
			t.Errorf("%s: listed %+v, %v, %v", step.subject, listed, byAPI, err)
		}
		expectRequests(t, registry.since(), step.asks...)
	}
}

// A registry that has the API may answer for an unknown subject as others do without it, and
// anybody may have written a list for that subject. A writer may get such an answer by mistake.
func TestOneRefusalDoesNotProveThatThereIsNoReferrersAPI(t *testing.T) {
	for _, kind := range []string{"referrers", "libre serve"} {
		registry := record(t, handlerOf(t, kind))
		subject := attachedIn(t, registry, "lasuite", "attached")
		ghost := subject.Context().Digest("sha256:" + strings.Repeat("ab", 32))
		client := registry.client(t)
		planted, err := v1.NewHash(subject.DigestStr())
		if err == nil {
			err = client.putList(t.Context(), ghost, v1.IndexManifest{Manifests: []v1.Descriptor{{MediaType: types.OCIManifestSchema1, Digest: planted, Size: 3}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		refuseNext := false
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			refuses := what == "GET referrers" && (refuseNext || strings.Contains(r.URL.Path, ghost.DigestStr()))
			if refuses {
				refuseNext = false
				w.WriteHeader(http.StatusNotFound)
			}
			return refuses
		}
		reads := func(of name.Digest, want int) {
			t.Helper()
			if listed, _, err := client.Referrers(t.Context(), of, nil); err != nil || len(listed) != want {
				t.Errorf("%s: listed %+v, %v, want %d", kind, listed, err, want)
			}
		}
		reads(ghost, 1)
		reads(subject, 3)
		client, refuseNext = registry.client(t), true
		note, err := client.PushArtifact(t.Context(), noteRef, note)
		if err == nil {
			err = client.PutReferrers(t.Context(), note, types.OCIManifestSchema1, referrers(t, client, note)...)
		}
		if err != nil {
			t.Fatal(err)
		}
		refuseNext = false
		for range 2 {
			reads(subject, 3)
			reads(note, 3)
			reads(ghost, 1)
		}
	}
}

// Readers that begin at the same time wait for the first one's answer, or until their context
// ends.
func TestConcurrentReadersAskForTheReferrersAPIOnce(t *testing.T) {
	registry := record(t, handlerOf(t, "no referrers"))
	var subjects []name.Digest
	for i := range 20 {
		subjects = append(subjects, attachedIn(t, registry, "lasuite", fmt.Sprintf("part%d-default", i)))
	}
	registry.since()
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	registry.meddle = func(_ int, what string, _ http.ResponseWriter, _ *http.Request) bool {
		if what == "GET referrers" {
			asked <- struct{}{}
			<-answer
		}
		return false
	}
	reader := NewReader(Options{})
	var group errgroup.Group
	for _, subject := range subjects {
		group.Go(func() error {
			listed, _, err := reader.Referrers(t.Context(), subject, nil)
			if err == nil && len(listed) != 3 {
				err = fmt.Errorf("%s: listed %+v", subject, listed)
			}
			return err
		})
	}
	<-asked
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := reader.Referrers(ended, subjects[0], nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader whose context has ended: %v", err)
	}
	close(answer)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, registry.since(), append(slices.Repeat([]string{"GET manifests"}, len(subjects)), "GET referrers", "HEAD manifests", "GET referrers")...)
}
