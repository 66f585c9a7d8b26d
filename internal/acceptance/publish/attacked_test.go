package publish

import (
	"bytes"
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
	"github.com/libresh/libre/internal/release/state"
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

// An attacked registry has one signed image, and somebody else may write to it.
type attacked struct {
	*testing.T
	host     string
	key      string // file of the public key
	subjects []name.Digest
	handler  http.Handler
	// answer, if not nil, may answer instead of the registry.
	answer func(http.ResponseWriter, *http.Request) bool
}

// newAttacked signs an image of two platforms as push does.
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
	attacher := sign.NewClient(client, sign.Limits{}).Attacher(signer)
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

// carried lists the kinds of attachments that every image has.
var carried = []string{state.CycloneDXType, state.SPDXType, state.ProvenanceType, sign.SignatureType}

func (a *attacked) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// put writes to the registry as anybody with push access can.
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

// blob uploads a blob that claims to be a bundle and returns its descriptor.
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

// attach attaches blobs to the index, each with its own manifest, as attachments of a kind.
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

// verify runs the program and returns its peak memory in bytes.
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
	peak = waitForPeak(cmd)
	return cmd.ProcessState.ExitCode(), out.String(), peak
}

// waitForPeak waits until a command ends, and returns its peak memory in bytes. The value that
// the kernel returns after its end may be that of this process.
func waitForPeak(cmd *exec.Cmd) (peak int64) {
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
			return peak
		case <-time.After(3 * time.Millisecond):
		}
	}
}

// ours returns the genuine attachment of a kind to the index.
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

// list makes the registry split the list of attachments into parts, with descriptors of
// missing manifests before the genuine ones.
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

// listing answers requests for the list of attachments.
func (a *attacked) listing(answer http.HandlerFunc) {
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			answer(w, r)
			return true
		}
		return false
	}
}

// repeated is an endless text.
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

// An attack is a change by somebody with push access.
type attack struct {
	what string
	do   func(a *attacked)
	says string // the error for an unknown state; "" for success
}

// memoryBefore returns the peak memory of several runs, which differ by some MB.
func memoryBefore(t *testing.T, signer *sign.Signer, key string) (most int64) {
	t.Helper()
	for range 3 {
		code, said, peak := newAttacked(t, signer, key).verify()
		if code != 0 {
			t.Fatalf("undisturbed: %s", said)
		}
		most = max(most, peak)
	}
	return most
}

// hold checks that each attack takes at most half as much memory again as before.
func hold(t *testing.T, signer *sign.Signer, key string, before int64, attacks []attack) {
	for _, attack := range attacks {
		t.Run(attack.what, func(t *testing.T) {
			a := newAttacked(t, signer, key)
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

// keyOf returns a signer for a format. key is the file of its public key.
func keyOf(t *testing.T, format sign.Format) (_ *sign.Signer, key string) {
	t.Helper()
	t.Setenv(sign.PasswordVariable, "correct horse")
	base := filepath.Join(t.TempDir(), "cosign")
	if err := sign.Keygen(base, nil); err != nil {
		t.Fatal(err)
	}
	signer, err := sign.Config{Format: format, Key: base + ".key"}.Signer(t.Context(), sign.Prompts{})
	if err != nil {
		t.Fatal(err)
	}
	return signer, base + ".pub"
}
