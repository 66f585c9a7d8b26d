package publish

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// A layer above the registry's limit fails only its image, whichever way it is sent. The
// next run completes it if the limit is higher.
func TestLayerOverTheLimitFailsItsImageAlone(t *testing.T) {
	t.Parallel()
	c, want := largeRelease(t)
	reg := newWatched(t, "docker-registry", sign.Bundle)
	const limit = 2 << 20
	reg.setMeddle(func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if len(body) > limit {
			// nginx answers like this.
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n")
			return true
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	})
	push := []string{"push", defaults, "--to", reg.prefix()}
	got := c.run(push...).want(t, 3)
	checkLines(t, got)
	if !regexp.MustCompile(`(?m)^failed: large/web/default\n  push: .*: 413 Request Entity Too Large`).MatchString(got.stderr) {
		t.Errorf("the line about the layer:\n%s", got.stderr)
	}
	if tags := reg.tags(t); len(tags) != 3 {
		t.Errorf("tagged %v, want the other app", tags)
	}
	reg.setMeddle(nil)
	completes(t, c, reg, push, want)
}

// A registry loses a file of its storage and the record's tag, but still has the image's
// index. The next run sends the lost blobs again.
func TestLostBlobsAreSentAgain(t *testing.T) {
	t.Parallel()
	want := undisturbedDefaults(t)
	c := shared(t)
	for what, of := range map[string]func(index v1.ImageIndex) (v1.Hash, error){
		"a layer": func(index v1.ImageIndex) (v1.Hash, error) {
			manifest, err := firstManifest(index)
			if err != nil {
				return v1.Hash{}, err
			}
			return manifest.Layers[len(manifest.Layers)-1].Digest, nil
		},
		"a configuration": func(index v1.ImageIndex) (v1.Hash, error) {
			manifest, err := firstManifest(index)
			if err != nil {
				return v1.Hash{}, err
			}
			return manifest.Config.Digest, nil
		},
		"a manifest": func(index v1.ImageIndex) (v1.Hash, error) {
			manifest, err := index.IndexManifest()
			if err != nil {
				return v1.Hash{}, err
			}
			return manifest.Manifests[0].Digest, nil
		},
		"the index": func(index v1.ImageIndex) (v1.Hash, error) { return index.Digest() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			storage := t.TempDir()
			reg := watch(t, testkit.DockerRegistry(t, storage), sign.Bundle)
			c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
			tag, err := name.NewTag(reg.backend + "/" + namespace + "/one-web-default:1.0-1")
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(tag)
			if err != nil {
				t.Fatal(err)
			}
			lost, err := of(index)
			if err != nil {
				t.Fatal(err)
			}
			files := filepath.Join(storage, "docker/registry/v2")
			for _, path := range []string{
				filepath.Join(files, "blobs/sha256", lost.Hex[:2], lost.Hex),
				filepath.Join(files, "repositories", namespace, "one-default/_manifests/tags/1.0-1"),
			} {
				if _, err := os.Stat(path); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
			got := c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags: %s", diff)
			}
			for reference := range want {
				if isRecord(reference) {
					continue
				}
				tag, err := name.NewTag(reg.backend + "/" + namespace + "/" + reference)
				if err != nil {
					t.Fatal(err)
				}
				index, err := remote.Index(tag)
				if err == nil {
					err = validate.Index(index)
				}
				if err != nil {
					t.Errorf("%s is not whole: %v\n%s", reference, err, got.stdout)
				}
			}
			reg.audit(t)
		})
	}
}

func firstManifest(index v1.ImageIndex) (*v1.Manifest, error) {
	all, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	image, err := index.Image(all.Manifests[0].Digest)
	if err != nil {
		return nil, err
	}
	return image.Manifest()
}

// A registry that is read-only refuses each release before anything of it is built, the first
// one as well as later ones.
func TestReadOnlyRegistryRefusesBeforeTheBuild(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	push := []string{"push", defaults, "--to", reg.prefix()}
	readOnly := func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return false
		}
		w.WriteHeader(http.StatusForbidden) // Harbor answers like this
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"The system is in read only mode. Any modification is prohibited."}]}`)
		return true
	}
	refused := func(images string) {
		t.Helper()
		reg.setMeddle(readOnly)
		got := c.run(push...).want(t, 3)
		checkLines(t, got)
		line := "(?m)^failed: " + images + "\n  push: checking push access to \\S+: 403 Forbidden: DENIED: The system is in read only mode"
		if strings.Contains(got.stderr, "web/default: ") || !regexp.MustCompile(line).MatchString(got.stderr) {
			t.Errorf("said:\n%s", got.stderr)
		}
		reg.setMeddle(nil)
		c.run(push...).want(t, 0)
	}
	refused("one/api/default, one/pages/default, one/web/default")
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	refused("two/job/default, two/web/default")
}
