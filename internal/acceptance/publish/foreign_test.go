package publish

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/sign"
)

// A moving tag that somebody points to a signed image of another repository is not a newer
// release. It is refused like an unsigned one, and replaced with --force.
func TestForeignMovingTagIsNoNewerRelease(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	text, err := os.ReadFile(filepath.Join(c.dir, "apps/two/default.nix"))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer(`"two"`, `"other"`, `version = "2"`, `version = "9"`).Replace(string(text))
	c.file(t, "apps/other/default.nix", other)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", "other/*/*", two, "--to", reg.prefix()).want(t, 0)
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 2")
	for _, attack := range []struct{ from, to string }{
		{"other-default:9-3", "two-default"},
		{"other-web-default:9-3", "two-default"},
		{"other-web-default:9-3", "two-web-default"},
		{"two-job-default:2-3", "two-web-default"},
		{"two-web-default:2-3", "two-default"},
	} {
		reg.plant(t, attack.from, attack.to+":latest")
		push := []string{"push", two, "--to", reg.prefix(), "--also-tag", "latest"}
		if got := c.run(push...).want(t, 3); !strings.Contains(got.stderr, "replace it with --force") {
			t.Errorf("%s under %s:latest:\n%s%s", attack.from, attack.to, got.stdout, got.stderr)
		}
		c.run(append(push, "--force")...).want(t, 0)
		if tags := reg.tags(t); tags[attack.to+":latest"] != tags[attack.to+":2-2"] {
			t.Errorf("%s under %s:latest is not replaced with --force", attack.from, attack.to)
		}
	}
}

// plant copies the target of a tag, with its attachments, into another repository.
func (w *watched) plant(t testing.TB, from, to string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	source, err := name.NewTag(w.backend + "/" + namespace + "/" + from)
	check(err)
	target, err := name.NewTag(w.backend + "/" + namespace + "/" + to)
	check(err)
	copied := func(from, to name.Reference) *remote.Descriptor {
		t.Helper()
		got, err := remote.Get(from)
		check(err)
		if got.MediaType.IsIndex() {
			index, err := got.ImageIndex()
			check(err)
			check(remote.WriteIndex(to, index))
			return got
		}
		image, err := got.Image()
		check(err)
		check(remote.Write(to, image))
		return got
	}
	planted := copied(source, target)
	attached, err := remote.Referrers(source.Context().Digest(planted.Digest.String()))
	check(err)
	list, err := attached.IndexManifest()
	check(err)
	for _, has := range list.Manifests {
		copied(source.Context().Digest(has.Digest.String()), target.Context().Digest(has.Digest.String()))
	}
}

// Operators may pin an image's manifest for one platform. So verify reads the attachments
// of each manifest, not of the index only.
func TestVerifyLooksAtEachPlatform(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	tag, err := name.NewTag(reg.backend + "/" + namespace + "/two-web-default:2-3")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := manifest.Manifests[0].Digest.String()
	attached, err := remote.Referrers(tag.Context().Digest(child))
	if err != nil {
		t.Fatal(err)
	}
	list, err := attached.IndexManifest()
	if err != nil || len(list.Manifests) != 4 {
		t.Fatalf("attached to a platform's manifest: %v, %v", list, err)
	}
	for n := range list.Manifests {
		rest := *list
		rest.Manifests = append(append(rest.Manifests[:0:0], list.Manifests[:n]...), list.Manifests[n+1:]...)
		reg.hide(t, child, rest)
		for _, reference := range []string{"two-web-default:2-3", "two-default:2-3", "two-web-default@" + child} {
			if got := c.run("verify", reg.prefix()+"/"+reference).want(t, 1); !strings.Contains(got.stdout+got.stderr, child) {
				t.Errorf("verify %s without %v:\n%s%s", reference, list.Manifests[n].Annotations, got.stdout, got.stderr)
			}
		}
	}
	reg.setMeddle(nil)
	c.run("verify", reg.prefix()+"/two-web-default:2-3").want(t, 0)
}

// hide answers requests for the referrers of a digest with another list.
func (w *watched) hide(t testing.TB, digest string, list any) {
	t.Helper()
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	w.setMeddle(func(rw http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if !strings.HasSuffix(r.URL.Path, "/referrers/"+digest) {
			return false
		}
		rw.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		_, _ = rw.Write(text)
		return true
	})
}
