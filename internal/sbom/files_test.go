package sbom

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/testkit"
)

const dpkgStatus = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13

Package: curl
Status: install ok installed
Architecture: amd64
Version: 7.88.1-10+deb12u12
Depends: libc6 (>= 2.36)

`

func TestFromLayout(t *testing.T) {
	program := goProgram(t)
	dir, manifests := writeImages(t,
		map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\n"},
		map[string]string{
			"etc/os-release":      "ID=debian\nVERSION_ID=12\n",
			"var/lib/dpkg/status": dpkgStatus,
			"usr/local/bin/hello": program,
		})
	t.Setenv("TMPDIR", t.TempDir())
	image := subject("docs-hello-default")
	image.Manifest = manifests[1]
	d, err := scanner(t).FromLayout(t.Context(), dir, image)
	if err != nil {
		t.Fatal(err)
	}
	curl, libc := component(t, d, "curl"), component(t, d, "libc6")
	if curl.Type != "deb" || !slices.Equal(curl.Where, []string{"/var/lib/dpkg/status"}) || !strings.Contains(curl.PURL, "distro=debian-12") {
		t.Errorf("got %+v", curl)
	}
	if !slices.Equal(curl.DependsOn, []string{libc.ID}) {
		t.Errorf("curl depends on %v, want %s", curl.DependsOn, libc.ID)
	}
	main := component(t, d, "github.com/libresh/libre")
	if want := unique([]string{curl.ID, main.ID}); !slices.Equal(d.DependsOn, want) {
		t.Errorf("the image depends on %v, want %v", d.DependsOn, want)
	}
	validateStrictly(t, d)
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func component(t *testing.T, d *Document, name string) Component {
	t.Helper()
	for _, c := range d.Components {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("%s is not among %v", name, d.Rows())
	return Component{}
}

func TestFromLayoutErrors(t *testing.T) {
	dir, manifests := writeImages(t, map[string]string{"a": "b"})
	t.Setenv("TMPDIR", t.TempDir())
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs/sha256"))
	if err != nil {
		t.Fatal(err)
	}
	var index v1.Hash
	for _, blob := range blobs {
		content, err := os.ReadFile(filepath.Join(dir, "blobs/sha256", blob.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(`"manifests"`)) {
			index = v1.Hash{Algorithm: "sha256", Hex: blob.Name()}
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	arm := amd64
	arm.Architecture = "arm64"
	for _, test := range []struct {
		what     string
		ctx      context.Context
		manifest v1.Hash
		platform v1.Platform
		want     string
	}{
		{"no manifest", t.Context(), v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}, amd64, "no such file"},
		{"an index", t.Context(), index, amd64, "is not the manifest of an image"},
		{"another platform", t.Context(), manifests[0], arm, "arm64"},
		{"cancelled", cancelled, manifests[0], amd64, "context canceled"},
	} {
		image := subject("docs")
		image.Manifest, image.Platform = test.manifest, test.platform
		_, err := scanner(t).FromLayout(test.ctx, dir, image)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "reading the files of docs: ") {
			t.Errorf("%s: got %v, want … %s", test.what, err, test.want)
		}
	}
	_, err = scanner(t).FromStorePaths(t.Context(), &Document{Components: []Component{{ID: "/nowhere", StorePath: "/nowhere", Where: []string{"/"}}}}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "reading the files of store paths: /nowhere: ") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a store path that is not there: %v", err)
	}
	nothingLeft(t)
}

// libre-inspect reads files of strangers. So it contains no code that downloads from clouds,
// and needs no time to compile it.
func TestRecogniserHasNoCloudClients(t *testing.T) {
	info, err := buildinfo.ReadFile(scanner(t).program.Path)
	if err != nil {
		t.Fatal(err)
	}
	getter := false
	for _, module := range info.Deps {
		if strings.HasPrefix(module.Path, "cloud.google.com/") || strings.HasPrefix(module.Path, "github.com/aws/") {
			t.Errorf("%s is in %s", module.Path, inspect.Program)
		}
		getter = getter || module.Path == "github.com/hashicorp/go-getter" && module.Replace != nil
	}
	if !getter {
		t.Error("syft does not use our go-getter: delete it, and its line in go.mod")
	}
}

// scanner returns a scanner with the real program, built from this checkout.
func scanner(t testing.TB) *Scanner {
	t.Helper()
	programs, err := testkit.Programs()
	if err != nil {
		t.Fatal(err)
	}
	s := newScanner(filepath.Join(programs, inspect.Program), Limits{})
	t.Cleanup(s.Close)
	return s
}
