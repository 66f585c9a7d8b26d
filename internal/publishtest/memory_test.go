package publishtest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	inmemory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	randomly "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

const (
	bundleType  = "application/vnd.dev.sigstore.bundle.v0.3+json"
	kindOf      = "dev.sigstore.bundle.predicateType"
	contentOf   = "dev.sigstore.bundle.content"
	listedAs    = "sh.libre.bundle"
	attackedRef = "coop/docs-web-default"
)

// attacked is a registry with one signed image, in which somebody else may write.
type attacked struct {
	*testing.T
	host     string
	key      string // file of the public key
	subjects []name.Digest
	handler  http.Handler
	// answer, where not nil, may answer in the registry's place.
	answer func(http.ResponseWriter, *http.Request) bool
}

// newAttacked has an image of two platforms signed, as push does.
func newAttacked(t *testing.T, signer *sign.Signer, key string) *attacked {
	t.Helper()
	a := &attacked{T: t, key: key, handler: inmemory.New(inmemory.Logger(log.New(io.Discard, "", 0)), inmemory.WithReferrersSupport(true))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.answer == nil || !a.answer(w, r) {
			a.handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	a.host = strings.TrimPrefix(server.URL, "http://")
	index, err := randomly.Index(200, 1, 2)
	a.must(err)
	index = mutate.Annotations(index, map[string]string{
		"org.opencontainers.image.title": "docs-web-default", "org.opencontainers.image.version": "1.0-1",
	}).(v1.ImageIndex)
	tag, err := name.NewTag(a.host + "/" + attackedRef + ":1.0-1")
	a.must(err)
	a.must(remote.WriteIndex(tag, index))
	manifest, err := index.IndexManifest()
	a.must(err)
	digest, err := index.Digest()
	a.must(err)
	a.subjects = []name.Digest{tag.Context().Digest(digest.String())}
	for _, child := range manifest.Manifests {
		a.subjects = append(a.subjects, tag.Context().Digest(child.Digest.String()))
	}
	client, err := registry.NewClient("localhost", registry.Options{})
	a.must(err)
	attacher := sign.NewClient(client).Attacher(signer)
	document := json.RawMessage(`{"name":"docs-web-default","metadata":{"component":{"name":"docs-web-default"}},
		"buildDefinition":{"externalParameters":{"image":"docs/web/default"}},"components":["` + strings.Repeat(`a component of some length","`, 10_000) + `"]}`)
	for _, kind := range carried {
		if kind == sign.SignatureType {
			_, err = attacher.Sign(t.Context(), a.subjects...)
		} else {
			_, err = attacher.Attest(t.Context(), kind, document, a.subjects...)
		}
		a.must(err)
	}
	a.must(attacher.Confirm(t.Context()))
	return a
}

// carried are what every image carries.
var carried = []string{release.CycloneDXType, release.SPDXType, release.ProvenanceType, sign.SignatureType}

func (a *attacked) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// put writes to the registry as somebody does who may push.
func (a *attacked) put(path string, content []byte, mediaType string) {
	a.Helper()
	request, err := http.NewRequest(http.MethodPut, "http://"+a.host+path, bytes.NewReader(content))
	a.must(err)
	request.Header.Set("Content-Type", mediaType)
	response, err := http.DefaultClient.Do(request)
	a.must(err)
	response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		a.Fatalf("PUT %s: %s", path, response.Status)
	}
}

// blob gives the descriptor of a blob that says to be a bundle.
func (a *attacked) blob(content []byte) v1.Descriptor {
	a.Helper()
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	a.must(err)
	response, err := http.Post("http://"+a.host+"/v2/"+attackedRef+"/blobs/uploads/", "", nil)
	a.must(err)
	response.Body.Close()
	a.put(response.Header.Get("Location")+"?digest="+digest.String(), content, "application/octet-stream")
	return v1.Descriptor{MediaType: bundleType, Digest: digest, Size: size}
}

// attach has the index carry blobs, one a manifest, as what a kind says to be.
func (a *attacked) attach(kind string, annotations map[string]string, blobs ...v1.Descriptor) {
	a.Helper()
	config := a.blob([]byte("{}"))
	hash, err := v1.NewHash(a.subjects[0].DigestStr())
	a.must(err)
	for n, blob := range blobs {
		all := map[string]string{kindOf: kind, contentOf: "dsse-envelope", "distinct": fmt.Sprint(n)}
		for key, value := range annotations {
			all[key] = value
		}
		content, err := json.Marshal(struct {
			v1.Manifest
			ArtifactType string `json:"artifactType"`
		}{v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{blob}, Config: config,
			Subject: &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash, Size: 1}, Annotations: all,
		}, bundleType})
		a.must(err)
		digest, _, err := v1.SHA256(bytes.NewReader(content))
		a.must(err)
		a.put("/v2/"+attackedRef+"/manifests/"+digest.String(), content, string(types.OCIManifestSchema1))
	}
}

// verify runs the program and gives the most memory that it held at once, in bytes. What
// the kernel says after its end may be this process' own.
func (a *attacked) verify() (code int, said string, peak int64) {
	a.Helper()
	programs, err := testkit.Programs()
	a.must(err)
	cmd := exec.Command(filepath.Join(programs, "libre"), "verify", a.host+"/"+attackedRef+":1.0-1", "--key", a.key)
	cmd.Env = append(os.Environ(), "HOME="+a.TempDir())
	cmd.Dir = a.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	a.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		for line := range strings.Lines(string(text)) {
			var kB int64
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kB); err == nil {
				peak = max(peak, kB<<10)
			}
		}
		select {
		case <-ended:
			return cmd.ProcessState.ExitCode(), out.String(), peak
		case <-time.After(3 * time.Millisecond):
		}
	}
}

// What somebody attaches to a signed image keeps nobody from verifying it, and takes no
// memory: with at most half as much again as without, everything still verifies.
func TestMemoryOfVerify(t *testing.T) {
	t.Setenv(sign.PasswordVariable, "correct horse")
	base := filepath.Join(t.TempDir(), "cosign")
	if err := sign.Keygen(base, nil); err != nil {
		t.Fatal(err)
	}
	signer, err := sign.Config{Format: sign.Bundle, Key: base + ".key"}.Signer(t.Context(), sign.Prompts{})
	if err != nil {
		t.Fatal(err)
	}
	var before int64 // runs differ by some MB
	for range 3 {
		code, said, peak := newAttacked(t, signer, base+".pub").verify()
		if code != 0 {
			t.Fatalf("undisturbed: %s", said)
		}
		before = max(before, peak)
	}
	junk := func(a *attacked, size int, seed string) v1.Descriptor {
		return a.blob(append([]byte(seed), bytes.Repeat([]byte("x"), size)...))
	}
	bundled := func(material, payload string) []byte {
		return []byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{` + material + `},"dsseEnvelope":{"payload":"` + payload +
			`","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUCIQDx"}]}}`)
	}
	each := func(do func(a *attacked, kind string)) func(*attacked) {
		return func(a *attacked) {
			for _, kind := range carried {
				do(a, kind)
			}
		}
	}
	for _, attack := range []struct {
		what string
		do   func(a *attacked)
		says string // why it cannot be known, instead of success
	}{
		{"one blob of 100 MB in 12 manifests", each(func(a *attacked, kind string) {
			big := junk(a, 100_000_000, "")
			a.attach(kind, nil, big, big, big)
		}), ""},
		{"different blobs of 60 MB", each(func(a *attacked, kind string) {
			a.attach(kind, nil, junk(a, 60_000_000, kind+"1"), junk(a, 60_000_000, kind+"2"))
		}), ""},
		{"bundles with payloads of 60 MB", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"publicKey":{"hint":"x"}`, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(kind), 1<<20)))))
		}), ""},
		{"wide material", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"publicKey":{},"tlogEntries":[{}`+strings.Repeat(",{}", 5<<20)+`]`, "e30=")))
		}), ""},
		{"deep material", each(func(a *attacked, kind string) {
			a.attach(kind, nil, a.blob(bundled(`"x":`+strings.Repeat("[", 10<<20)+strings.Repeat("]", 10<<20), "e30=")))
		}), ""},
		{"huge certificates", each(func(a *attacked, kind string) {
			certificate := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(kind), 500_000))
			a.attach(kind, nil, a.blob(bundled(`"certificate":{"rawBytes":"`+certificate+`"}`, "e30=")),
				a.blob(bundled(`"x509CertificateChain":{"certificates":[{"rawBytes":"`+certificate+`"}]}`, "e30=")))
		}), ""},
		{"huge signatures and wide envelopes", each(func(a *attacked, kind string) {
			envelope := func(signatures string) v1.Descriptor {
				return a.blob([]byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{"payload":"e30=","payloadType":"` + kind + `","signatures":[` + signatures + `]}}`))
			}
			a.attach(kind, nil, envelope(`{"sig":"`+strings.Repeat("AAAA", 10<<20)+`"}`), envelope(`{}`+strings.Repeat(`,{}`, 5<<20)),
				envelope(`{"sig":"AAAA","keyid":"`+strings.Repeat("k", 40<<20)+`"}`))
		}), ""},
		{"ours once more, with much around it", each(func(a *attacked, kind string) {
			ours := a.ours(kind)
			for _, around := range []string{strings.Repeat(" ", 50<<20), `"x":"` + strings.Repeat("x", 50<<20) + `",`, strings.Repeat(`"x":{},`, 5<<20)} {
				a.attach(kind, nil, a.blob(append([]byte("{"+around), ours[1:]...)))
			}
		}), ""},
		{"ours 100 times", each(func(a *attacked, kind string) {
			var all []v1.Descriptor
			for n := range 100 {
				all = append(all, a.blob(append(bytes.Repeat([]byte(" "), n+1), a.ours(kind)...)))
			}
			a.attach(kind, nil, all...)
		}), ""},
		{"thousands of small ones", each(func(a *attacked, kind string) {
			var all []v1.Descriptor
			for n := range 250 {
				all = append(all, junk(a, 2000, kind+fmt.Sprint(n)), a.blob(bundled(`"publicKey":{}`, base64.StdEncoding.EncodeToString([]byte(kind+fmt.Sprint(n))))))
			}
			a.attach(kind, nil, all...)
		}), ""},
		{"manifests with huge annotations", each(func(a *attacked, kind string) {
			small := junk(a, 100, kind)
			a.attach(kind, map[string]string{"x": strings.Repeat("x", 3<<20)}, small, small, small, small)
			a.attach(kind, map[string]string{listedAs: strings.Repeat("{", 3<<20)}, small, small)
		}), ""},
		{"manifests that hold what they describe", each(func(a *attacked, kind string) {
			held := junk(a, 2<<20, kind)
			held.Data = append([]byte(kind), bytes.Repeat([]byte("x"), 2<<20)...)
			a.attach(kind, nil, held, held, held, held)
		}), ""},
		{"wide manifests", each(func(a *attacked, kind string) {
			wide := map[string]string{}
			for n := range 200_000 {
				wide[fmt.Sprint(n)] = ""
			}
			small := junk(a, 100, kind)
			a.attach(kind, wide, small, small)
		}), ""},
		{"a tag that is moved to a wide index", func(a *attacked) {
			a.put("/v2/"+attackedRef+"/manifests/1.0-1", []byte(`{"schemaVersion":2,"mediaType":"`+string(types.OCIImageIndex)+`","manifests":[{}`+strings.Repeat(",{}", 1_200_000)+`]}`), string(types.OCIImageIndex))
		}, "is not signed"},
		{"a tag that is moved to a wide image", func(a *attacked) {
			a.put("/v2/"+attackedRef+"/manifests/1.0-1", []byte(`{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+`","config":{},"layers":[{}`+strings.Repeat(",{}", 1_200_000)+`]}`), string(types.OCIManifestSchema1))
		}, "is not signed"},
		{"a list of 60 MB", func(a *attacked) { a.list(1, 180_000) }, ""},
		{"a list of many attachments", func(a *attacked) { a.list(1, 20_000, bundleType) }, "more than 10000 attachments"},
		{"a list in many parts", func(a *attacked) { a.list(300, 1000) }, ""},
		{"a list without end", func(a *attacked) { a.list(1<<30, 1) }, "more than 1000 parts"},
		{"a list that is compressed", func(a *attacked) {
			a.listing(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
				_, _ = io.WriteString(z, `{"schemaVersion":2,"manifests":[`)
				_, _ = io.CopyN(z, repeated(`{},`), 300<<20)
			})
		}, "more than 268435456 bytes"},
		{"refusals without end", func(a *attacked) {
			a.attach(sign.SignatureType, nil, junk(a, 100, "refused"))
			refused := junk(a, 100, "refused").Digest.String()
			a.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, refused) {
					return false
				}
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.CopyN(w, repeated("no, and again "), 200<<20)
				return true
			}
		}, ""},
	} {
		t.Run(attack.what, func(t *testing.T) {
			a := newAttacked(t, signer, base+".pub")
			attack.do(a)
			code, said, peak := a.verify()
			t.Logf("%d MB before, %d MB under attack, exit code %d", before>>20, peak>>20, code)
			if (code != 0) != (attack.says != "") || !strings.Contains(said, attack.says) {
				t.Errorf("exit code %d: %.1000s", code, said)
			}
			if peak > before*3/2 {
				t.Errorf("%d MB before, %d MB under attack", before>>20, peak>>20)
			}
		})
	}
}

// ours is the genuine attachment of a kind to the index.
func (a *attacked) ours(kind string) []byte {
	a.Helper()
	list, err := remote.Referrers(a.subjects[0])
	a.must(err)
	manifest, err := list.IndexManifest()
	a.must(err)
	for _, referrer := range manifest.Manifests {
		if referrer.Annotations[kindOf] != kind || referrer.Annotations["distinct"] != "" {
			continue
		}
		image, err := remote.Image(a.subjects[0].Context().Digest(referrer.Digest.String()))
		a.must(err)
		layers, err := image.Layers()
		a.must(err)
		content, err := layers[0].Compressed()
		a.must(err)
		defer content.Close()
		text, err := io.ReadAll(content)
		a.must(err)
		return text
	}
	a.Fatalf("no %s", kind)
	return nil
}

// list has the registry list what is attached in so many parts before the genuine ones,
// each with so many descriptors of what is not there.
func (a *attacked) list(parts, each int, artifactType ...string) {
	var page bytes.Buffer
	page.WriteString(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`)
	for n := range each {
		if n > 0 {
			page.WriteString(",")
		}
		fmt.Fprintf(&page, `{"mediaType":"%s","digest":"sha256:%064x","size":1,"artifactType":"%s","annotations":{"%s":"%s","%s":"%s"}}`,
			types.OCIManifestSchema1, n, append(artifactType, "application/x")[0], kindOf, "other", "x", strings.Repeat("x", 100))
	}
	page.WriteString("]}")
	a.listing(func(w http.ResponseWriter, r *http.Request) {
		var part int
		_, _ = fmt.Sscan(r.URL.Query().Get("part"), &part)
		if part >= parts {
			a.handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		w.Header().Set("Link", fmt.Sprintf(`<%s?part=%d>; rel="next"`, r.URL.Path, part+1))
		_, _ = w.Write(page.Bytes())
	})
}

// listing answers who asks what is attached.
func (a *attacked) listing(answer http.HandlerFunc) {
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			answer(w, r)
			return true
		}
		return false
	}
}

// repeated is a text without end.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	if n == 0 {
		n = copy(p, r)
	}
	return n, nil
}
