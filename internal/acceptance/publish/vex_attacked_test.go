package publish

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// pretend attaches a manifest that claims to have a VEX document, and has a blob that is
// empty, or that the registry does not have.
func (w *watched) pretend(t testing.TB, subject name.Digest, label string, lost bool) {
	t.Helper()
	hash, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		t.Fatal(err)
	}
	empty, size, err := v1.SHA256(strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	layer := v1.Descriptor{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", Digest: empty, Size: size}
	if lost {
		layer.Digest.Hex, layer.Size = strings.Repeat("0", 64), 70_000
	}
	content, err := json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{layer},
		Config:  v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: empty, Size: size},
		Subject: &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash, Size: 1},
		Annotations: map[string]string{
			predicateAnnotation: vex.OpenVEXType, "dev.sigstore.bundle.content": "dsse-envelope", "sh.libre.label": label,
		},
	}, "application/vnd.dev.sigstore.bundle.v0.3+json"})
	if err != nil {
		t.Fatal(err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	write(t, http.MethodPut, "http://"+w.backend+"/v2/"+subject.Context().RepositoryStr()+"/manifests/"+digest.String(), string(types.OCIManifestSchema1), content)
}

// What somebody with push access attaches as a VEX document is nobody's word: it changes no
// answer, and it keeps no statement from being published.
func TestForeignVEXDocumentsChangeNothing(t *testing.T) {
	t.Parallel()
	const selection = "one/*/default"
	for what, attack := range map[string]struct {
		label string
		lost  bool
	}{
		"a higher version":                  {"99 sha256:0", false},
		"a higher version, blob lost":       {"99 sha256:0", true},
		"a version that is no number":       {"x", false},
		"no label":                          {"", false},
		"the highest version that there is": {"9223372036854775807 ", true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := shared(t).copy(t)
			reg := newWatched(t, "referrers", sign.Bundle)
			c.run("push", selection, "--to", reg.prefix()).want(t, 0)
			for _, subject := range reg.subjects(t, webImage) {
				reg.pretend(t, subject, attack.label, attack.lost)
			}
			c.run("status", selection, "--to", reg.prefix()).want(t, 0)
			if got := c.run("push", selection, "--to", reg.prefix()).want(t, 0); strings.Contains(got.stdout, "attached") {
				t.Errorf("nothing is said, and push prints:\n%s", got.stdout)
			}
			for n, stated := range []string{statedFixed, statedOpen} {
				c.file(t, "apps/one/vex.yaml", stated)
				c.run("push", selection, "--to", reg.prefix()).want(t, 0)
				reg.wantVEX(t, []vex.Status{vex.NotAffected, vex.Affected}[n], n+1, 1)
				c.run("status", selection, "--to", reg.prefix()).want(t, 0)
				if got := c.run("push", selection, "--to", reg.prefix()).want(t, 0); strings.Contains(got.stdout, "attached") {
					t.Errorf("nothing changed, and push prints:\n%s", got.stdout)
				}
			}
			if status := c.run("status", selection, "--to", reg.prefix(), "--deep").want(t, 0); !strings.Contains(status.stdout, "\t"+string(state.Published)+"\t") {
				t.Errorf("status --deep:\n%s", status.stdout)
			}
			c.run("verify", selection, "--to", reg.prefix()).want(t, 0)
		})
	}
}
