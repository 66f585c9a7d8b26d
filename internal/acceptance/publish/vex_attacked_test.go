package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// pretend attaches a manifest that claims to have a VEX document. Its blob is empty, or missing
// in the registry.
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

// A VEX document from somebody with push access does not count: it changes no answer, and does
// not prevent statements from being published.
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
			if got := c.run("verify", selection, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, "no VEX statements that verify\n") {
				t.Errorf("verify prints:\n%s", got.stdout)
			}
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

// attest attaches a statement that is signed with the catalogue's key.
func (w *watched) attest(t testing.TB, c catalogue, kind, predicate string, subjects ...name.Digest) {
	t.Helper()
	ctx := context.Background()
	signer, err := sign.Config{Key: c.key()}.Signer(ctx, sign.Prompts{Password: func(bool) ([]byte, error) { return []byte(password), nil }})
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.NewClient(w.prefix(), registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	attacher := sign.NewClient(client, sign.Limits{}).Attacher(signer)
	for _, subject := range subjects { // signed for the registry that libre uses
		digest, err := name.NewDigest(w.prefix() + "/" + path.Base(subject.Context().RepositoryStr()) + "@" + subject.DigestStr())
		if err == nil {
			_, err = attacher.Attest(ctx, kind, json.RawMessage(predicate), digest)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := attacher.Confirm(ctx); err != nil {
		t.Fatal(err)
	}
}

// Commands that read VEX documents name one that has our signature and cannot be read, because
// its statements are not known. push --deep replaces it.
func TestUnreadableVEXDocumentsAreNamed(t *testing.T) {
	t.Parallel()
	const selection = "one/*/default"
	for what, test := range map[string]struct{ kind, predicate, stated, reason string }{
		"OpenVEX, nothing else is said": {vex.OpenVEXType, `{"statements":"none"}`, "", "vex openvex: our signature is valid, but the document cannot be read: reading OpenVEX: "},
		"OpenVEX beside another":        {vex.OpenVEXType, `{"@context":"https://openvex.dev/ns/v0.2.0","version":1}`, statedFixed, "vex openvex: our signature is valid, but the document cannot be read: reading OpenVEX: it has no context, no version or no timestamp"},
		"CycloneDX":                     {vex.CycloneDXType, `{"bomFormat":"CycloneDX"}`, statedFixed, "vex cyclonedx: our signature is valid, but the document cannot be read: "},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := shared(t).copy(t)
			reg := newWatched(t, "referrers", sign.Bundle)
			if test.stated != "" {
				c.file(t, "apps/one/vex.yaml", test.stated)
			}
			c.run("push", selection, "--to", reg.prefix()).want(t, 0)
			c.run("verify", selection, "--to", reg.prefix()).want(t, 0)
			reg.attest(t, c, test.kind, test.predicate, reg.subjects(t, webImage)...)
			image := reg.prefix() + "/" + webImage
			got := c.run("verify", selection, "--to", reg.prefix()).want(t, 1)
			if want := "error: " + image + ": " + test.reason; !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "libre push 'one/*/default' --deep") {
				t.Errorf("verify prints, want %q:\n%s%s", want, got.stdout, got.stderr)
			}
			if test.kind == vex.OpenVEXType {
				if got := c.run("vex", image, "--key", "cosign.pub").want(t, 1); got.stdout != "" || !strings.Contains(got.stderr, test.reason) {
					t.Errorf("vex prints:\n%s%s", got.stdout, got.stderr)
				}
			}
			if got := c.run("status", selection, "--to", reg.prefix(), "--deep").want(t, 1); !strings.Contains(got.stdout, test.reason) {
				t.Errorf("status --deep prints:\n%s%s", got.stdout, got.stderr)
			}
			if got := c.run("push", selection, "--to", reg.prefix(), "--deep").want(t, 0); !strings.Contains(got.stdout, "\tattached") {
				t.Errorf("push --deep prints:\n%s%s", got.stdout, got.stderr)
			}
			c.run("verify", selection, "--to", reg.prefix()).want(t, 0)
		})
	}
}
