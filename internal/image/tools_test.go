package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/testkit"
)

// tarOf makes a layer from lines: "d NAME", "f NAME", "e NAME" for an empty file, "l NAME TARGET" for a
// symlink, "h NAME TARGET" for a hardlink.
func tarOf(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		words := strings.Fields(line)
		h := tar.Header{Name: words[1], Mode: 0o755}
		switch words[0] {
		case "d":
			h.Typeflag, h.Name = tar.TypeDir, words[1]+"/"
		case "f":
			h.Typeflag, h.Size = tar.TypeReg, int64(len(words[1]))
		case "e": // empty
			h.Typeflag = tar.TypeReg
		case "l":
			h.Typeflag, h.Linkname = tar.TypeSymlink, words[2]
		case "c":
			h.Typeflag = tar.TypeChar
		case "h":
			h.Typeflag, h.Linkname = tar.TypeLink, words[2]
		}
		check(t, w.WriteHeader(&h))
		if h.Size > 0 {
			_, err := io.WriteString(w, words[1])
			check(t, err)
		}
	}
	check(t, w.Close())
	return b.Bytes()
}

// baseImage stores an image of the given layers. Each layer is compressed differently.
func baseImage(t testing.TB, l *layout.Layout, config v1.ConfigFile, layers ...[]byte) v1.Descriptor {
	t.Helper()
	ctx := context.Background()
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	config.OS, config.Architecture, config.RootFS.Type = "linux", "amd64", "layers"
	for i, content := range layers {
		fill := func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		}
		diffID, _, err := v1.SHA256(bytes.NewReader(content))
		check(t, err)
		d := v1.Descriptor{MediaType: types.OCIUncompressedLayer}
		if i%3 == 0 {
			d.Digest, d.Size, err = l.WriteBlob(ctx, fill)
		} else {
			codec := []Codec{Zstd, Gzip}[i%2]
			var s storedLayer
			s, err = writeLayer(ctx, l, codec, v1.Hash{}, fill)
			d = v1.Descriptor{MediaType: codec.mediaType(), Digest: s.Digest, Size: s.Size}
		}
		check(t, err)
		manifest.Layers = append(manifest.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		config.History = append(config.History, v1.History{CreatedBy: "base"})
	}
	var err error
	manifest.Config, err = l.WriteJSON(ctx, types.OCIConfigJSON, config)
	check(t, err)
	d, err := l.WriteJSON(ctx, types.OCIManifestSchema1, manifest)
	check(t, err)
	return d
}

// tools returns a store with a busybox that needs one library.
func tools(t testing.TB) (*fakeStore, ToolsSpec) {
	s := newFakeStore(t)
	lib := s.add("musl", map[string]string{"lib/libc.so": "!musl"})
	busybox := s.add("busybox", map[string]string{"bin/busybox": "!busybox", "bin/sh": "→busybox", "bin/ls": "→busybox"}, lib)
	return s, ToolsSpec{
		Closure:     s.all,
		Root:        busybox,
		Labels:      map[string]string{"sh.libre.variant": "debug"},
		Annotations: map[string]string{"sh.libre.variant": "debug"},
		Created:     created,
	}
}

func TestAddTools(t *testing.T) {
	// The entries of the layer below a store folder, and below a folder for links.
	storeEntries := func(store string) string {
		return fmt.Sprintf(`5 0555 0:0 %[1]s/BUSYBOX/
5 0555 0:0 %[1]s/BUSYBOX/bin/
0 0555 0:0 %[1]s/BUSYBOX/bin/busybox
2 0777 0:0 %[1]s/BUSYBOX/bin/ls busybox
2 0777 0:0 %[1]s/BUSYBOX/bin/sh busybox
`, store) + fmt.Sprintf(`5 0555 0:0 %[1]s/MUSL/
5 0555 0:0 %[1]s/MUSL/lib/
0 0555 0:0 %[1]s/MUSL/lib/libc.so
`, store)
	}
	links := func(bin string) (out string) {
		for _, name := range []string{"busybox", "ls", "sh"} {
			out += "2 0777 0:0 " + bin + "/" + name + " /nix/store/BUSYBOX/bin/" + name + "\n"
		}
		return out
	}
	dirs := func(names ...string) (out string) {
		for _, name := range names {
			out += "5 0755 0:0 " + name + "/\n"
		}
		return out
	}
	opt := []string{"opt", "opt/libre", "opt/libre/bin"}
	store := []string{"nix", "nix/store"}
	for _, test := range []struct {
		name   string
		layers [][]string
		want   string
	}{
		{"empty image", [][]string{{}}, dirs(append(store, opt...)...) + storeEntries("nix/store") + links("opt/libre/bin")},
		{
			"merged /usr",
			[][]string{{"d usr", "d usr/bin", "l bin usr/bin", "d opt"}, {"f bin/app"}},
			dirs(append(store, opt[1:]...)...) + storeEntries("nix/store") + links("opt/libre/bin"),
		},
		{
			"/opt is a link, relative and absolute",
			[][]string{{"d usr", "d usr/opt", "l opt usr/opt", "d data"}, {"l nix /data/nix", "d data/nix"}},
			dirs("data/nix/store", "usr/opt/libre", "usr/opt/libre/bin") + storeEntries("data/nix/store") + links("usr/opt/libre/bin"),
		},
		{
			"/opt is a link to nothing",
			[][]string{{"l opt var/opt"}},
			dirs("nix", "nix/store", "var", "var/opt", "var/opt/libre", "var/opt/libre/bin") + storeEntries("nix/store") + links("var/opt/libre/bin"),
		},
		{
			"a link that a later layer deletes",
			[][]string{{"d usr", "d usr/opt", "l opt usr/opt"}, {"f .wh.opt"}},
			dirs(append(store, opt...)...) + storeEntries("nix/store") + links("opt/libre/bin"),
		},
		{
			"a folder that a later layer empties, before and after it adds to it",
			[][]string{{"d opt", "d opt/libre", "d opt/libre/bin", "f opt/libre/bin/x", "d nix", "d nix/store"}, {"d opt/libre", "f opt/.wh..wh..opq"}, {"f nix/.wh.store", "d nix/store"}},
			dirs("opt/libre/bin") + storeEntries("nix/store") + links("opt/libre/bin"),
		},
		{
			"a folder replaced by a link and a link by a folder",
			[][]string{{"d opt", "d opt/libre", "l nix opt"}, {"d srv", "l opt srv", "d nix"}},
			dirs("nix/store", "srv/libre", "srv/libre/bin") + storeEntries("nix/store") + links("srv/libre/bin"),
		},
		{
			"a store that has one of the paths",
			[][]string{{"d nix", "d nix/store", "d nix/store/MUSL", "d opt"}},
			dirs(opt[1:]...) + strings.SplitAfter(storeEntries("nix/store"), "bin/sh busybox\n")[0] + links("opt/libre/bin"),
		},
		{
			"names with ./ and a hardlink to a link",
			[][]string{{"d ./usr", "d ./usr/opt", "l ./alias usr/opt", "h ./opt alias"}},
			dirs("nix", "nix/store", "usr/opt/libre", "usr/opt/libre/bin") + storeEntries("nix/store") + links("usr/opt/libre/bin"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, spec := tools(t)
			short := strings.NewReplacer(filepath.Base(pathFor("busybox")), "BUSYBOX", filepath.Base(pathFor("musl")), "MUSL")
			long := strings.NewReplacer("MUSL", filepath.Base(pathFor("musl")))
			l := newLayout(t)
			var layers [][]byte
			for _, lines := range test.layers {
				for i := range lines {
					lines[i] = long.Replace(lines[i])
				}
				layers = append(layers, tarOf(t, lines...))
			}
			spec.Base = baseImage(t, l, v1.ConfigFile{}, layers...)
			result, err := AddTools(context.Background(), l, spec, s.options())
			check(t, err)
			// The two store paths come in the order of their hashes.
			got := sortStorePaths(short.Replace(layerListing(t, l, result.Layers[len(result.Layers)-1].Descriptor)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// sortStorePaths puts the lines of busybox before those of musl.
func sortStorePaths(listing string) string {
	var head, busybox, musl, tail string
	for line := range strings.Lines(listing) {
		switch {
		case strings.Contains(line, "store/BUSYBOX/") && line[0] != '2' || strings.HasSuffix(line, " busybox\n"):
			busybox += line
		case strings.Contains(line, "store/MUSL/"):
			musl += line
		case line[0] == '5':
			head += line
		default:
			tail += line
		}
	}
	return head + busybox + musl + tail
}

func TestAddToolsConfig(t *testing.T) {
	s, spec := tools(t)
	l := newLayout(t)
	var config v1.ConfigFile
	config.Config.User = "1001"
	config.Config.Env = []string{"A=b", "PATH=/bin"}
	config.Config.Labels = map[string]string{"sh.libre.variant": "default", "sh.libre.other": "x", "maintainer": "me"}
	spec.Base = baseImage(t, l, config, tarOf(t, "d bin"), tarOf(t, "d opt"))
	result, err := AddTools(context.Background(), l, spec, s.options())
	check(t, err)
	var base, manifest v1.Manifest
	config = v1.ConfigFile{}
	check(t, l.ReadJSON(spec.Base, &base))
	check(t, l.ReadJSON(result.Descriptor, &manifest))
	check(t, l.ReadJSON(manifest.Config, &config))
	if !reflect.DeepEqual(manifest.Layers[:2], base.Layers) || len(manifest.Layers) != 3 || len(config.RootFS.DiffIDs) != 3 || len(config.History) != 3 {
		t.Errorf("layers %v on %v", manifest.Layers, base.Layers)
	}
	want := v1.Config{
		User:   "1001",
		Env:    []string{"A=b", "PATH=/bin:/opt/libre/bin"},
		Labels: map[string]string{"maintainer": "me", "sh.libre.variant": "debug"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Error(diff)
	}
	if !reflect.DeepEqual(manifest.Annotations, spec.Annotations) {
		t.Errorf("annotations %v", manifest.Annotations)
	}
	if again, err := AddTools(context.Background(), l, spec, s.options()); err != nil || again.Descriptor.Digest != result.Descriptor.Digest {
		t.Errorf("a second time: %v, %v", again.Descriptor.Digest, err)
	}
}

// Images that have no path of the tools share the tools' layer.
func TestAddToolsShared(t *testing.T) {
	s, spec := tools(t)
	l := newLayout(t)
	opts := s.options()
	spec.Base = baseImage(t, l, v1.ConfigFile{}, tarOf(t, "d bin"))
	one, err := AddTools(context.Background(), l, spec, opts)
	check(t, err)
	spec.Base = baseImage(t, l, v1.ConfigFile{}, tarOf(t, "d usr"))
	two, err := AddTools(context.Background(), l, spec, opts)
	check(t, err)
	if !one.Layers[1].Fresh || two.Layers[1].Fresh || one.Layers[1].Digest != two.Layers[1].Digest {
		t.Errorf("%+v and %+v", one.Layers[1], two.Layers[1])
	}
}

func TestAddToolsRefused(t *testing.T) {
	s, spec := tools(t)
	l := newLayout(t)
	for _, test := range []struct {
		lines []string
		want  string
	}{
		{[]string{"f opt"}, "the image has a file /opt where a folder is needed"},
		{[]string{"l opt nix", "l nix opt"}, "too many links"},
		{[]string{"f usr", "f usr/bin"}, "is below a file"},
	} {
		spec.Base = baseImage(t, l, v1.ConfigFile{}, tarOf(t, test.lines...))
		if _, err := AddTools(context.Background(), l, spec, s.options()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q", test.lines, err, test.want)
		}
	}
}

func TestExtendPath(t *testing.T) {
	for _, test := range []struct{ env, want []string }{
		{nil, []string{"PATH=" + defaultPath + ":/opt/libre/bin"}},
		{[]string{"X=1"}, []string{"X=1", "PATH=" + defaultPath + ":/opt/libre/bin"}},
		{[]string{"PATH=/bin", "X=1"}, []string{"PATH=/bin:/opt/libre/bin", "X=1"}},
		{[]string{"PATH="}, []string{"PATH=" + defaultPath + ":/opt/libre/bin"}},
		{[]string{"PATH=/opt/libre/bin:/bin"}, []string{"PATH=/opt/libre/bin:/bin"}},
	} {
		if got := extendPath(test.env, "/opt/libre/bin"); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.env, got, test.want)
		}
	}
}

// TestAddToolsUnpacked lets buildah unpack a debug image over a merged /usr.
func TestAddToolsUnpacked(t *testing.T) {
	testkit.Require(t, "buildah")
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	s, spec := tools(t)
	l := newLayout(t)
	spec.Base = baseImage(t, l, v1.ConfigFile{}, tarOf(t, "d usr", "d usr/bin", "l bin usr/bin", "f bin/app", "d usr/opt", "l opt usr/opt"))
	result, err := AddTools(context.Background(), l, spec, s.options())
	check(t, err)
	index, err := Index(context.Background(), l, []v1.Descriptor{result.Descriptor}, nil)
	check(t, err)
	check(t, l.Put("debug:1-1", index, nil))
	root := unpack(t, l.Dir(), "debug:1-1")
	for name, want := range map[string]string{
		"usr/bin/app": "bin/app",
		"nix/store/" + filepath.Base(spec.Root) + "/bin/busybox": "busybox",
	} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"bin": "usr/bin", "opt": "usr/opt", "usr/opt/libre/bin/ls": spec.Root + "/bin/ls"} {
		if got, err := os.Readlink(filepath.Join(root, name)); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// unpack returns the root file system of an image of a layout as buildah unpacks it. buildah
// turns the layout's path into a name, and names are in lower case: it gets no absolute path.
func unpack(t testing.TB, layout, reference string) string {
	t.Helper()
	t.Chdir(filepath.Dir(layout))
	source := "oci:" + filepath.Base(layout) + ":" + reference
	storage := t.TempDir()
	global := []string{"--root", storage + "/root", "--runroot", storage + "/run", "--storage-driver", "vfs"}
	container := strings.TrimSpace(lastLine(run(t, "buildah", append(global, "from", source)...)))
	root := strings.TrimSpace(lastLine(run(t, "buildah", append(global, "mount", container)...)))
	t.Cleanup(func() { run(t, "buildah", append(global, "rm", "--all")...) })
	return root
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// FuzzBaseTree reads the entries of foreign images. It must not crash or loop without end, and
// no path may lead out of the image.
func FuzzBaseTree(f *testing.F) {
	f.Add("d usr\nl bin usr/bin\nf bin/app\n\nf .wh.usr\nf a/.wh..wh..opq\nh a bin")
	f.Add("l a b\nl b a\n\nf a/x/../../y\nl opt ../../..\nl nix /")
	f.Fuzz(func(t *testing.T, text string) {
		tree := &baseTree{root: &node{children: map[string]*node{}}}
		layer := 0
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) < 2 {
				layer++
				continue
			}
			kind := map[string]byte{"d": tar.TypeDir, "l": tar.TypeSymlink, "h": tar.TypeLink}[words[0]]
			tree.addEntry(&tar.Header{Typeflag: kind, Name: words[1], Linkname: words[len(words)-1]}, layer)
		}
		places := placement{base: tree}
		for _, dir := range []string{"nix/store", toolsDir} {
			real, err := places.dir(dir)
			if err != nil {
				continue
			}
			if slices.Contains(split(real), "..") || path.IsAbs(real) {
				t.Fatalf("%s leads to %q", dir, real)
			}
			for _, name := range places.missing {
				if n, _, err := tree.lookup(name, false); n != nil || err != nil {
					t.Fatalf("%s is taken for missing: %v", name, err)
				}
			}
		}
	})
}
