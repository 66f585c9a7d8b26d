package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	gcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
)

// These digests change only together with catalog.Format.
const (
	goldenGzip = "a3ec83c46e8ad649f7b9f04919bf57ba13e45e900a9a778b2a0159d653eb44df"
	goldenZstd = "dd66e8519df3f81b51bcc8e0f7caa12607726ece5356f71a6411a0ab4359275f"
)

func TestAssembleGolden(t *testing.T) {
	for _, test := range []struct {
		codec Codec
		want  string
	}{{Gzip, goldenGzip}, {Zstd, goldenZstd}} {
		for _, jobs := range []int{1, 4} {
			s, spec := demo(t)
			spec.Codec = test.codec
			rand.Shuffle(len(spec.Closure), func(i, j int) { spec.Closure[i], spec.Closure[j] = spec.Closure[j], spec.Closure[i] })
			opts := s.options()
			opts.Jobs = jobs
			result, err := Assemble(context.Background(), newLayout(t), spec, opts)
			check(t, err)
			if got := result.Descriptor.Digest.Hex; got != test.want {
				t.Errorf("%s: digest %s, want %s: raise catalog.Format", test.codec, got, test.want)
			}
		}
	}
}

func TestAssemble(t *testing.T) {
	s, spec := demo(t)
	l := newLayout(t)
	opts := s.options()
	var seen []string
	opts.Progress = func(done, total int, layer Layer) {
		if done != len(seen)+1 || total != 4 {
			t.Errorf("progress %d/%d after %d", done, total, len(seen))
		}
		seen = append(seen, layer.Name)
	}
	result, err := Assemble(context.Background(), l, spec, opts)
	check(t, err)
	var names []string
	var written int64
	for _, layer := range result.Layers {
		_, name := splitStorePath(layer.Name)
		names = append(names, name)
		written += layer.Size
		if !layer.Fresh || layer.Annotations[LayerKeyAnnotation] != layer.Key || len(layer.Key) != 64 {
			t.Errorf("layer %+v", layer)
		}
	}
	if want := []string{"glibc-2.41", "zlib-1.3", "notes-1.0", "notes-root"}; !reflect.DeepEqual(names, want) || len(seen) != 4 || written != result.Written {
		t.Errorf("layers %v, want %v; progress %v; %d bytes of %d", names, want, seen, result.Written, written)
	}
	var config v1.ConfigFile
	var manifest v1.Manifest
	check(t, l.ReadJSON(result.Descriptor, &manifest))
	check(t, l.ReadJSON(manifest.Config, &config))
	if len(config.History) != 4 || config.History[2].CreatedBy != "libre: "+pathFor("notes-1.0") || !config.Created.Equal(created) || !config.History[3].Created.Equal(created) {
		t.Errorf("history %+v, created %s", config.History, config.Created)
	}
	if !reflect.DeepEqual(manifest.Annotations, spec.Annotations) || !reflect.DeepEqual(config.Config, spec.Config) {
		t.Errorf("annotations %v, config %+v", manifest.Annotations, config.Config)
	}
	if p := result.Descriptor.Platform; p == nil || p.String() != "linux/amd64" {
		t.Errorf("platform %v", p)
	}
}

// validateLayout checks a layout with go-containerregistry's validate (crane validate), which
// reads gzip only. So it cannot read layers of zstd.
func validateLayout(t testing.TB, dir string, codec Codec) {
	t.Helper()
	index, err := gcr.ImageIndexFromPath(dir)
	check(t, err)
	var options []validate.Option
	if codec == Zstd {
		options = append(options, validate.Fast)
	}
	check(t, validate.Index(index, options...))
}

func TestAssembleValidates(t *testing.T) {
	for _, codec := range []Codec{Gzip, Zstd} {
		s, spec := demo(t)
		spec.Codec = codec
		l := newLayout(t)
		x86, err := Assemble(context.Background(), l, spec, s.options())
		check(t, err)
		spec.Platform = v1.Platform{OS: "linux", Architecture: "arm64"}
		arm, err := Assemble(context.Background(), l, spec, s.options())
		check(t, err)
		index, err := Index(context.Background(), l, []v1.Descriptor{arm.Descriptor, x86.Descriptor}, spec.Annotations)
		check(t, err)
		check(t, l.Put("notes:1.0-1", index, nil))
		validateLayout(t, l.Dir(), codec)
		swapped, err := Index(context.Background(), l, []v1.Descriptor{x86.Descriptor, arm.Descriptor}, spec.Annotations)
		check(t, err)
		if swapped.Digest != index.Digest {
			t.Error("the order of manifests changes the index")
		}
		if _, err := Index(context.Background(), l, []v1.Descriptor{x86.Descriptor, x86.Descriptor}, nil); err == nil {
			t.Error("an index with one platform twice")
		}
	}
}

func TestAssembleSkopeo(t *testing.T) {
	testkit.Require(t, "skopeo")
	for _, codec := range []Codec{Gzip, Zstd} {
		s, spec := demo(t)
		spec.Codec = codec
		l := newLayout(t)
		result, err := Assemble(context.Background(), l, spec, s.options())
		check(t, err)
		index, err := Index(context.Background(), l, []v1.Descriptor{result.Descriptor}, nil)
		check(t, err)
		check(t, l.Put("notes:1.0-1", index, nil))
		source := "oci:" + l.Dir() + ":notes:1.0-1"
		if out := run(t, "skopeo", "inspect", "--override-arch", "amd64", source); !strings.Contains(out, "org.opencontainers.image.version") {
			t.Error(out)
		}
		run(t, "skopeo", "copy", "--insecure-policy", "--all", source, "oci:"+t.TempDir()+":copy")
	}
}

func TestAssembleSecondTime(t *testing.T) {
	s, spec := demo(t)
	l := newLayout(t)
	dir := filepath.Join(t.TempDir(), "cache")
	opts := Options{Cache: NewCache(dir), StoreRoot: s.root}
	first, err := Assemble(context.Background(), l, spec, opts)
	check(t, err)

	// A new process and a missing store: no file of the store is opened.
	opts = Options{Cache: NewCache(dir), StoreRoot: filepath.Join(s.root, "gone")}
	second, err := Assemble(context.Background(), l, spec, opts)
	check(t, err)
	if second.Written != 0 || second.Descriptor.Digest != first.Descriptor.Digest || len(second.Warnings) != 0 {
		t.Errorf("second time: %+v", second)
	}

	// A truncated blob is written again.
	opts.StoreRoot = s.root
	check(t, os.Truncate(l.BlobPath(first.Layers[1].Digest), 5))
	third, err := Assemble(context.Background(), l, spec, opts)
	check(t, err)
	if third.Written != first.Layers[1].Size || !third.Layers[1].Fresh || third.Layers[0].Fresh {
		t.Errorf("third time: %+v", third)
	}

	// Only layers with changed paths have another key.
	changed := spec
	changed.Closure = append([]nix.PathInfo{}, spec.Closure...)
	changed.Closure[3].NarHash = "sha256:other"
	fourth, err := Assemble(context.Background(), l, changed, opts)
	check(t, err)
	if fourth.Layers[0].Fresh || fourth.Layers[1].Fresh || fourth.Layers[2].Fresh || !fourth.Layers[3].Fresh {
		t.Errorf("another root: %v", keys(fourth))
	}
	changed = spec
	changed.Owners = map[string]Owner{"/tmp": {Mode: 0o1770}}
	fifth, err := Assemble(context.Background(), l, changed, opts)
	check(t, err)
	if fifth.Layers[3].Key == first.Layers[3].Key || fifth.Layers[0].Fresh {
		t.Errorf("other owners: %v, first %v", keys(fifth), keys(first))
	}
}

func keys(r Result) (out []string) {
	for _, layer := range r.Layers {
		out = append(out, fmt.Sprintf("%s fresh %v", layer.Key[:8], layer.Fresh))
	}
	return out
}

func TestCacheTrouble(t *testing.T) {
	s, spec := demo(t)
	dir := t.TempDir()
	assemble := func(cache string) Result {
		t.Helper()
		result, err := Assemble(context.Background(), newLayout(t), spec, Options{Cache: NewCache(cache), StoreRoot: s.root})
		check(t, err)
		return result
	}
	want := assemble(dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	check(t, err)
	for _, f := range files {
		check(t, os.WriteFile(f, []byte(`{"digest":`), 0o644))
	}
	got := assemble(dir)
	if len(files) != 4 || len(got.Warnings) != 4 || got.Descriptor.Digest != want.Descriptor.Digest {
		t.Errorf("a damaged cache of %d files: %v", len(files), got.Warnings)
	}
	if got := assemble(dir); len(got.Warnings) != 0 {
		t.Errorf("the damage stays: %v", got.Warnings)
	}
	// A file is in the place of the folder: not even root can write there.
	if got := assemble(files[0]); len(got.Warnings) == 0 || got.Descriptor.Digest != want.Descriptor.Digest {
		t.Errorf("an unwritable cache: %v", got.Warnings)
	}
}

func TestAssembleCancelled(t *testing.T) {
	s, spec := demo(t)
	l := newLayout(t)
	ctx, cancel := context.WithCancel(context.Background())
	opts := s.options()
	opts.Jobs = 1
	opts.Progress = func(done, total int, layer Layer) { cancel() }
	if _, err := Assemble(ctx, l, spec, opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	blobs, err := os.ReadDir(filepath.Join(l.Dir(), "blobs/sha256"))
	check(t, err)
	for _, b := range blobs {
		content, err := os.ReadFile(filepath.Join(l.Dir(), "blobs/sha256", b.Name()))
		check(t, err)
		h, _, err := v1.SHA256(bytes.NewReader(content))
		check(t, err)
		if h.Hex != b.Name() {
			t.Errorf("%s is left behind", b.Name())
		}
	}
}

// Cancelling in the middle of a layer also ends the work and removes the file.
func TestWriteLayerCancelled(t *testing.T) {
	l := newLayout(t)
	ctx, cancel := context.WithCancel(context.Background())
	noise := rand.NewChaCha8([32]byte{})
	block := make([]byte, 1<<20)
	_, err := writeLayer(ctx, l, Gzip, v1.Hash{}, func(w io.Writer) error {
		for n := range 1 << 20 {
			noise.Read(block)
			if _, err := w.Write(block); err != nil {
				return err
			}
			if n == 3 {
				cancel()
			}
		}
		return nil
	})
	blobs, _ := os.ReadDir(filepath.Join(l.Dir(), "blobs/sha256"))
	if !errors.Is(err, context.Canceled) || len(blobs) != 0 {
		t.Errorf("got %v and %d files", err, len(blobs))
	}
}

// Images that are assembled at the same time write a common layer once.
func TestAssembleAtTheSameTime(t *testing.T) {
	s, spec := demo(t)
	l := newLayout(t)
	opts := s.options()
	var mu sync.Mutex
	var fresh, all int
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			spec := spec
			spec.Created = created.AddDate(0, 0, i)
			result, err := Assemble(context.Background(), l, spec, opts)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, layer := range result.Layers {
				all++
				if layer.Fresh {
					fresh++
				}
			}
			if err := l.Put(spec.Created.Format("a:2006-01-02"), result.Descriptor, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if entries, err := l.Entries(); err != nil || len(entries) != 8 || fresh != 4 || all != 32 {
		t.Errorf("%d entries, %v, %d of %d layers written, want 4", len(entries), err, fresh, all)
	}
}

func TestAssembleBadInput(t *testing.T) {
	for _, test := range []struct {
		change func(*Spec)
		want   string
	}{
		{func(s *Spec) { s.Root = pathFor("other") }, "the closure lacks its root"},
		{func(s *Spec) { s.Closure[0].Path = "/nix/store/../../etc" }, "is not a store path"},
		{func(s *Spec) { s.Closure[0].Path = "relative" }, "is not a store path"},
		{func(s *Spec) { s.Closure[0].NarHash = "" }, "has no narHash"},
		{func(s *Spec) { s.Closure = append(s.Closure, nix.PathInfo{Path: pathFor("gone"), NarHash: "x"}) }, "no such file"},
		{func(s *Spec) { s.Owners = map[string]Owner{"/gone": {Mode: 0o755}} }, "declared for /gone"},
	} {
		s, spec := demo(t)
		test.change(&spec)
		if _, err := Assemble(context.Background(), newLayout(t), spec, s.options()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
