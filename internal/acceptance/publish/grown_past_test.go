package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/layout"
	ociserve "github.com/libresh/libre/internal/oci/serve"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

const tagsPage = 100

// grown starts libre's own registry with earlier releases of the app grown: 1-1, 2-1, and so
// on. Each has its own record and its own image for one platform, signed a month ago with the
// catalogue's key. The registry takes pushes, and sends tags in pages of tagsPage.
func grown(t *testing.T, c catalogue, releases int) *watched {
	t.Helper()
	var server *ociserve.Server
	reg := watch(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("n") {
			query.Set("n", fmt.Sprint(tagsPage))
			r.URL.RawQuery = query.Encode()
		}
		server.ServeHTTP(w, r)
	})), "")
	p := newPast(t, c, reg.prefix())
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(runtime.NumCPU())
	for version := 1; version <= releases; version++ {
		group.Go(func() error { return p.add(ctx, fmt.Sprint(version)) })
	}
	check(t, group.Wait())
	var err error
	server, err = ociserve.New(p.write(t), filepath.Join(t.TempDir(), "pushed"))
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	return reg
}

// A past is an OCI layout of earlier releases. Package sign attaches signatures to what is in
// it, as if it were a registry.
type past struct {
	sign.Registry // only the methods below are called
	dir, prefix   string
	signer        *sign.Signer
	layer, config v1.Descriptor // of all images

	mu      sync.Mutex
	entries []v1.Descriptor
	sizes   map[string]int64 // of manifests, by digest
}

func newPast(t *testing.T, c catalogue, prefix string) *past {
	t.Helper()
	signer, err := sign.Config{Format: sign.Bundle, Key: c.key()}.Signer(t.Context(), sign.Prompts{Password: func(bool) ([]byte, error) { return []byte(password), nil }})
	check(t, err)
	p := &past{dir: t.TempDir(), prefix: prefix, signer: signer, sizes: map[string]int64{}}
	check(t, os.MkdirAll(filepath.Join(p.dir, "blobs", "sha256"), 0o755))
	p.layer, err = p.blob([]byte("layer"), types.OCILayer)
	check(t, err)
	p.config, err = p.blob([]byte(`{"os":"linux","architecture":"amd64"}`), types.OCIConfigJSON)
	check(t, err)
	return p
}

// write completes the layout, and returns its folder.
func (p *past) write(t *testing.T) string {
	t.Helper()
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: p.entries})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(p.dir, "index.json"), index, 0o644))
	check(t, os.WriteFile(filepath.Join(p.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	return p.dir
}

func (p *past) blob(content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, "blobs", "sha256", digest.Hex), content, 0o644)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// manifest adds a manifest to a repository, with a tag if it is not "".
func (p *past) manifest(repository, tag string, mediaType types.MediaType, manifest any) (v1.Descriptor, name.Digest, error) {
	content, err := json.Marshal(manifest)
	if err != nil {
		return v1.Descriptor{}, name.Digest{}, err
	}
	d, err := p.blob(content, mediaType)
	if err != nil {
		return d, name.Digest{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[d.Digest.String()] = d.Size
	named := namespace + "/" + repository + "@" + d.Digest.String()
	if tag != "" {
		named = namespace + "/" + repository + ":" + tag
	}
	entry := d
	entry.Annotations = map[string]string{layout.RefNameAnnotation: named}
	p.entries = append(p.entries, entry)
	reference, err := name.NewDigest(p.prefix + "/" + repository + "@" + d.Digest.String())
	return d, reference, err
}

// add adds a release.
func (p *past) add(ctx context.Context, version string) error {
	web := catalog.ID{App: "grown", Component: "web", Variant: "default"}
	ref := catalog.Ref{Repository: web.Name(), Tag: catalog.Tag(version, 1)}
	about := map[string]string{release.OCIPrefix + "title": ref.Repository, release.OCIPrefix + "version": ref.Tag}
	platform, manifest, err := p.manifest(ref.Repository, "", types.OCIManifestSchema1, v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: p.config, Layers: []v1.Descriptor{p.layer}, Annotations: about,
	})
	if err != nil {
		return err
	}
	platform.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	_, index, err := p.manifest(ref.Repository, ref.Tag, types.OCIImageIndex, v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{platform}, Annotations: about,
	})
	if err != nil {
		return err
	}
	record := state.Record{Schema: 1, App: web.App, Variant: web.Variant, Version: version, PackageVersion: 1, Registry: p.prefix,
		Components: map[string]*state.RecordComponent{web.Component: {Reference: ref, Digest: index.DigestStr(), Systems: map[string]string{"linux/amd64": manifest.DigestStr()}}}}
	digest, err := p.record(&record)
	if err != nil {
		return err
	}
	attacher := sign.NewClient(p, sign.Limits{}).Attacher(p.signer)
	for _, subjects := range [][]name.Digest{{index, manifest}, {digest}} {
		if _, err := attacher.Sign(ctx, subjects...); err != nil {
			return err
		}
	}
	return attacher.Write(ctx)
}

// record adds a record, as package registry pushes it.
func (p *past) record(record *state.Record) (name.Digest, error) {
	artifact, err := record.Artifact()
	if err != nil {
		return name.Digest{}, err
	}
	config, err := p.blob([]byte("{}"), "application/vnd.oci.empty.v1+json")
	if err != nil {
		return name.Digest{}, err
	}
	layer, err := p.blob(artifact.Content, types.MediaType(artifact.Type))
	if err != nil {
		return name.Digest{}, err
	}
	layer.Data = artifact.Content
	_, digest, err := p.manifest(record.App+"-"+record.Variant, catalog.Tag(record.Version, record.PackageVersion), types.OCIManifestSchema1, struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer}, Annotations: artifact.Annotations}, artifact.Type})
	return digest, err
}

func (p *past) Describe(_ context.Context, reference name.Reference) (*v1.Descriptor, error) {
	digest, err := v1.NewHash(reference.Identifier())
	p.mu.Lock()
	defer p.mu.Unlock()
	return &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: p.sizes[digest.String()]}, err
}

func (*past) Referrers(context.Context, name.Digest, func(*v1.Descriptor) bool) ([]v1.Descriptor, bool, error) {
	return nil, true, nil
}

func (*past) TaggedReferrers(context.Context, name.Digest, func(*v1.Descriptor) bool) ([]v1.Descriptor, error) {
	return nil, nil
}

func (p *past) PutBlob(_ context.Context, _ name.Repository, content []byte) error {
	_, err := p.blob(content, "")
	return err
}

var createdToday = regexp.MustCompile(`"org.opencontainers.image.created":"[^"]+"`)

// PutReferrers adds signatures. Their date, which is not signed, becomes that of a month ago.
func (p *past) PutReferrers(_ context.Context, subject name.Digest, mediaType types.MediaType, contents ...[]byte) error {
	for _, content := range contents {
		content = createdToday.ReplaceAll(content, []byte(`"org.opencontainers.image.created":"`+monthAgo()+`"`))
		if _, _, err := p.manifest(path.Base(subject.Context().RepositoryStr()), "", mediaType, json.RawMessage(content)); err != nil {
			return err
		}
	}
	return nil
}
