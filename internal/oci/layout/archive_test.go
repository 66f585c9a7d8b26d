package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

// putTwo stores two images that share layers, one of them for two platforms.
func putTwo(t testing.TB) *Layout {
	t.Helper()
	l := newLayout(t)
	putImage(t, l, "notes-server-default:1.0-1", amd64, arm64)
	putImage(t, l, "notes-server-lyon:1.0-1", amd64)
	return l
}

var both = ArchiveSpec{RefNames: []string{"notes-server-default:1.0-1", "notes-server-lyon:1.0-1"}, Platform: amd64}

func (spec ArchiveSpec) bytes(t testing.TB, l *Layout) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, l.WriteArchive(context.Background(), spec, &b))
	return b.Bytes()
}

func TestWriteArchive(t *testing.T) {
	l := putTwo(t)
	content := both.bytes(t, l)
	files := map[string][]byte{}
	var names []string
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		text, err := io.ReadAll(r)
		check(t, err)
		files[h.Name] = text
		names = append(names, h.Name)
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("an entry is there twice: %v", names)
	}
	// 2 indexes, 3 manifests, 3 configs, 4 layers that both share
	if blobs := len(files) - len([]string{"blobs/", "blobs/sha256/", "index.json", "manifest.json", "oci-layout"}); blobs != 12 {
		t.Errorf("%d blobs: %v", blobs, names)
	}
	var index v1.IndexManifest
	check(t, json.Unmarshal(files["index.json"], &index))
	var docker []dockerManifest
	check(t, json.Unmarshal(files["manifest.json"], &docker))
	if len(index.Manifests) != 2 || len(docker) != 2 {
		t.Fatalf("index.json has %d images, manifest.json %d", len(index.Manifests), len(docker))
	}
	for i, name := range both.RefNames {
		entry, _, err := l.Lookup(name)
		check(t, err)
		named := index.Manifests[i].Annotations
		if index.Manifests[i].Digest != entry.Digest || named[RefNameAnnotation] != name || named["io.containerd.image.name"] != "docker.io/library/"+name || len(named) != 2 {
			t.Errorf("index.json: %+v", index.Manifests[i])
		}
		if !slices.Equal(docker[i].RepoTags, []string{name}) || len(docker[i].Layers) != 4 {
			t.Errorf("manifest.json: %+v", docker[i])
		}
		var config v1.ConfigFile
		check(t, json.Unmarshal(files[docker[i].Config], &config))
		if config.Config.Labels["platform"] != "linux/amd64" || config.Config.Labels["name"] != name {
			t.Errorf("%s: docker gets %+v", name, config.Config.Labels)
		}
	}
}

func TestWriteArchiveDeterministic(t *testing.T) {
	want := both.bytes(t, putTwo(t))
	other := ArchiveSpec{RefNames: []string{both.RefNames[1], both.RefNames[0], both.RefNames[1]}, Platform: amd64}
	if !bytes.Equal(other.bytes(t, putTwo(t)), want) {
		t.Error("another layout and another order of names give other bytes")
	}
}

// manifest.json lists the images for the requested platform.
func TestWriteArchivePlatform(t *testing.T) {
	l := putTwo(t)
	for architecture, want := range map[string]string{"amd64": "default lyon", "arm64": "default", "riscv64": ""} {
		spec := both
		spec.Platform.Architecture = architecture
		var got []string
		for r := tar.NewReader(bytes.NewReader(spec.bytes(t, l))); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			check(t, err)
			if h.Name == "manifest.json" {
				var docker []dockerManifest
				check(t, json.NewDecoder(r).Decode(&docker))
				for _, image := range docker {
					name, _, _ := strings.Cut(image.RepoTags[0], ":")
					got = append(got, strings.TrimPrefix(name, "notes-server-"))
				}
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", architecture, got, want)
		}
	}
}

func TestWriteArchiveErrors(t *testing.T) {
	l := putTwo(t)
	entry, _, err := l.Lookup("notes-server-lyon:1.0-1")
	check(t, err)
	for _, test := range []struct {
		names  []string
		damage func()
		want   string
	}{
		{nil, func() {}, "no image was named"},
		{[]string{"notes-server-lyon:1.0-1", "other:1"}, func() {}, "archiving other:1: " + l.dir + " has no image of this name"},
		{both.RefNames, func() { check(t, os.Remove(l.BlobPath(entry.Digest))) }, "archiving notes-server-lyon:1.0-1: blobs are missing in " + l.dir},
	} {
		test.damage()
		err := l.WriteArchive(context.Background(), ArchiveSpec{RefNames: test.names, Platform: amd64}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

// An existing file is replaced by a whole archive, or not at all.
func TestWriteArchiveFile(t *testing.T) {
	l := putTwo(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "images.tar")
	check(t, os.WriteFile(name, []byte("old"), 0o600))
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.WriteArchiveFile(cancelled, both, name); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := l.WriteArchiveFile(context.Background(), ArchiveSpec{RefNames: []string{"other:1"}}, name); err == nil {
		t.Error("an unknown image is archived")
	}
	if content, err := os.ReadFile(name); string(content) != "old" {
		t.Errorf("after errors: %.20q, %v", content, err)
	}
	size, err := l.WriteArchiveFile(context.Background(), both, name)
	check(t, err)
	content, err := os.ReadFile(name)
	check(t, err)
	if !bytes.Equal(content, both.bytes(t, l)) || size != int64(len(content)) {
		t.Errorf("%d bytes in the file, %d said", len(content), size)
	}
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if _, err := l.WriteArchiveFile(context.Background(), both, filepath.Join(dir, "none", "images.tar")); err == nil || !strings.Contains(err.Error(), "writing the archive "+dir+"/none/images.tar: ") {
		t.Errorf("without a folder: %v", err)
	}
}

func TestWriteArchiveSkopeo(t *testing.T) {
	testkit.Require(t, "skopeo")
	l := putTwo(t)
	archive := filepath.Join(t.TempDir(), "images.tar")
	_, err := l.WriteArchiveFile(context.Background(), both, archive)
	check(t, err)
	for _, name := range both.RefNames {
		entry, _, err := l.Lookup(name)
		check(t, err)
		raw := run(t, "skopeo", "inspect", "--raw", "oci-archive:"+archive+":"+name)
		if got, _, err := v1.SHA256(strings.NewReader(raw)); err != nil || got != entry.Digest {
			t.Errorf("%s: skopeo reads %s, want %s", name, got, entry.Digest)
		}
		for _, source := range []string{"oci-archive:", "docker-archive:"} {
			source += archive + ":" + name
			if out := run(t, "skopeo", "inspect", "--override-arch", "amd64", source); !strings.Contains(out, fmt.Sprintf(`"name": %q`, name)) {
				t.Errorf("%s: %s", source, out)
			}
			run(t, "skopeo", "copy", "--insecure-policy", "--override-arch", "amd64", source, "dir:"+t.TempDir())
		}
	}
}

// A single image keeps its digest in podman. For several images podman makes its own manifests,
// with the same configs and layers.
func TestWriteArchivePodman(t *testing.T) {
	testkit.Require(t, "podman")
	if os.Geteuid() != 0 {
		t.Skip("needs root") // to unpack files of others
	}
	l := putTwo(t)
	podman := podmanStorage(t)
	load := func(spec ArchiveSpec) {
		t.Helper()
		cmd := podman("load", "--quiet")
		cmd.Stdin = bytes.NewReader(spec.bytes(t, l))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("podman load: %v\n%s", err, out)
		}
	}
	inspect := func(name string) (said struct {
		Digest, Architecture string
		Labels               map[string]string
	}) {
		t.Helper()
		out, err := podman("image", "inspect", "--format", "json", name).Output()
		check(t, err)
		list := []any{&said}
		check(t, json.Unmarshal(out, &list))
		return said
	}
	one := ArchiveSpec{RefNames: both.RefNames[:1], Platform: amd64, Registry: "localhost"}
	load(one)
	entry, _, err := l.Lookup(one.RefNames[0])
	check(t, err)
	if got := inspect("localhost/" + one.RefNames[0]); got.Digest != entry.Digest.String() || got.Labels["name"] != one.RefNames[0] {
		t.Errorf("podman has %+v, want %s", got, entry.Digest)
	}
	load(both)
	for _, name := range both.RefNames {
		if got := inspect("localhost/" + name); got.Labels["name"] != name {
			t.Errorf("podman has %+v", got)
		}
	}
}

// podmanStorage returns podman with its own storage.
func podmanStorage(t *testing.T) func(args ...string) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("", "run") // podman accepts only a short path
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "storage.conf")
	check(t, os.WriteFile(conf, fmt.Appendf(nil, "[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/root", dir+"/run"), 0o600))
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command("podman", args...)
		cmd.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf)
		return cmd
	}
}
