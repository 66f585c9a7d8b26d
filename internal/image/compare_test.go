package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/libresh/libre/internal/oci/layout"
)

// shelf holds blobs, and counts how much of them is read.
type shelf struct {
	blobs map[v1.Hash][]byte
	read  map[v1.Hash]int
}

func newShelf() *shelf { return &shelf{map[v1.Hash][]byte{}, map[v1.Hash]int{}} }

func (s *shelf) put(t testing.TB, mediaType types.MediaType, content []byte) v1.Descriptor {
	t.Helper()
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	check(t, err)
	s.blobs[digest] = content
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
}

func (s *shelf) putJSON(t testing.TB, mediaType types.MediaType, document any) v1.Descriptor {
	t.Helper()
	content, err := json.Marshal(document)
	check(t, err)
	return s.put(t, mediaType, content)
}

func (s *shelf) source(d v1.Descriptor) layout.Source {
	return layout.Source{Descriptor: d, Open: func(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		content, ok := s.blobs[d.Digest]
		if !ok {
			return nil, fmt.Errorf("%s: %w", d.Digest, fs.ErrNotExist)
		}
		return io.NopCloser(&countingReader{bytes.NewReader(content), s.read, d.Digest}), nil
	}}
}

type countingReader struct {
	io.Reader
	read   map[v1.Hash]int
	digest v1.Hash
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read[r.digest] += n
	return n, err
}

// sketch describes an image made by hand.
type sketch struct {
	layers      [][]byte // blobs
	titles      []string
	env         []string
	labels      map[string]string
	annotations map[string]string
	size        int64 // added to the first layer's size in the manifest
}

func (k sketch) put(t testing.TB, s *shelf) v1.Descriptor {
	t.Helper()
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{Env: k.env, Labels: k.labels}}
	for _, title := range k.titles {
		config.History = append(config.History, v1.History{CreatedBy: title, EmptyLayer: title == ""})
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: k.annotations}
	for _, layer := range k.layers {
		manifest.Layers = append(manifest.Layers, s.put(t, types.OCILayer, layer))
	}
	if len(manifest.Layers) > 0 {
		manifest.Layers[0].Size += k.size
	}
	manifest.Config = s.putJSON(t, types.OCIConfigJSON, config)
	return s.putJSON(t, types.OCIManifestSchema1, manifest)
}

func zipped(t testing.TB, content []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	check(t, err)
	_, err = w.Write(content)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	check(t, err)
	return w.EncodeAll(content, nil)
}

func TestCompare(t *testing.T) {
	layer := func(content string) []byte { return zipped(t, packed(t, file("bin/hello", content)), 5) }
	one, two, three, four := layer("one"), layer("two"), layer("three"), layer("thrEe")
	repacked := zipped(t, packed(t, file("bin/hello", "two")), 1)
	byGNU := zipped(t, append(packed(t, file("bin/hello", "two")), make([]byte, 512)...), 5)
	titles := []string{"libre: /nix/store/x-libc", "", "libre: /nix/store/y-hello and 2 more"}
	for _, test := range []struct {
		name               string
		published, rebuilt sketch
		want               string
	}{
		{"the same", sketch{layers: [][]byte{one}}, sketch{layers: [][]byte{one}}, ""},
		{
			"content", sketch{layers: [][]byte{one, three, two}, titles: titles}, sketch{layers: [][]byte{one, four, two}},
			"layer 2 of 3 (/nix/store/y-hello and 2 more): /bin/hello: content differs at byte 3",
		},
		{"zstd", sketch{layers: [][]byte{three}}, sketch{layers: [][]byte{zstded(t, packed(t, file("bin/hello", "thrEe")))}}, "layer 1 of 1: /bin/hello: content differs at byte 3"},
		{"a title that is no text", sketch{layers: [][]byte{three}, titles: []string{"RUN \x1b]0;x\a"}}, sketch{layers: [][]byte{four}}, `layer 1 of 1 ("RUN \x1b]0;x\a"): /bin/hello: content differs at byte 3`},
		{"a layer at the end is missing", sketch{layers: [][]byte{one, two}}, sketch{layers: [][]byte{one}}, "layer 2 of 2: only in the published image"},
		{"a layer in between is missing", sketch{layers: [][]byte{one, two, three}}, sketch{layers: [][]byte{one, three}}, "layer 2 of 3: only in the published image"},
		{"a layer at the end is added", sketch{layers: [][]byte{one}}, sketch{layers: [][]byte{one, two}, titles: titles}, "layer 2 of 2 (/nix/store/y-hello and 2 more): only in the rebuilt image"},
		{"a layer in between is added", sketch{layers: [][]byte{one, three}}, sketch{layers: [][]byte{one, two, three}}, "layer 2 of 3: only in the rebuilt image"},
		{"layers in another order", sketch{layers: [][]byte{one, two}}, sketch{layers: [][]byte{two, one}}, "layer 1 of 2: at another place in the rebuilt image"},
		{"no layers", sketch{}, sketch{layers: [][]byte{two}}, "layer 1 of 1: only in the rebuilt image"},
		{"another compression", sketch{layers: [][]byte{one, two}}, sketch{layers: [][]byte{one, repacked}}, "layer 2 of 2: the same content, compressed differently"},
		{"another tar", sketch{layers: [][]byte{two}}, sketch{layers: [][]byte{byGNU}}, "layer 1 of 1: the same entries, written as tar differently"},
		{
			"a content is worse than a compression", sketch{layers: [][]byte{two, three}}, sketch{layers: [][]byte{repacked, four}},
			"layer 2 of 2: /bin/hello: content differs at byte 3",
		},
		{
			"a value is worse than a compression", sketch{layers: [][]byte{two}}, sketch{layers: [][]byte{repacked}, env: []string{"A=1"}},
			`image config: config.Env: absent published, ["A=1"] rebuilt`,
		},
		{
			"environment", sketch{env: []string{"A=1", "B=2"}}, sketch{env: []string{"A=1", "B=3"}},
			`image config: config.Env[1]: "B=2" published, "B=3" rebuilt`,
		},
		{
			"shorter environment", sketch{env: []string{"A=1", "B=\u009b"}}, sketch{env: []string{"A=1"}},
			`image config: config.Env[1]: "B=\u009b" published, absent rebuilt`,
		},
		{
			"label", sketch{labels: map[string]string{"sh.libre.app": "a", "z": "1"}}, sketch{labels: map[string]string{"sh.libre.app": "b", "z": "2"}},
			`image config: config.Labels["sh.libre.app"]: "a" published, "b" rebuilt`,
		},
		{
			"a long value", sketch{env: []string{strings.Repeat("x", 500) + "1" + strings.Repeat("y", 500)}}, sketch{env: []string{strings.Repeat("x", 500) + "2"}},
			`image config: config.Env[0]: …"` + strings.Repeat("x", 40) + "1" + strings.Repeat("y", 119) + `…" published, …"` + strings.Repeat("x", 40) + `2" rebuilt`,
		},
		{
			"annotation", sketch{annotations: map[string]string{"org.opencontainers.image.version": "1"}}, sketch{annotations: map[string]string{"org.opencontainers.image.version": "2"}},
			`manifest: annotations["org.opencontainers.image.version"]: "1" published, "2" rebuilt`,
		},
		{
			"missing annotations", sketch{annotations: map[string]string{"a": "1"}}, sketch{},
			`manifest: annotations: {"a":"1"} published, absent rebuilt`,
		},
		{
			"a descriptor", sketch{layers: [][]byte{one}}, sketch{layers: [][]byte{one}, size: 1},
			fmt.Sprintf("manifest: layers[0].size: %d published, %d rebuilt", len(one), len(one)+1),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := newShelf(), newShelf()
			expectDifference(t, a.source(test.published.put(t, a)), b.source(test.rebuilt.put(t, b)), test.want)
		})
	}
}

func expectDifference(t *testing.T, published, rebuilt layout.Source, want string) {
	t.Helper()
	d, err := Compare(context.Background(), published, rebuilt)
	check(t, err)
	got := ""
	if d != nil {
		got = d.String()
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCompareIndexes(t *testing.T) {
	s := newShelf()
	manifest := func(env string, platform v1.Platform) v1.Descriptor {
		d := sketch{env: []string{env}}.put(t, s)
		d.Platform = &platform
		return d
	}
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64"}
	index := func(annotation string, children ...v1.Descriptor) layout.Source {
		return s.source(s.putJSON(t, types.OCIImageIndex, v1.IndexManifest{
			SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: children, Annotations: map[string]string{"a": annotation},
		}))
	}
	amd, amd2, arm, arm2 := manifest("A=1", amd64), manifest("A=2", amd64), manifest("A=1", arm64), manifest("A=2", arm64)
	envDiffers := `image config: config.Env[0]: "A=1" published, "A=2" rebuilt`
	for _, test := range []struct {
		name               string
		published, rebuilt layout.Source
		want               string
	}{
		{"the same", index("", amd, arm), index("", amd, arm), ""},
		{"one platform", index("", amd), index("", amd2), envDiffers},
		{"the second platform", index("", amd, arm), index("", amd, arm2), "linux/arm64: " + envDiffers},
		{"a platform is missing", index("", amd, arm), index("", amd), "linux/arm64: only in the published image"},
		{"a platform is added", index("", amd), index("", amd, arm), "linux/arm64: only in the rebuilt image"},
		{"annotation", index("1", amd), index("2", amd), `image index: annotations.a: "1" published, "2" rebuilt`},
		{"order", index("", amd, arm), index("", arm, amd), `image index: manifests[0].platform.architecture: "amd64" published, "arm64" rebuilt`},
		{"no index", index("", amd), s.source(amd), fmt.Sprintf("image: mediaType: %q published, %q rebuilt", types.OCIImageIndex, types.OCIManifestSchema1)},
	} {
		t.Run(test.name, func(t *testing.T) { expectDifference(t, test.published, test.rebuilt, test.want) })
	}
}

// Damaged, missing or endless content is an error that says where.
func TestCompareErrors(t *testing.T) {
	whole := newShelf()
	good := whole.source(sketch{layers: [][]byte{zipped(t, packed(t, file("a", "1")), 5)}}.put(t, whole))
	broken := func(damage func(s *shelf, layer v1.Descriptor)) layout.Source {
		s := newShelf()
		layer := zipped(t, packed(t, file("a", bigFile)), 5)
		d := sketch{layers: [][]byte{layer}}.put(t, s)
		damage(s, s.put(t, types.OCILayer, layer))
		return s.source(d)
	}
	bad := broken(func(*shelf, v1.Descriptor) {})
	for _, test := range []struct {
		name    string
		rebuilt layout.Source
		want    string
	}{
		{"a layer is gone", broken(func(s *shelf, layer v1.Descriptor) { delete(s.blobs, layer.Digest) }), "comparing layer 1 of 1: opening the rebuilt image: sha256:"},
		{"a layer is no gzip", broken(func(s *shelf, layer v1.Descriptor) { s.blobs[layer.Digest] = bytes.Repeat([]byte("x"), 1024) }), "comparing layer 1 of 1: the rebuilt image: archive/tar: invalid tar header"},
		{"a manifest is gone", layout.Source{Descriptor: bad.Descriptor, Open: newShelf().source(bad.Descriptor).Open}, "reading the rebuilt image: sha256:"},
		{"a manifest is another", func() layout.Source {
			s := newShelf()
			s.blobs[bad.Descriptor.Digest] = []byte("{}")
			return s.source(bad.Descriptor)
		}(), "its content has the digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		{"a manifest is no JSON", func() layout.Source {
			s := newShelf()
			return s.source(s.put(t, types.OCIManifestSchema1, []byte("{")))
		}(), "unexpected end of JSON input"},
		{"a manifest without end", func() layout.Source {
			s := newShelf()
			return s.source(s.put(t, types.OCIManifestSchema1, make([]byte, layout.MaxDocument+1)))
		}(), "is larger than"},
	} {
		d, err := Compare(context.Background(), good, test.rebuilt)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, %v, want %s", test.name, d, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Compare(ctx, good, bad); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A layer that unpacks to far more than it should is not unpacked: reading ends at the first
// difference, or at the limit.
func TestCompareStops(t *testing.T) {
	noise := strings.Repeat(bigFile, 100)
	a, b := newShelf(), newShelf()
	published := packed(t, file("a", "1"), file("b", noise))
	rebuilt := packed(t, file("a", "2"), file("b", noise))
	expectDifference(t, a.source(sketch{layers: [][]byte{published}}.put(t, a)), b.source(sketch{layers: [][]byte{rebuilt}}.put(t, b)),
		"layer 1 of 1: /a: content differs at byte 0")
	for _, s := range []*shelf{a, b} {
		read := slices.Max(slices.Collect(maps.Values(s.read)))
		if read > 1<<18 {
			t.Errorf("%d bytes of a layer were read", read)
		}
	}

	endless := &layerTar{ctx: context.Background(), side: "published", r: zeros{}, sum: discardHash{}, left: 1000}
	if n, err := io.Copy(io.Discard, endless); n != 1000 || err == nil || !strings.Contains(err.Error(), "the published image unpacks to more than 64 GiB") {
		t.Errorf("read %d bytes, %v", n, err)
	}
	sparse := contents{left: 1 << 20}
	if how, err := sparse.difference(zeros{}, zeros{}); how != "" || err == nil || !strings.Contains(err.Error(), "have more than 64 GiB") {
		t.Errorf("got %q, %v", how, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type discardHash struct{}

func (discardHash) Write(p []byte) (int, error) { return len(p), nil }
func (discardHash) Sum(b []byte) []byte         { return b }
func (discardHash) Reset()                      {}
func (discardHash) Size() int                   { return 0 }
func (discardHash) BlockSize() int              { return 1 }

// Two images of the same store are the same. After a change of one file in the store, the
// difference names the file.
func TestCompareLayouts(t *testing.T) {
	assemble := func(change func(*fakeStore, *Spec)) layout.Source {
		l := newLayout(t)
		s, spec := demo(t)
		change(s, &spec)
		result, err := Assemble(context.Background(), l, spec, s.options())
		check(t, err)
		index, err := Index(context.Background(), l, []v1.Descriptor{result.Descriptor}, spec.Annotations)
		check(t, err)
		return l.Source(index)
	}
	published := assemble(func(*fakeStore, *Spec) {})
	expectDifference(t, published, assemble(func(*fakeStore, *Spec) {}), "")
	expectDifference(t, published, assemble(func(s *fakeStore, spec *Spec) {
		check(t, os.Chmod(s.root+spec.Root+"/etc/passwd", 0o644))
		check(t, os.WriteFile(s.root+spec.Root+"/etc/passwd", []byte("app:x:1001:1002::/data:/bin/false\n"), 0o644))
	}), "layer 4 of 4 (root file system "+pathFor("notes-root")+"): /etc/passwd: content differs at byte 14")
	expectDifference(t, published, assemble(func(_ *fakeStore, spec *Spec) { spec.Config.Env[0] = "PORT=8001" }),
		`image config: config.Env[0]: "PORT=8000" published, "PORT=8001" rebuilt`)
}

func FuzzCompareJSON(f *testing.F) {
	f.Add([]byte(`{"config":{"Env":["A=1"]}}`), []byte(`{"config":{"Env":["A=2"],"x\u001b":1e999}}`))
	f.Fuzz(func(t *testing.T, published, rebuilt []byte) {
		d, err := compareJSON("x", published, rebuilt)
		if err != nil {
			return
		}
		if bytes.Equal(published, rebuilt) && d.Path != "" {
			t.Errorf("equal documents: %s", d)
		}
		if strings.ContainsAny(d.String(), "\x1b\n\x00") {
			t.Errorf("%q", d)
		}
	})
}
